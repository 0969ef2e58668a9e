//! Rings that were left with work in hand.
//!
//! Who holds a ring and takes another for a moment must not run what waits there: that might want
//! the first one. A worker with credentials of its own must not either. They put the ring on this
//! list, and it is taken off by the next thread of the engine's that holds none: the same one, as
//! soon as it has let go of its own ring, or the driver.

use core::ptr;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicPtr};

use crate::descriptors::Held;
use crate::ring::Ring;
use crate::sync::Mutex;

static FIRST: Mutex<AtomicPtr<Ring>> = Mutex::new(AtomicPtr::new(ptr::null_mut()));
/// The list is not empty: to be asked without its lock.
static SOME: AtomicBool = AtomicBool::new(false);

/// Puts a ring on the list, which holds on to it.
pub fn add(ring: &Ring) {
    ring.refs.fetch_add(1, Relaxed);
    leave(ring);
}

/// As [`add`], and takes over the caller's hold on the ring, of which the last may so be left to whoever
/// settles.
pub fn leave(ring: &Ring) {
    let first = FIRST.lock();
    if ring.unsettled.swap(true, Relaxed) {
        // It is not the last hold: the list's own stays as long as this lock is held. Release pairs
        // with the Acquire of the last one's.
        ring.refs.fetch_sub(1, Release);
        return;
    }
    ring.next_unsettled.store(first.load(Relaxed), Relaxed);
    first.store(ptr::from_ref(ring).cast_mut(), Relaxed);
    // Release pairs with the Acquire in `is_empty`. A thread that reads too early may miss the ring:
    // this one settles it.
    SOME.store(true, Release);
}

/// Whether there is nothing to settle.
#[inline(always)]
pub fn is_empty() -> bool {
    !SOME.load(Acquire)
}

/// Settles what is on the list, and what that adds to it. The caller holds no ring.
pub fn settle() {
    while let Some(held) = take() {
        let mut locked = held.ring().lock_to_settle();
        // It may have come to be polled while nobody could look at what is under way.
        if held.ring().watched.load(Relaxed) && !locked.driven {
            locked.leave(false);
        }
    }
}

fn take() -> Option<Held> {
    let first = FIRST.lock();
    let ring = first.load(Relaxed);
    if ring.is_null() {
        return None;
    }
    // SAFETY: rings are never unmapped.
    let ring: &'static Ring = unsafe { &*ring };
    let next = ring.next_unsettled.load(Relaxed);
    first.store(next, Relaxed);
    SOME.store(!next.is_null(), Release);
    // Whatever comes to wait there from here on puts it on the list again.
    ring.unsettled.store(false, Relaxed);
    // SAFETY: whoever put it on the list took a hold for that, which is ours now.
    Some(unsafe { Held::adopt(ring) })
}

/// In a child of `fork`: what was to be done is the parent's.
pub fn after_fork() {
    FIRST.reset();
    FIRST.lock().store(ptr::null_mut(), Relaxed);
    SOME.store(false, Relaxed);
}
