//! Clocks, timers, and words in memory that are waited for.

use sysring_sys::raw::general as g;

use super::world::{Arguments, MILLISECOND, make, nobody, put, room, unseen, vague, words};

/// A timer that tells nobody.
fn timer() -> usize {
    let at = unseen(0u32);
    make(g::__NR_timer_create, [1, unseen([0u64, 1 << 32, 0, 0, 0, 0, 0, 0]), at]);
    // SAFETY: what has just been written.
    unsafe { *(at as *const u32) as usize }
}

/// One that would end in 100 seconds.
fn set_timer() -> usize {
    let timer = timer();
    make(g::__NR_timer_settime, [timer, 0, unseen([0u64, 0, 100, 0]), 0]);
    timer
}

fn timerfd() -> usize {
    make(g::__NR_timerfd_create, [1, 0])
}

fn set_timerfd() -> usize {
    let timer = timerfd();
    make(g::__NR_timerfd_settime, [timer, 0, unseen([0u64, 0, 100, 0]), 0]);
    timer
}

/// A word of 32 bits, in the flags of newer calls.
const WORD: usize = 2 | 128;

/// Who waits for a word that is 5.
fn waiter() -> [i64; 3] {
    [5, words([5]) as i64, WORD as i64]
}

pub static CALLS: &[Arguments] = &[
    (g::__NR_clock_gettime, |_| vec![1, vague(16)]),
    (g::__NR_clock_getres, |_| vec![1, room(16)]),
    // The time stays what it is.
    (g::__NR_clock_settime, |_| {
        nobody();
        vec![0, words([1_700_000_000, 0])]
    }),
    (g::__NR_gettimeofday, |_| vec![vague(16), room(8)]),
    (g::__NR_settimeofday, |_| vec![0, 0]),
    // Of no mode: only asks.
    (g::__NR_adjtimex, |_| vec![put(vague(208), [0; 26])]),
    (g::__NR_clock_adjtime, |_| vec![0, put(vague(208), [0; 26])]),
    (g::__NR_times, |_| vec![vague(32)]),
    (g::__NR_nanosleep, |_| vec![words(MILLISECOND), 0]),
    (g::__NR_nanosleep, |_| vec![words([0, -1]), 0]),
    (g::__NR_clock_nanosleep, |_| vec![1, 1, words(MILLISECOND), 0]),
    (g::__NR_clock_nanosleep, |_| vec![99, 0, words(MILLISECOND), 0]),
    (g::__NR_getitimer, |_| vec![1, room(32)]),
    (g::__NR_setitimer, |_| vec![1, words([0, 0, 100, 0]), room(32)]),
    (g::__NR_timer_create, |_| vec![1, words([0, 1 << 32, 0, 0, 0, 0, 0, 0]), room(4)]),
    (g::__NR_timer_settime, |_| vec![timer(), 0, words([0, 0, 100, 0]), room(32)]),
    (g::__NR_timer_gettime, |_| vec![set_timer(), vague(32)]),
    (g::__NR_timer_getoverrun, |_| vec![timer()]),
    (g::__NR_timer_delete, |_| vec![set_timer()]),
    (g::__NR_timerfd_create, |_| vec![1, 0]),
    (g::__NR_timerfd_settime, |_| vec![timerfd(), 0, words([0, 0, 100, 0]), room(32)]),
    (g::__NR_timerfd_gettime, |_| vec![set_timerfd(), vague(32)]),
    (g::__NR_futex, |_| vec![words([5]), libc::FUTEX_WAIT as usize, 5, words(MILLISECOND)]),
    (g::__NR_futex, |_| vec![words([5]), libc::FUTEX_WAIT as usize, 6, 0]),
    (g::__NR_futex, |_| vec![words([5]), libc::FUTEX_WAKE as usize, 6]),
    (g::__NR_futex_waitv, |_| {
        let [value, at, flags] = waiter();
        vec![words([value, at, flags]), 1, 0, words([0, 1]), 1]
    }),
    (g::__NR_futex_waitv, |_| {
        let [value, at, flags] = waiter();
        vec![words([value + 1, at, flags]), 1, 0, 0, 0]
    }),
    (g::__NR_futex_wait, |_| vec![words([5]), 5, u32::MAX as usize, WORD, words([0, 1]), 1]),
    (g::__NR_futex_wait, |_| vec![words([5]), 6, u32::MAX as usize, WORD, 0, 0]),
    (g::__NR_futex_wake, |_| vec![words([5]), u32::MAX as usize, 1, WORD]),
    (g::__NR_futex_requeue, |_| {
        let ([a, b, c], [d, e, f]) = (waiter(), waiter());
        vec![words([a, b, c, d, e, f]), 0, 1, 1]
    }),
];

#[cfg(target_arch = "x86_64")]
pub static OLD_CALLS: &[Arguments] =
    &[(g::__NR_alarm, |_| vec![100]), (g::__NR_time, |_| vec![vague(8)])];

#[cfg(not(target_arch = "x86_64"))]
pub static OLD_CALLS: &[Arguments] = &[];
