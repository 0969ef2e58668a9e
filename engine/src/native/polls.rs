//! Waiting for descriptors: the same call with no time to wait.

use sysring_sys::User;
use sysring_sys::abi::{NSEC_PER_SEC, Timespec};

use super::{Attempt, Call, READABLE, no_time};
use crate::user;

/// No time at all.
const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// Asks without waiting; where nothing has come, waits on a thread.
fn ask(now: &Call) -> Attempt {
    match now.answer() {
        0 => Attempt::SLEEPER,
        answer => Attempt::Done(answer),
    }
}

#[cfg(target_arch = "x86_64")]
pub fn poll(call: &Call, _: bool) -> Attempt {
    if call.args[2] as i32 == 0 {
        return Attempt::Done(call.answer());
    }
    ask(&call.with(2, 0))
}

pub fn ppoll(call: &Call, _: bool) -> Attempt {
    if is_over(call.args[2]) {
        return Attempt::Done(call.answer());
    }
    // The call writes what is left of the time, which is none.
    let mut now = NOW;
    ask(&call.with(2, &raw mut now as usize))
}

/// `select` and `pselect6` empty their sets when nothing has come: they are asked only once.
pub fn select(call: &Call, _: bool) -> Attempt {
    if is_over(call.args[4]) { Attempt::Done(call.answer()) } else { Attempt::SLEEPER }
}

/// `epoll_wait` and `epoll_pwait`.
pub fn epoll_wait(call: &Call, _: bool) -> Attempt {
    match call.args[3] as i32 {
        0 => Attempt::Done(call.answer()),
        time => epoll(&call.with(3, 0), time < 0),
    }
}

pub fn epoll_pwait2(call: &Call, _: bool) -> Attempt {
    let time = call.args[3];
    if is_over(time) {
        return Attempt::Done(call.answer());
    }
    epoll(&call.with(3, no_time()), time == 0)
}

/// An epoll instance polls itself: where there is no limit, no thread is needed.
fn epoll(now: &Call, endless: bool) -> Attempt {
    match now.answer() {
        0 if endless => Attempt::ready(READABLE),
        0 => Attempt::SLEEPER,
        answer => Attempt::Done(answer),
    }
}

/// Whether a call would not wait: there is no time, or it cannot be read.
fn is_over(time: usize) -> bool {
    time != 0
        && match user::read::<Timespec>(User::new(time as u64)) {
            Ok(time) => time.tv_sec <= 0 && time.tv_nsec <= 0 || time.tv_nsec >= NSEC_PER_SEC,
            Err(_) => true,
        }
}
