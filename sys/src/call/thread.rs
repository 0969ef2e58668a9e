//! Threads and futexes.

use core::sync::atomic::AtomicU32;

use super::sys;
use crate::abi::Timespec;
use crate::{Result, User};

/// `gettid(2)`.
#[must_use]
pub fn gettid() -> i32 {
    // SAFETY: no arguments.
    unsafe { sys!(__NR_gettid, 0) }.unwrap_or(0) as i32
}

/// How often this thread has gone to sleep, rather than been made to wait (`ru_nvcsw` of
/// `getrusage(2)`), Linux 2.6.26.
#[must_use]
pub fn times_waited() -> u64 {
    use linux_raw_sys::general as g;
    // `struct rusage` is eighteen words, and the last but one is this.
    let mut usage = [0u64; 18];
    const { assert!(size_of::<g::rusage>() == 18 * 8) };
    const { assert!(core::mem::offset_of!(g::rusage, ru_nvcsw) == 16 * 8) };
    // SAFETY: the kernel writes one `struct rusage`, for which there is room.
    let _ = unsafe { sys!(__NR_getrusage, g::RUSAGE_THREAD as usize, usage.as_mut_ptr() as usize) };
    usage[16]
}

/// `sched_yield(2)`.
pub fn sched_yield() {
    // SAFETY: no arguments.
    let _ = unsafe { sys!(__NR_sched_yield, 0) };
}

/// Sleeps while `word` holds `expected`, at most for `timeout`. Works across processes.
pub fn futex_wait(word: &AtomicU32, expected: u32, timeout: Option<&Timespec>) -> Result<()> {
    let timeout = timeout.map_or(0, |t| core::ptr::from_ref(t) as usize);
    let op = linux_raw_sys::general::FUTEX_WAIT;
    // SAFETY: the word is live, the timeout null or live.
    unsafe { sys!(__NR_futex, word.as_ptr() as usize, op as usize, expected as usize, timeout) }
        .map(drop)
}

/// Wakes up to `count` sleepers on `word`.
pub fn futex_wake(word: &AtomicU32, count: u32) {
    futex_wake_at(User::of(word.as_ptr()), count);
}

/// Wakes up to `count` sleepers on the word at an address that may be gone by now.
pub fn futex_wake_at(word: User<u32>, count: u32) {
    let op = linux_raw_sys::general::FUTEX_WAKE;
    // The kernel takes an `int`, and wakes one where that is negative.
    let count = count.min(i32::MAX as u32);
    // SAFETY: the kernel checks the address.
    let _ = unsafe { sys!(__NR_futex, word.arg(), op as usize, count as usize) };
}

/// `sched_setaffinity(2)` of a thread (0: this one), with a mask of up to 1024 processors.
pub fn sched_setaffinity(tid: i32, mask: &[u64; 16]) -> Result<()> {
    // SAFETY: the mask is ours.
    unsafe { sys!(__NR_sched_setaffinity, tid as usize, size_of_val(mask), mask.as_ptr() as usize) }
        .map(drop)
}

/// Ends this thread.
///
/// # Safety
/// It was made by a bare `clone`: no library has to hear of its end, and nothing on its stack is used
/// afterwards.
pub unsafe fn exit_thread() -> ! {
    loop {
        // SAFETY: ends the thread, as the caller may.
        let _ = unsafe { sys!(__NR_exit, 0) };
    }
}

/// One more than the highest processor this thread may run on.
#[must_use]
pub fn cpu_count() -> u32 {
    let mut mask = [0u64; 16];
    // SAFETY: the kernel fills at most the whole mask.
    let got =
        unsafe { sys!(__NR_sched_getaffinity, 0, size_of_val(&mask), mask.as_mut_ptr() as usize) };
    if got.is_err() {
        return 1;
    }
    let last = mask.iter().rposition(|&word| word != 0).unwrap_or(0);
    last as u32 * 64 + 64 - mask[last].leading_zeros()
}

/// `IOPRIO_WHO_PROCESS`, which is this thread if none is named.
const THIS_THREAD: [usize; 2] = [1, 0];

/// `ioprio_get(2)` of this thread.
pub fn io_priority() -> Result<usize> {
    let [which, who] = THIS_THREAD;
    // SAFETY: numbers.
    unsafe { sys!(__NR_ioprio_get, which, who) }
}

/// `ioprio_set(2)` of this thread.
pub fn set_io_priority(value: usize) -> Result<()> {
    let [which, who] = THIS_THREAD;
    // SAFETY: numbers.
    unsafe { sys!(__NR_ioprio_set, which, who, value) }.map(drop)
}

/// Whether this thread may have an I/O priority: it has it for a moment.
///
/// # Errors
/// `EPERM`: it may not. `EINVAL`: there is no such priority.
pub fn check_io_priority(value: u16) -> Result<()> {
    let own = io_priority()?;
    set_io_priority(value.into())?;
    set_io_priority(own)
}
