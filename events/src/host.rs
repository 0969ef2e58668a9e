//! What the protocol asks of the system: a name for this process, whether another one lives, and
//! sleep. The model checker has a world of its own.

use sysring_sys::Result;

use crate::atomic::{AtomicU32, AtomicU64};

pub(crate) trait Host {
    /// This process's id: not zero, within [`crate::lock::PID`].
    fn me(&self) -> Result<u64>;

    /// Nanoseconds since boot: not zero.
    fn now(&self) -> i64;

    /// Whether no process of that id runs.
    fn is_dead(&self, pid: u64) -> bool;

    /// Whether the process that had that id at that time is gone for good.
    fn is_gone(&self, pid: u64, at: i64) -> bool;

    /// Sleeps while the word's low half is as in `expected`, for so long at most.
    fn sleep_for_lock(&self, word: &AtomicU64, expected: u64, ns: i64);

    /// Wakes one who sleeps for the lock.
    fn wake_for_lock(&self, word: &AtomicU64);

    /// Sleeps while the signal is `expected`, for so long at most.
    ///
    /// # Errors
    /// `EINTR`: a signal was handled.
    fn sleep(&self, signal: &AtomicU32, expected: u32, ns: Option<i64>) -> Result<()>;

    /// Wakes all who sleep on the signal.
    fn wake(&self, signal: &AtomicU32);

    /// The overflow area is empty again: its memory may go.
    fn reclaim(&self);
}
