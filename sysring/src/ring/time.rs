//! Times, as the kernel has them.

use core::time::Duration;

use sysring_sys::abi;

/// A time, or a span of it (`struct __kernel_timespec`), for operations that read one where it lies.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Timespec(abi::Timespec);

impl Timespec {
    /// Seconds, and nanoseconds below a second.
    #[must_use]
    pub const fn new(seconds: i64, nanoseconds: u32) -> Timespec {
        Timespec(abi::Timespec { tv_sec: seconds, tv_nsec: nanoseconds as i64 })
    }

    /// Whole seconds.
    #[must_use]
    pub const fn seconds(&self) -> i64 {
        self.0.tv_sec
    }

    /// Nanoseconds beyond them.
    #[must_use]
    pub const fn nanoseconds(&self) -> u32 {
        self.0.tv_nsec as u32
    }
}

impl From<Duration> for Timespec {
    /// Spans beyond what the kernel can count become the longest one.
    fn from(span: Duration) -> Timespec {
        let seconds = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
        Timespec::new(seconds, span.subsec_nanos())
    }
}
