//! The hooks of `close(2)` and `close_range(2)`.
//!
//! With the last copy of its descriptor a ring closes. The engine's own stay open where a program
//! closes all that it has.

use core::ptr;
use core::sync::atomic::Ordering::{Acquire, Relaxed};

use sysring_sys::{Errno, Fd, Result, call};

use super::handle::drop_handle;
use super::stray;
use super::table::{self, INTERNAL, TABLE, entry, is_internal, is_ring};
use super::unshare::unshared;

/// `close(2)`: `None` if the descriptor is not the engine's.
#[must_use]
pub fn close(fd: Fd) -> Option<Result<()>> {
    let entry = entry(fd)?;
    // Acquire pairs with the Release that named the ring here: its words are there.
    let ring = entry.load(Acquire);
    if ring.is_null() {
        return stray::close_below(fd);
    }
    if ring == INTERNAL {
        return Some(Err(Errno::EBADF));
    }
    // Relaxed: who succeeds has seen the ring already, and null tells of nothing.
    if entry.compare_exchange(ring, ptr::null_mut(), Relaxed, Relaxed).is_err() {
        return Some(Err(Errno::EBADF));
    }
    let closed = call::close(fd);
    // SAFETY: rings are never unmapped.
    let ring = unsafe { &*ring };
    // Who came with the number just before that found a copy of the descriptor there.
    stray::forget_if_closed(ring, fd);
    drop_handle(ring);
    stray::look_after_all();
    Some(closed)
}

/// `close_range(2)`: the engine's own descriptors survive it, rings are closed properly.
#[must_use]
pub fn close_range(first: u32, last: u32, flags: u32) -> Option<Result<()>> {
    const UNSHARE: u32 = 2;
    const CLOEXEC: u32 = 4;
    if !table::exists() || first > last || flags & !(UNSHARE | CLOEXEC) != 0 {
        return None;
    }
    if flags & UNSHARE != 0 {
        // First without closing anything: there is no such descriptor.
        if let Err(e) = call::close_range(u32::MAX, u32::MAX, UNSHARE) {
            return Some(Err(e));
        }
        unshared();
        return close_range(first, last, flags & !UNSHARE)
            .or_else(|| Some(call::close_range(first, last, flags & !UNSHARE)));
    }
    if flags & CLOEXEC != 0 {
        // Ours are close-on-exec anyway.
        return None;
    }
    // The stretches between what must stay.
    let mut from = first;
    let end = last.min(TABLE as u32 - 1);
    for number in first..=end {
        let fd = Fd::new(number as i32);
        let internal = is_internal(fd);
        if !internal && !is_ring(fd) {
            continue;
        }
        if let Err(e) = close_stretch(from, number, flags) {
            return Some(Err(e));
        }
        if !internal {
            let _ = close(fd);
        }
        from = number + 1;
    }
    if from <= last {
        return Some(call::close_range(from, last, flags));
    }
    Some(Ok(()))
}

/// Closes `from..end`.
fn close_stretch(from: u32, end: u32, flags: u32) -> Result<()> {
    if from < end { call::close_range(from, end - 1, flags) } else { Ok(()) }
}
