//! The bell: an eventfd that wakes the driver before its time.
//!
//! It outlives drivers, so who was left with an old table of descriptors can still ring it; and a
//! child of `fork` keeps its parent's, to have done what it asks of the parent.

use core::sync::atomic::AtomicI32;
use core::sync::atomic::Ordering::Relaxed;

use sysring_sys::{Fd, Result, call};

use super::office::OFFICE;
use crate::descriptors;

/// An eventfd in what the driver sleeps on, for timers that are due earlier than it knows.
static BELL: AtomicI32 = AtomicI32::new(-1);
/// The same of the process that this one was forked from.
static PARENTS_BELL: AtomicI32 = AtomicI32::new(-1);

/// Whether there is a bell to be rung.
#[must_use]
pub(crate) fn has_bell() -> bool {
    BELL.load(Relaxed) >= 0
}

/// The bell, which is made when it is first wanted. While nobody else starts a driver.
pub(super) fn hang() -> Result<Fd> {
    let there = Fd::new(BELL.load(Relaxed));
    if there.is_valid() {
        return Ok(there);
    }
    let bell = descriptors::keep(call::eventfd(0)?)?;
    BELL.store(bell.raw(), Relaxed);
    Ok(bell)
}

/// Leaves to the driver what the calling thread must not do, as it has not the identity of the
/// application's: to go on with other rings, to start workers. There is one ([`super::prepare`]).
pub(crate) fn ask_to_settle() {
    let _ = ring();
}

/// Sees that the driver is awake at a time.
pub(super) fn ask_for(due: i64) {
    if OFFICE.must_hear_of(due) {
        let _ = ring();
    }
}

/// Wakes the driver.
pub(super) fn ring() -> Result<()> {
    call::eventfd_add(Fd::new(BELL.load(Relaxed)), 1)
}

/// Has the parent's driver look after its rings.
pub(crate) fn call_parents() {
    let bell = Fd::new(PARENTS_BELL.load(Relaxed));
    if bell.is_valid() {
        let _ = call::eventfd_add(bell, 1);
    }
}

/// In a child of `fork`: the bell there was is the parent's.
pub(super) fn after_fork() {
    let parents = PARENTS_BELL.swap(BELL.swap(-1, Relaxed), Relaxed);
    if parents >= 0 {
        let _ = call::close(Fd::new(parents));
    }
}
