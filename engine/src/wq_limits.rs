//! How many workers there may be, and on which processors they run.

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::Relaxed;

use sysring_protocol::Most;
use sysring_sys::call;
use sysring_sys::raw::general as g;

use crate::sync::Mutex;

/// Threads at most, whatever the application allows.
const MAX_WORKERS: u32 = 64;

/// How many workers there may be, as the application knows it: for work that ends by itself, and
/// for what may wait for ever. Zero: nobody has made a ring yet.
static LIMITS: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];

/// With the first ring of a process come the limits the kernel begins with.
pub fn expect_ring(sq_entries: u32) {
    let bounded = sq_entries.min(4 * call::cpu_count());
    if LIMITS[0].compare_exchange(0, bounded, Relaxed, Relaxed).is_ok() {
        LIMITS[1].store(processes(), Relaxed);
    }
}

/// How many processes the user may have.
fn processes() -> u32 {
    let limit = call::soft_limit(g::RLIMIT_NPROC);
    limit.min(i32::MAX as u64) as u32
}

/// Sets the limits that are not 0; what they were.
pub fn limit(given: [u32; 2]) -> [u32; 2] {
    let most = processes();
    core::array::from_fn(|i| match given[i] {
        0 => LIMITS[i].load(Relaxed),
        new => LIMITS[i].swap(new.min(most), Relaxed),
    })
}

/// Threads that may be.
pub fn most_workers() -> Most {
    let [bounded, unbounded] = [0, 1].map(|i| LIMITS[i].load(Relaxed));
    let all = bounded.saturating_add(unbounded).clamp(1, MAX_WORKERS);
    Most { all, serving: bounded.clamp(1, all) }
}

/// Threads that may be where some are kept for long.
pub fn most_ever() -> Most {
    Most { all: MAX_WORKERS, ..most_workers() }
}

/// A mask of processors.
pub type Processors = [u64; 16];

/// On which processors workers run, and how often that was changed.
static PROCESSORS: Mutex<Processors> = Mutex::new([u64::MAX; 16]);
static BINDINGS: AtomicU32 = AtomicU32::new(0);

/// Binds workers, from the next request on; `None`: to no processor in particular.
pub fn bind(to: Option<Processors>) {
    *PROCESSORS.lock() = to.unwrap_or([u64::MAX; 16]);
    BINDINGS.fetch_add(1, Relaxed);
}

/// A worker obeys what it has not heard yet.
pub fn obey(heard: &mut u32) {
    let bindings = BINDINGS.load(Relaxed);
    if bindings != *heard {
        *heard = bindings;
        // Processors that are not there, or not ours: as it was.
        let _ = call::sched_setaffinity(0, &PROCESSORS.lock());
    }
}

/// In a child of `fork`.
pub fn after_fork() {
    PROCESSORS.reset();
    for limit in &LIMITS {
        limit.store(0, Relaxed);
    }
}
