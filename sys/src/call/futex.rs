//! Futexes at the application's addresses, with what the newer calls can do.

use linux_raw_sys::general as g;

use super::{CLOCK_MONOTONIC, sys};
use crate::abi::{FutexWaitv, Timespec};
use crate::{Result, User};

/// Until when to sleep, in `CLOCK_MONOTONIC`; `None`: for ever.
pub type Until<'a> = Option<&'a Timespec>;

fn arg(until: Until<'_>) -> usize {
    until.map_or(0, |t| core::ptr::from_ref(t) as usize)
}

fn op(op: u32, private: bool) -> usize {
    (if private { op | g::FUTEX_PRIVATE_FLAG } else { op }) as usize
}

/// `FUTEX_WAIT_BITSET`.
pub fn futex_wait_bitset(
    word: User<u32>,
    expected: u32,
    mask: u32,
    private: bool,
    until: Until<'_>,
) -> Result<()> {
    let op = op(g::FUTEX_WAIT_BITSET, private);
    // SAFETY: the kernel checks the address; the time is null or live.
    unsafe { sys!(__NR_futex, word.arg(), op, expected as usize, arg(until), 0, mask as usize) }
        .map(drop)
}

/// `FUTEX_WAKE_BITSET`; how many were woken.
pub fn futex_wake_bitset(word: User<u32>, count: i32, mask: u32, private: bool) -> Result<usize> {
    let op = op(g::FUTEX_WAKE_BITSET, private);
    // SAFETY: the kernel checks the address.
    unsafe { sys!(__NR_futex, word.arg(), op, count as usize, 0, 0, mask as usize) }
}

/// `FUTEX_CMP_REQUEUE` of one sleeper, while `from` holds `expected`; how many there were.
pub fn futex_requeue_one(
    from: User<u32>,
    expected: u32,
    to: User<u32>,
    private: bool,
) -> Result<usize> {
    let op = op(g::FUTEX_CMP_REQUEUE, private);
    // SAFETY: the kernel checks the addresses.
    unsafe { sys!(__NR_futex, from.arg(), op, 0, 1, to.arg(), expected as usize) }
}

/// `futex_waitv(2)`; which of them was woken.
pub fn futex_waitv(vector: &[FutexWaitv], until: Until<'_>) -> Result<usize> {
    let (at, len) = (vector.as_ptr() as usize, vector.len());
    // SAFETY: the slice and the time are live; the kernel checks the addresses in it.
    unsafe { sys!(__NR_futex_waitv, at, len, 0, arg(until), CLOCK_MONOTONIC as usize) }
}

/// `futex_wait(2)`, which takes `FUTEX2_*` flags.
pub fn futex2_wait(futex: &FutexWaitv, mask: u64, until: Until<'_>) -> Result<()> {
    let (word, expected) = (futex.uaddr as usize, futex.val as usize);
    let (mask, flags) = (mask as usize, futex.flags as usize);
    // SAFETY: the kernel checks the address; the time is null or live.
    unsafe {
        sys!(__NR_futex_wait, word, expected, mask, flags, arg(until), CLOCK_MONOTONIC as usize)
    }
    .map(drop)
}

/// `futex_wake(2)`, which takes `FUTEX2_*` flags; how many were woken.
pub fn futex2_wake(word: User<u32>, mask: u64, count: i32, flags: u32) -> Result<usize> {
    // SAFETY: the kernel checks the address.
    unsafe { sys!(__NR_futex_wake, word.arg(), mask as usize, count as usize, flags as usize) }
}

/// `futex_requeue(2)` of one sleeper from the first to the second; how many there were.
pub fn futex2_requeue_one(futexes: &[FutexWaitv; 2]) -> Result<usize> {
    // SAFETY: the array is live; the kernel checks the addresses in it.
    unsafe { sys!(__NR_futex_requeue, futexes.as_ptr() as usize, 0, 0, 1) }
}
