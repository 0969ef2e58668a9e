//! The table: what is behind a number.
//!
//! Every `close` and `dup` of a high number asks, and so does each `enter`: an answer is two loads,
//! and needs no lock. It may be out of date where a descriptor was closed without a word.

use core::ptr;
use core::sync::atomic::AtomicPtr;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use sysring_sys::odds::unlikely;
use sysring_sys::{Fd, Result, call};

use crate::ring::Ring;

/// The lowest number the engine gives a descriptor: below `FD_SETSIZE`, above what most programs
/// reach. Where the limit on open files is lower still, no ring can be made.
pub const FLOOR: Fd = Fd::new(960);

/// Descriptors the table has room for. Its memory is touched only where there are rings.
pub(super) const TABLE: usize = 1 << 20;

/// What the table says of a descriptor: null, a ring, or this mark for one of the engine's own.
pub(super) const INTERNAL: *mut Ring = ptr::without_provenance_mut(1);

static ENTRIES: AtomicPtr<AtomicPtr<Ring>> = AtomicPtr::new(ptr::null_mut());

/// Makes the table, if there is none.
pub(super) fn make() -> Result<()> {
    if !exists() {
        let table = call::map_anonymous(TABLE * size_of::<AtomicPtr<Ring>>(), false)?;
        // Release pairs with the Acquire of who looks for it: the zeroes are there. Whoever comes second gives its table back.
        if ENTRIES.compare_exchange(ptr::null_mut(), table.cast(), Release, Relaxed).is_err() {
            // SAFETY: our own mapping, unpublished.
            let _ = unsafe { call::munmap(table as usize, TABLE * size_of::<AtomicPtr<Ring>>()) };
        }
    }
    Ok(())
}

/// Whether there is one, as there is from the first ring on.
pub(super) fn exists() -> bool {
    // Relaxed: only whether; who looks into it asks `entry`.
    !ENTRIES.load(Relaxed).is_null()
}

#[inline(always)]
pub(super) fn entry(fd: Fd) -> Option<&'static AtomicPtr<Ring>> {
    // Acquire pairs with the Release in `make`: it is zeroed.
    let entries = ENTRIES.load(Acquire);
    if entries.is_null() || !fd.is_valid() || fd.raw() as usize >= TABLE {
        return None;
    }
    // SAFETY: the table has `TABLE` zeroed entries and is never unmapped.
    Some(unsafe { &*entries.add(fd.raw() as usize) })
}

/// Whether `fd` is one of the engine's own, which the application must not see: answer `EBADF`.
#[inline(always)]
#[must_use]
pub fn is_internal(fd: Fd) -> bool {
    // Relaxed, here and below: the pointer is compared, and what it leads to is not looked at.
    entry(fd).is_some_and(|entry| unlikely(entry.load(Relaxed) == INTERNAL))
}

/// Whether `fd` is a ring of this engine.
#[must_use]
pub fn is_ring(fd: Fd) -> bool {
    entry(fd).is_some_and(|entry| {
        let ring = entry.load(Relaxed);
        !ring.is_null() && ring != INTERNAL
    })
}

/// Whether `fd` still names this ring.
#[must_use]
pub(crate) fn leads_to(fd: Fd, ring: &Ring) -> bool {
    entry(fd).is_some_and(|entry| ptr::eq(entry.load(Relaxed), ring))
}

/// A ring's descriptor was closed without a word, and its number is another's now. There may be a
/// copy of it, so the ring stays open for who comes with that.
pub(super) fn lose(before: *mut Ring) {
    if before.is_null() || before == INTERNAL {
        return;
    }
    // SAFETY: rings are never unmapped.
    let ring = unsafe { &*before };
    // Relaxed: the last handle does not go here, and the mark is looked at by who walks the rings.
    let known = |n| if n > 1 { Some(n - 1) } else { None };
    if ring.handles.fetch_update(Relaxed, Relaxed, known).is_err() {
        ring.adrift.store(true, Relaxed);
    }
}
