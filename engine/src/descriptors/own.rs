//! The engine's own descriptors, which the application must neither see nor close.
//!
//! They live in its table of descriptors, for there is no other: out of its way, and marked, so
//! that the hooks can answer as if they were not there.

use core::ptr;
use core::sync::atomic::Ordering::{Acquire, Relaxed};

use sysring_sys::{Errno, Fd, Result, call};

use super::table::{FLOOR, INTERNAL, entry, lose};

/// Moves a new descriptor of the engine's out of the application's way.
///
/// # Errors
/// `EMFILE`: it is closed then.
pub(crate) fn keep(fd: Fd) -> Result<Fd> {
    let kept = call::dup_from(fd, FLOOR);
    match kept {
        Ok(kept) => {
            let _ = call::close(fd);
            mark_internal(kept);
            Ok(kept)
        }
        // The limit on open files lies below the floor: it stays where it is.
        Err(Errno::EINVAL) => {
            mark_internal(fd);
            Ok(fd)
        }
        Err(e) => {
            let _ = call::close(fd);
            Err(e)
        }
    }
}

/// A duplicate of a descriptor, for the engine to keep.
///
/// # Errors
/// `EBADF`, `EMFILE`; `EINVAL`: the limit on open files lies below the floor.
pub(crate) fn duplicate(fd: Fd) -> Result<Fd> {
    call::dup_from(fd, FLOOR).inspect(|copy| mark_internal(*copy))
}

/// Says that a descriptor is the engine's.
pub(crate) fn mark_internal(fd: Fd) {
    if let Some(entry) = entry(fd) {
        // Acquire pairs with the Release that named a ring here: its words are there. The mark tells of
        // nothing.
        lose(entry.swap(INTERNAL, Acquire));
    }
}

/// Closes a descriptor of the engine's.
pub(crate) fn let_go(fd: Fd) {
    if let Some(entry) = entry(fd) {
        // Relaxed: nothing lies behind it, and the kernel gives the number to somebody else only later.
        entry.store(ptr::null_mut(), Relaxed);
    }
    let _ = call::close(fd);
}
