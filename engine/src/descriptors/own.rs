//! The engine's own descriptors, which the application must neither see nor close.
//!
//! They live in its table of descriptors, for there is no other: out of its way, and marked, so
//! that the hooks can answer as if they were not there.

use core::ptr;
use core::sync::atomic::Ordering::{Acquire, Relaxed};

use sysring_sys::abi::Rlimit;
use sysring_sys::raw::general::RLIMIT_NOFILE;
use sysring_sys::{Errno, Fd, Result, call};

use super::table::{FLOOR, INTERNAL, entry, lose};
use crate::sync::Mutex;

/// Moves a new descriptor of the engine's out of the application's way.
///
/// # Errors
/// `EMFILE`: it is closed then.
pub(crate) fn keep(fd: Fd) -> Result<Fd> {
    match out_of_the_way(fd) {
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
/// `EBADF`, `EMFILE`.
pub(crate) fn duplicate(fd: Fd) -> Result<Fd> {
    let mut copy = out_of_the_way(fd);
    // What no filter can tell from the application's: it has no reason to close what it has not
    // opened, and to numbers that few programs come to least of all.
    for from in [FLOOR.raw() / 2, 0] {
        if let Err(Errno::EMFILE | Errno::EINVAL) = copy {
            copy = call::dup_from(fd, Fd::new(from));
        }
    }
    copy.inspect(|copy| mark_internal(*copy))
}

/// A duplicate at the floor or above: also above the limit on open files, where that may be raised. The
/// application chose it for its own.
fn out_of_the_way(fd: Fd) -> Result<Fd> {
    match call::dup_from(fd, FLOOR) {
        Err(e @ (Errno::EMFILE | Errno::EINVAL)) => beyond_the_limit(fd).map_err(|_| e),
        answer => answer,
    }
}

/// One at a time: who comes in between would take the raised limit for the application's.
static RAISED: Mutex<()> = Mutex::new(());

/// In a child of `fork`, which was perhaps taken while another thread had it.
pub(super) fn after_fork() {
    RAISED.reset();
}

#[cold]
fn beyond_the_limit(fd: Fd) -> Result<Fd> {
    let _raised = RAISED.lock();
    let limit = call::limit(RLIMIT_NOFILE)?;
    if limit.rlim_cur >= limit.rlim_max {
        return Err(Errno::EMFILE);
    }
    // For this one call: numbers that lie above the limit stay what they are.
    call::set_limit(RLIMIT_NOFILE, &Rlimit { rlim_cur: limit.rlim_max, ..limit })?;
    let copy = call::dup_from(fd, FLOOR);
    let _ = call::set_limit(RLIMIT_NOFILE, &limit);
    copy
}

/// Says that a descriptor is the engine's.
pub(super) fn mark_internal(fd: Fd) {
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
