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

/// `timer_create(2)`, on `CLOCK_MONOTONIC`: a timer that sends a thread of this process a signal.
pub fn timer_create(tid: i32, signal: i32) -> Result<i32> {
    /// `struct sigevent`.
    #[repr(C)]
    struct Event {
        value: usize,
        signal: i32,
        how: i32,
        tid: i32,
        rest: [i32; 11],
    }
    const SIGEV_THREAD_ID: i32 = 4;
    const { assert!(size_of::<Event>() == 64) };
    let event = Event { value: 0, signal, how: SIGEV_THREAD_ID, tid, rest: [0; 11] };
    let mut id = 0i32;
    let (clock, at) = (CLOCK_MONOTONIC as usize, &raw const event as usize);
    // SAFETY: the structure is ours, and so is the number that the kernel writes.
    unsafe { sys!(__NR_timer_create, clock, at, &raw mut id as usize) }.map(|_| id)
}

/// `timer_settime(2)`: has a timer go off in so many nanoseconds, and again each time as many have passed; 0
/// stops it.
pub fn timer_set(timer: i32, every: i64) -> Result<()> {
    let (sec, nsec) = (every / NSEC_PER_SEC, every % NSEC_PER_SEC);
    let spec = [sec, nsec, sec, nsec];
    // SAFETY: the specification is ours; no old value is asked for.
    unsafe { sys!(__NR_timer_settime, timer as usize, 0, spec.as_ptr() as usize, 0) }.map(drop)
}

/// `timer_delete(2)`.
pub fn timer_delete(timer: i32) -> Result<()> {
    // SAFETY: a number.
    unsafe { sys!(__NR_timer_delete, timer as usize) }.map(drop)
}
