//! What the engine did, in numbers, for `sysring run --stats` and the tests.

use core::sync::atomic::{AtomicPtr, AtomicU64};

use sysring_sys::abi::PAGE;

/// The length of a file that processes count into together: what each of them maps.
pub const SHARED_LEN: usize = PAGE;
const _: () = assert!(size_of::<Stats>() <= SHARED_LEN);

/// Counters since the start. A page of shared memory can hold them, so that a whole process tree
/// counts into one place and nothing is lost when a process is killed.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Stats {
    /// Rings made.
    pub rings: AtomicU64,
    /// Calls of `enter`.
    pub enters: AtomicU64,
    /// SQEs accepted.
    pub submitted: AtomicU64,
    /// Requests that completed in the submitter without waiting.
    pub inline: AtomicU64,
    /// Requests that waited for readiness.
    pub parked: AtomicU64,
    /// Requests that went through kernel AIO.
    pub aio: AtomicU64,
    /// Requests that a worker thread ran.
    pub worker: AtomicU64,
    /// CQEs posted.
    pub completed: AtomicU64,
    /// CQEs that found the ring full and went to the overflow list.
    pub overflowed: AtomicU64,
    /// Threads started.
    pub threads: AtomicU64,
    /// Call sites that need no trap any more.
    pub shortcuts: AtomicU64,
}

static PRIVATE: Stats = Stats {
    rings: AtomicU64::new(0),
    enters: AtomicU64::new(0),
    submitted: AtomicU64::new(0),
    inline: AtomicU64::new(0),
    parked: AtomicU64::new(0),
    aio: AtomicU64::new(0),
    worker: AtomicU64::new(0),
    completed: AtomicU64::new(0),
    overflowed: AtomicU64::new(0),
    threads: AtomicU64::new(0),
    shortcuts: AtomicU64::new(0),
};

static CURRENT: AtomicPtr<Stats> = AtomicPtr::new((&raw const PRIVATE).cast_mut());

/// The counters in use.
pub fn get() -> &'static Stats {
    // SAFETY: the pointer is `PRIVATE`'s, or one that `share` was promised stays mapped.
    unsafe { &*CURRENT.load(core::sync::atomic::Ordering::Relaxed) }
}

/// Counts into `place` from now on.
///
/// # Safety
/// `place` must be aligned, hold zeroes or counters, and stay mapped for ever.
pub unsafe fn share(place: *mut Stats) {
    CURRENT.store(place, core::sync::atomic::Ordering::Relaxed);
}

/// Counts.
#[inline]
pub fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, core::sync::atomic::Ordering::Relaxed);
}
