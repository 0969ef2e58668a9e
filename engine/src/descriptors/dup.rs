//! The hooks of `dup(2)` and its kin: a copy of a ring's descriptor is another way to it.
//!
//! It gets a number at which its `close` will be heard of, too, unless the application has chosen one.
//! Nothing of what the engine knows changes before the kernel has made the copy.

use core::ptr;
use core::sync::atomic::AtomicPtr;
use core::sync::atomic::Ordering::AcqRel;

use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, call};

use super::handle::{add_handle_if_open, drop_handle};
use super::hold::{Held, get};
use super::stray::note;
use super::table::{FLOOR, INTERNAL, entry, is_internal, is_ring, lose};
use super::watched::watch;
use crate::ring::Ring;

/// `dup(2)`, `fcntl(F_DUPFD…)`: `at_least` is the lowest number wanted. `None` if `old` is no ring.
#[must_use]
pub fn dup(old: Fd, at_least: Fd, cloexec: bool) -> Option<Result<Fd>> {
    if is_internal(old) {
        return Some(Err(Errno::EBADF));
    }
    let copied = Copied::of(old)?;
    // Where its close will be seen.
    let at_least = at_least.max(FLOOR);
    let command = if cloexec { g::F_DUPFD_CLOEXEC } else { g::F_DUPFD };
    Some(call::fcntl(old, command, at_least.raw() as usize).map(|n| {
        let new = Fd::new(n as i32);
        if let Some(entry) = entry_of(new) {
            // The number was free, whatever was known of it.
            lose(copied.publish(entry));
        } else {
            copied.stray();
        }
        new
    }))
}

/// `dup2(2)` of two numbers and `dup3(2)` (`flags`: `O_CLOEXEC`): `None` if neither descriptor is the
/// engine's.
#[must_use]
pub fn dup_onto(old: Fd, new: Fd, flags: u32) -> Option<Result<Fd>> {
    if is_internal(old) || is_internal(new) {
        return Some(Err(Errno::EBADF));
    }
    let copied = Copied::of(old);
    if copied.is_none() && !is_ring(new) {
        return None;
    }
    Some(call::dup3(old, new, flags).inspect(|_| match (copied, entry_of(new)) {
        (Some(copied), Some(entry)) => end(copied.publish(entry)),
        (Some(copied), None) => copied.stray(),
        // Acquire pairs with the Release that named what was there.
        (None, Some(entry)) => end(entry.swap(ptr::null_mut(), AcqRel)),
        (None, None) => {}
    }))
}

/// What the table has for a number whose end will be heard of.
fn entry_of(fd: Fd) -> Option<&'static AtomicPtr<Ring>> {
    entry(fd).filter(|_| fd >= FLOOR)
}

/// A descriptor of this ring's has been replaced.
fn end(before: *mut Ring) {
    if !before.is_null() && before != INTERNAL {
        // SAFETY: rings are never unmapped.
        drop_handle(unsafe { &*before });
    }
}

/// A ring that a descriptor is to be made for. It has a handle for that already, so that it cannot
/// close before the copy is known; where none is made, the handle goes.
struct Copied {
    held: Held,
    made: bool,
}

impl Copied {
    fn of(old: Fd) -> Option<Copied> {
        let held = get(old).filter(|held| add_handle_if_open(held.ring()))?;
        Some(Copied { held, made: false })
    }

    /// The copy is at a number that has this entry; what the entry said before.
    fn publish(mut self, entry: &AtomicPtr<Ring>) -> *mut Ring {
        // Release pairs with the Acquire in `get`: the ring's words are there. Acquire, with the Release
        // that named what was there.
        let before = entry.swap(ptr::from_ref(self.held.ring()).cast_mut(), AcqRel);
        self.made = true;
        before
    }

    /// The copy is where nobody hears of it.
    fn stray(mut self) {
        // Nor of its being polled.
        watch(self.held.ring());
        note(self.held.ring());
        self.made = true;
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        if !self.made {
            drop_handle(self.held.ring());
        }
    }
}
