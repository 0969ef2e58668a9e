//! Clocks and timers.

use super::sys;
use crate::abi::{NSEC_PER_SEC, Timespec};
use crate::{Fd, Result};

/// `CLOCK_REALTIME`.
pub const CLOCK_REALTIME: u32 = 0;
/// `CLOCK_MONOTONIC`.
pub const CLOCK_MONOTONIC: u32 = 1;
/// `CLOCK_BOOTTIME`.
pub const CLOCK_BOOTTIME: u32 = 7;

/// A clock's reading in nanoseconds, by the system call; see [`vdso`](crate::vdso) for less.
#[must_use]
pub fn now(clock: u32) -> i64 {
    let mut t = Timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel fills the structure.
    let _ = unsafe { sys!(__NR_clock_gettime, clock as usize, &raw mut t as usize) };
    t.tv_sec * NSEC_PER_SEC + t.tv_nsec
}

/// `timerfd_create(2)`, close-on-exec and non-blocking.
pub fn timerfd_create(clock: u32) -> Result<Fd> {
    let flags = linux_raw_sys::general::O_CLOEXEC | linux_raw_sys::general::O_NONBLOCK;
    // SAFETY: numbers.
    unsafe { sys!(__NR_timerfd_create, clock as usize, flags as usize) }.map(|n| Fd::new(n as i32))
}

/// Sets a timerfd to go off once, at an absolute time of its clock; `None` disarms it.
pub fn timerfd_set(fd: Fd, at: Option<i64>) -> Result<()> {
    let at = at.map_or(0, |ns| ns.max(1));
    let spec = [0, 0, at / NSEC_PER_SEC, at % NSEC_PER_SEC];
    let absolute = 1usize;
    // SAFETY: the specification is ours; no old value is asked for.
    unsafe { sys!(__NR_timerfd_settime, fd.arg(), absolute, spec.as_ptr() as usize, 0) }.map(drop)
}

/// Sleeps for `ns` nanoseconds or until a signal.
pub fn nanosleep(ns: i64) {
    let t = Timespec { tv_sec: ns / NSEC_PER_SEC, tv_nsec: ns % NSEC_PER_SEC };
    // SAFETY: the time is ours; no remainder is asked for.
    let _ = unsafe { sys!(__NR_nanosleep, &raw const t as usize, 0) };
}
