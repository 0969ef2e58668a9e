//! A word that receives the result of a call.

use core::sync::atomic::AtomicI64;
use core::sync::atomic::Ordering::{Acquire, Relaxed};
use core::time::Duration;

use sysring_engine::native::{PENDING, upper_half};
use sysring_sys::abi::{NSEC_PER_SEC, Timespec};
use sysring_sys::{Errno, Result, User, call};

/// A word that receives the result of a call, and wakes who sleeps on it: nothing has to be set up.
///
/// It is eight bytes of memory, aligned to eight, private or shared between processes. It holds
/// `i64::MIN` until the result is there: the value, or the negated error number. Its upper half is
/// the futex.
#[derive(Debug)]
#[repr(transparent)]
pub struct Slot(AtomicI64);

impl Default for Slot {
    fn default() -> Self {
        Slot::new()
    }
}

impl Slot {
    /// An empty slot.
    #[must_use]
    pub const fn new() -> Slot {
        Slot(AtomicI64::new(PENDING))
    }

    /// Makes it empty, for another call. Of a call that is pending, nobody would hear.
    pub fn clear(&self) {
        self.0.store(PENDING, Relaxed);
    }

    /// The result, if it is there.
    #[must_use]
    pub fn get(&self) -> Option<Result<usize>> {
        // Acquire: what the call has written is seen by who sees its result (the kernel writes the
        // word behind it).
        match self.0.load(Acquire) {
            PENDING => None,
            answer => Some(Errno::from_ret(answer as isize)),
        }
    }

    /// Sleeps until the result is there.
    ///
    /// # Errors
    /// The call's own.
    pub fn wait(&self) -> Result<usize> {
        loop {
            if let Some(result) = self.sleep(None) {
                return result;
            }
        }
    }

    /// Sleeps until the result is there, no longer than `timeout`.
    #[must_use]
    pub fn wait_timeout(&self, timeout: Duration) -> Option<Result<usize>> {
        let now = call::now(call::CLOCK_MONOTONIC);
        let ns = i64::try_from(timeout.as_nanos()).unwrap_or(i64::MAX);
        let until = now.saturating_add(ns);
        let time = Timespec { tv_sec: until / NSEC_PER_SEC, tv_nsec: until % NSEC_PER_SEC };
        loop {
            let result = self.sleep(Some(&time));
            if result.is_some() || call::now(call::CLOCK_MONOTONIC) >= until {
                return result;
            }
        }
    }

    /// Sleeps once, until a time of `CLOCK_MONOTONIC`.
    fn sleep(&self, until: Option<&Timespec>) -> Option<Result<usize>> {
        const EMPTY: u32 = (PENDING >> 32) as u32;
        if self.get().is_none() {
            let _ =
                call::futex_wait_bitset(upper_half(self.address()), EMPTY, u32::MAX, false, until);
        }
        self.get()
    }

    pub(super) fn address(&self) -> User<i64> {
        User::of(self.0.as_ptr())
    }
}
