//! How long to wait for completions.

use core::time::Duration;

use sysring_sys::User;
use sysring_sys::abi::io_uring::{GeteventsArg, enter};
use sysring_sys::abi::signal::{SIGSET_SIZE, SigSet};

use super::time::Timespec;

/// What [`Ring::submit_with`](crate::Ring::submit_with) waits for.
///
/// ```
/// # use core::time::Duration;
/// # use sysring::{Ring, Wait, op};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut ring = Ring::new(8)?;
/// // SAFETY: a NOP uses no memory.
/// unsafe { ring.push(op::Nop::new().build())? };
/// let wait = Wait::at_least(1).timeout(Duration::from_secs(1));
/// assert_eq!(ring.submit_with(&wait)?, 1);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Wait {
    count: u32,
    timeout: Option<Timespec>,
    min_wait: u32,
    sigmask: Option<SigSet>,
    flags: u32,
}

impl Wait {
    /// Until so many completions lie in the queue.
    pub const fn at_least(count: u32) -> Wait {
        Wait { count, timeout: None, min_wait: 0, sigmask: None, flags: 0 }
    }

    /// For so long at most (Linux 5.11).
    pub fn timeout(mut self, span: Duration) -> Wait {
        self.timeout = Some(span.into());
        self
    }

    /// Until this time of the monotonic clock at most (`IORING_ENTER_ABS_TIMER`, Linux 6.12), or of
    /// the clock that was chosen by [`Register::clock`](crate::Register::clock).
    pub fn until(mut self, time: Timespec) -> Wait {
        self.timeout = Some(time);
        self.flags |= enter::ABS_TIMER;
        self
    }

    /// So long for all of the completions; after that, one is enough (Linux 6.12). It is counted in
    /// microseconds.
    pub fn min_wait(mut self, span: Duration) -> Wait {
        self.min_wait = u32::try_from(span.as_micros()).unwrap_or(u32::MAX);
        self
    }

    /// With this signal mask in force meanwhile, as `ppoll(2)` does.
    pub fn sigmask(mut self, mask: SigSet) -> Wait {
        self.sigmask = Some(mask);
        self
    }

    /// The time asleep is not accounted as waiting for I/O (`IORING_ENTER_NO_IOWAIT`, Linux 6.15).
    pub fn no_iowait(mut self) -> Wait {
        self.flags |= enter::NO_IOWAIT;
        self
    }

    /// Calls `enter` with what the system call wants: how many, flags, argument, and its size.
    pub(super) fn with<R>(&self, call: impl FnOnce(u32, u32, User<u8>, usize) -> R) -> R {
        let flags = enter::GETEVENTS | self.flags;
        let mask = self.sigmask.as_ref().map_or(0, |mask| core::ptr::from_ref(mask) as u64);
        if self.timeout.is_none() && self.min_wait == 0 {
            return call(self.count, flags, User::new(mask), SIGSET_SIZE);
        }
        let argument = GeteventsArg {
            sigmask: mask,
            sigmask_sz: SIGSET_SIZE as u32,
            min_wait_usec: self.min_wait,
            ts: self.timeout.as_ref().map_or(0, |time| core::ptr::from_ref(time) as u64),
        };
        let address = User::of(&raw const argument).cast();
        call(self.count, flags | enter::EXT_ARG, address, size_of_val(&argument))
    }
}
