//! Rings that poll other rings.
//!
//! The kernel tells them before the call returns that completed something. The driver would come to
//! that a moment later, so who has made the call does it.

use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::Relaxed;

use super::tend::tend;
use crate::descriptors;
use crate::ring::Ring;

/// Some ring of the process has been seen to poll another, which few programs do.
static RINGS_ARE_POLLED: AtomicBool = AtomicBool::new(false);

/// A request of `ring` polls another ring's descriptor.
pub(crate) fn polls_a_ring(ring: &Ring) {
    ring.polls_rings.store(true, Relaxed);
    RINGS_ARE_POLLED.store(true, Relaxed);
}

/// Rings that poll other rings hear of what has happened to this one before the call returns that
/// made it happen, as in the kernel. No ring is locked by the caller.
pub(crate) fn tend_watchers_of(ring: &Ring) {
    if !RINGS_ARE_POLLED.load(Relaxed) {
        return;
    }
    descriptors::each(|other| {
        if !core::ptr::eq(other, ring) && other.polls_rings.load(Relaxed) {
            tend(other);
        }
    });
}
