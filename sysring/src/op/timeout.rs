//! Time.

use sysring_sys::abi::io_uring::{LINK_TIMEOUT_UPDATE, timeout as flag};

use super::{address, alone, operation};
use crate::ring::Timespec;

/// What all of them can be told of clocks.
macro_rules! clocks {
    ($($name:ident)*) => {$(
        impl $name {
            /// It is a time of the clock, not a span from now.
            #[inline]
            pub fn absolute(mut self) -> $name {
                self.0.op_flags |= flag::ABS;
                self
            }

            /// By the clock that goes on while the machine sleeps (`CLOCK_BOOTTIME`, Linux 5.15).
            #[inline]
            pub fn boottime(mut self) -> $name {
                self.0.op_flags |= flag::BOOTTIME;
                self
            }

            /// By the clock on the wall (`CLOCK_REALTIME`, Linux 5.15).
            #[inline]
            pub fn realtime(mut self) -> $name {
                self.0.op_flags |= flag::REALTIME;
                self
            }
        }
    )*};
}

clocks! { Timeout LinkTimeout }

operation! {
    /// Lets time pass, by the monotonic clock (Linux 5.4).
    ///
    /// It ends with `ETIME` when the time has come, and with 0 when as many other completions were
    /// posted as [`count`](Timeout::count) says.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use sysring::{Errno, Ring, Timespec, op};
    ///
    /// let soon = Timespec::new(0, 1_000_000);
    /// let mut ring = Ring::new(8)?;
    /// // SAFETY: the time stays until it was submitted.
    /// unsafe { ring.push(op::Timeout::new(&soon))? };
    /// ring.submit_and_wait(1)?;
    /// assert_eq!(ring.completion().unwrap().result(), Err(Errno::ETIME));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// - `ETIME`: the time has come: that is what it is for.
    /// - `ECANCELED`: it was removed.
    /// - `EFAULT`: the time is not the program's memory.
    /// - `EINVAL`: a negative time, two clocks, or a multishot one that is absolute.
    Timeout = TIMEOUT
}

impl Timeout {
    /// For the span (or until the [time](Timeout::absolute)) that lies at `time`.
    #[inline]
    pub fn new(time: *const Timespec) -> Timeout {
        let mut entry = alone(Timeout::CODE);
        entry.addr = address(time);
        entry.len = 1;
        Timeout(entry)
    }

    /// Ends early when so many other operations have completed; in one that is
    /// [`multishot`](Timeout::multishot), how often it goes off (0: until it is removed).
    #[inline]
    pub fn count(mut self, count: u32) -> Timeout {
        self.0.off = u64::from(count);
        self
    }

    /// A completion each time that the span has passed (Linux 6.4).
    #[inline]
    pub fn multishot(mut self) -> Timeout {
        self.0.op_flags |= flag::MULTISHOT;
        self
    }

    /// That the time has come does not break a [link](crate::Sqe::link) (Linux 5.16).
    #[inline]
    pub fn etime_is_success(mut self) -> Timeout {
        self.0.op_flags |= flag::ETIME_SUCCESS;
        self
    }
}

operation! {
    /// Removes a [`Timeout`], or changes it or a [`LinkTimeout`] (Linux 5.5; changing 5.11).
    ///
    /// The value is 0; a timeout that was removed ends with `ECANCELED`.
    ///
    /// # Errors
    /// - `ENOENT`: there is none with this user data.
    /// - `EALREADY`: it is just going off.
    /// - `EFAULT`: the time is not the program's memory.
    /// - `EINVAL`: a negative time, or two clocks.
    TimeoutRemove = TIMEOUT_REMOVE
}

impl TimeoutRemove {
    /// The timeout that was submitted with this user data.
    #[inline]
    pub fn new(user_data: u64) -> TimeoutRemove {
        let mut entry = alone(TimeoutRemove::CODE);
        entry.addr = user_data;
        TimeoutRemove(entry)
    }

    /// It stays, and begins anew with the span that lies at `time` (Linux 5.11).
    #[inline]
    pub fn update(mut self, time: *const Timespec) -> TimeoutRemove {
        self.0.op_flags |= flag::UPDATE;
        self.0.off = address(time);
        self
    }

    /// With [`update`](TimeoutRemove::update): it is a time of the clock.
    #[inline]
    pub fn absolute(mut self) -> TimeoutRemove {
        self.0.op_flags |= flag::ABS;
        self
    }

    /// With [`update`](TimeoutRemove::update): it is a [`LinkTimeout`] (Linux 5.15).
    #[inline]
    pub fn linked(mut self) -> TimeoutRemove {
        self.0.op_flags |= LINK_TIMEOUT_UPDATE;
        self
    }
}

operation! {
    /// Limits the time of the entry before it, which must be [linked](crate::Sqe::link) to it
    /// (Linux 5.5). That one is cancelled when the time has come.
    ///
    /// # Errors
    /// It always ends with one:
    /// - `ETIME`: the time has come, and the other was cancelled.
    /// - `ECANCELED`: the other has ended before.
    /// - `EALREADY`, `ENOENT`: the time has come, and the other could not be cancelled any more.
    /// - `EFAULT`: the time is not the program's memory.
    /// - `EINVAL`: there is no entry before it that is linked, a negative time, or two clocks.
    LinkTimeout = LINK_TIMEOUT
}

impl LinkTimeout {
    /// After the span (or at the [time](LinkTimeout::absolute)) that lies at `time`.
    #[inline]
    pub fn new(time: *const Timespec) -> LinkTimeout {
        let mut entry = alone(LinkTimeout::CODE);
        entry.addr = address(time);
        entry.len = 1;
        LinkTimeout(entry)
    }
}
