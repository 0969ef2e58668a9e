//! Futexes and file locks: a try, and no time to wait.

use sysring_sys::Errno;
use sysring_sys::raw::general as g;

use super::{Attempt, Call, is_time, no_time};

const TIMED_OUT: isize = Errno::ETIMEDOUT.to_res() as isize;
const AGAIN: isize = Errno::EAGAIN.to_res() as isize;
const DENIED: isize = Errno::EACCES.to_res() as isize;

/// With a time that is over in argument `at`.
fn wait(call: &Call, at: usize) -> Attempt {
    if !is_time(call.args[at]) {
        return Attempt::Done(call.answer());
    }
    match call.with(at, no_time()).answer() {
        TIMED_OUT => Attempt::SLEEPER,
        answer => Attempt::Done(answer),
    }
}

pub fn futex(call: &Call, _: bool) -> Attempt {
    let op = call.args[1] as u32 & !(g::FUTEX_PRIVATE_FLAG | g::FUTEX_CLOCK_REALTIME);
    match op {
        g::FUTEX_WAIT | g::FUTEX_WAIT_BITSET => wait(call, 3),
        // The thread that waits becomes the owner: it has to be the one that asks.
        g::FUTEX_LOCK_PI | g::FUTEX_LOCK_PI2 | g::FUTEX_WAIT_REQUEUE_PI => {
            Attempt::failed(Errno::EOPNOTSUPP)
        }
        _ => Attempt::Done(call.answer()),
    }
}

pub fn futex_waitv(call: &Call, _: bool) -> Attempt {
    wait(call, 3)
}

pub fn futex_wait(call: &Call, _: bool) -> Attempt {
    wait(call, 4)
}

pub fn flock(call: &Call, _: bool) -> Attempt {
    let (how, no_wait) = (call.args[1], g::LOCK_NB as usize);
    match call.with(1, how | no_wait).answer() {
        AGAIN if how & no_wait == 0 => Attempt::SLEEPER,
        answer => Attempt::Done(answer),
    }
}

pub fn fcntl(call: &Call, _: bool) -> Attempt {
    let instead = match call.args[1] as u32 {
        g::F_SETLKW => g::F_SETLK,
        g::F_OFD_SETLKW => g::F_OFD_SETLK,
        _ => return Attempt::Done(call.answer()),
    };
    match call.with(1, instead as usize).answer() {
        AGAIN | DENIED => Attempt::SLEEPER,
        answer => Attempt::Done(answer),
    }
}
