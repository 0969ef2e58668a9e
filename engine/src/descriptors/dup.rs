//! The hooks of `dup(2)` and its kin: a copy of a ring's descriptor is another way to it.
//!
//! It gets a number at which its `close` will be heard of, too.

use core::ptr;
use core::sync::atomic::Ordering::Release;

use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, call};

use super::close::close;
use super::handle::add_handle;
use super::hold::{Held, get};
use super::table::{FLOOR, entry, is_internal, is_ring};

/// `dup(2)`, `fcntl(F_DUPFD…)`: `at_least` is the lowest number wanted. `None` if `old` is no ring.
#[must_use]
pub fn dup(old: Fd, at_least: Fd, cloexec: bool) -> Option<Result<Fd>> {
    if is_internal(old) {
        return Some(Err(Errno::EBADF));
    }
    let held = get(old)?;
    // Where its close will be seen.
    let at_least = at_least.max(FLOOR);
    let command = if cloexec { g::F_DUPFD_CLOEXEC } else { g::F_DUPFD };
    Some(call::fcntl(old, command, at_least.raw() as usize).map(|n| {
        let new = Fd::new(n as i32);
        publish(&held, new);
        new
    }))
}

/// `dup2(2)` and `dup3(2)` (`flags`: `O_CLOEXEC`): `None` if neither descriptor is the engine's.
#[must_use]
pub fn dup_onto(old: Fd, new: Fd, flags: u32) -> Option<Result<Fd>> {
    if is_internal(old) || is_internal(new) {
        return Some(Err(Errno::EBADF));
    }
    let held = get(old);
    if held.is_none() && !is_ring(new) {
        return None;
    }
    if old == new {
        return Some(Err(Errno::EINVAL));
    }
    let _ = close(new);
    Some(call::dup3(old, new, flags).inspect(|&new| {
        if let Some(held) = held {
            publish(&held, new);
        }
    }))
}

/// Another descriptor of a ring's.
fn publish(held: &Held, fd: Fd) {
    if let Some(entry) = entry(fd) {
        add_handle(held.ring());
        // Release pairs with the Acquire in `get`: the ring's words are there.
        entry.store(ptr::from_ref(held.ring()).cast_mut(), Release);
    }
}
