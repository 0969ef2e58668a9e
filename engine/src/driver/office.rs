//! What there is to know of the driver: whether it runs, when it wakes, whether it may work.
//!
//! Many ask, and one thread answers to it, which may just be replaced. How they come to an
//! understanding without a lock is [`Office`]'s business.

use core::sync::atomic::Ordering::Relaxed;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32};

use sysring_protocol::Office;
use sysring_sys::abi::NSEC_PER_MSEC;
use sysring_sys::{Fd, call};

/// The epoll instance the driver sleeps on, -1 while there is no driver.
pub(super) static SET: AtomicI32 = AtomicI32::new(-1);
/// Whether there is one.
pub(super) static RUNS: AtomicBool = AtomicBool::new(false);
/// Who is the driver, when it wakes, and whether it may work.
pub(super) static OFFICE: Office = Office::new();
/// Drivers that have not ended.
pub(super) static LIVING: AtomicU32 = AtomicU32::new(0);

/// How long a readable ring descriptor may outlast the completions it stood for.
pub(super) const TICK: i64 = 2_000_000;

/// How long the driver rests, for `exec` may fail, and what it waits for at most to get there.
const REST: i64 = 100_000_000;
pub(super) const LOOKS: u32 = 50;

/// Whether there is a driver.
#[must_use]
pub(crate) fn is_there() -> bool {
    RUNS.load(Relaxed)
}

/// Sees that the driver holds no lock when the process ends: nobody would ever let go of it.
pub(crate) fn rest() {
    OFFICE.close();
    for _ in 0..LOOKS {
        if OFFICE.is_quiet() {
            return;
        }
        call::nanosleep(NSEC_PER_MSEC);
    }
}

/// What the driver does with rings: not while it rests.
pub(super) fn works<T>(work: impl FnOnce() -> T) -> T {
    while !OFFICE.begin() {
        call::nanosleep(REST);
        // Still here: the process did not end.
        OFFICE.open();
    }
    let done = work();
    OFFICE.end();
    done
}

/// In a child of `fork`.
pub(super) fn after_fork() {
    let set = Fd::new(SET.swap(-1, Relaxed));
    if set.is_valid() {
        let _ = call::close(set);
    }
    RUNS.store(false, Relaxed);
    LIVING.store(0, Relaxed);
    OFFICE.after_fork();
}
