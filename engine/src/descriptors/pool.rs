//! The memory of rings: mapped where none is left over, and never unmapped.
//!
//! So whatever pointer to a ring somebody still has, there is a ring to look at, and a hold on it
//! says whether it is in use.

use core::ptr;
use core::sync::atomic::AtomicPtr;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use sysring_sys::{Result, call};

use crate::memory;
use crate::ring::Ring;
use crate::sync::Mutex;

/// Rings that can be used again, linked by `next_free`.
static UNUSED: Mutex<AtomicPtr<Ring>> = Mutex::new(AtomicPtr::new(ptr::null_mut()));
/// All there ever were, linked by `next_ring`.
static ALL: AtomicPtr<Ring> = AtomicPtr::new(ptr::null_mut());

/// One that was used before, or a new one.
pub(super) fn take() -> Result<*mut Ring> {
    {
        let unused = UNUSED.lock();
        // Relaxed, as all of this list: its lock is held.
        let ring = unused.load(Relaxed);
        if !ring.is_null() {
            // SAFETY: listed rings are mapped.
            unused.store(unsafe { (*ring).next_free.load(Relaxed) }, Relaxed);
            return Ok(ring);
        }
    }
    let ring = call::map_anonymous(memory::pages(size_of::<Ring>()), false)?.cast::<Ring>();
    // SAFETY: the mapping is large enough and ours.
    unsafe { Ring::begin(ring) };
    // Relaxed: the exchange looks again.
    let mut first = ALL.load(Relaxed);
    loop {
        // SAFETY: mapped and made a ring above; nobody has been told of it.
        unsafe { (*ring).next_ring.store(first, Relaxed) };
        // Release pairs with the Acquire in `first`: the ring is a ring, and has its successor.
        match ALL.compare_exchange_weak(first, ring, Release, Relaxed) {
            Ok(_) => return Ok(ring),
            Err(now) => first = now,
        }
    }
}

/// Nobody uses it any more.
pub(super) fn give_back(ring: *mut Ring) {
    let unused = UNUSED.lock();
    // SAFETY: rings are never unmapped.
    unsafe { (*ring).next_free.store(unused.load(Relaxed), Relaxed) };
    unused.store(ring, Relaxed);
}

/// The first of all there ever were; `next_ring` leads to the others.
pub(super) fn first() -> *mut Ring {
    // Acquire pairs with the Release in `take`.
    ALL.load(Acquire)
}

/// In a child of `fork`.
pub(super) fn after_fork() {
    UNUSED.reset();
}
