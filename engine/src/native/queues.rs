//! System V and POSIX queues, semaphores, pipes spliced, random bytes: each with its own way to say
//! "do not wait".

use sysring_sys::Errno;
use sysring_sys::raw::general as g;

use super::{Attempt, Call, is_nonblocking, is_time, no_time};

const IPC_NOWAIT: usize = 0o4000;

const AGAIN: isize = Errno::EAGAIN.to_res() as isize;
const NO_MESSAGE: isize = Errno::ENOMSG.to_res() as isize;
const TIMED_OUT: isize = Errno::ETIMEDOUT.to_res() as isize;

/// With a flag in argument `at` that makes the call answer `blocked` where it would block.
fn flagged(call: &Call, at: usize, flag: usize, blocked: isize) -> Attempt {
    let given = call.args[at];
    match call.with(at, given | flag).answer() {
        answer if answer == blocked && given & flag == 0 => Attempt::SLEEPER,
        answer => Attempt::Done(answer),
    }
}

pub fn msgsnd(call: &Call, _: bool) -> Attempt {
    flagged(call, 3, IPC_NOWAIT, AGAIN)
}

pub fn msgrcv(call: &Call, _: bool) -> Attempt {
    flagged(call, 4, IPC_NOWAIT, NO_MESSAGE)
}

/// Operations that do not wait say so each for itself, and answer `EAGAIN` again.
pub fn semop(call: &Call, _: bool) -> Attempt {
    if call.nr == g::__NR_semtimedop && !is_time(call.args[3]) {
        return Attempt::Done(call.answer());
    }
    let [id, operations, count, ..] = call.args;
    let now = [id, operations, count, no_time(), 0, 0];
    match (Call { nr: g::__NR_semtimedop, args: now }).answer() {
        AGAIN => Attempt::SLEEPER,
        answer => Attempt::Done(answer),
    }
}

/// `mq_timedsend` and `mq_timedreceive`.
pub fn mq_timed(call: &Call, _: bool) -> Attempt {
    if !is_time(call.args[4]) {
        return Attempt::Done(call.answer());
    }
    match call.with(4, no_time()).answer() {
        TIMED_OUT => Attempt::SLEEPER,
        answer => Attempt::Done(answer),
    }
}

pub fn getrandom(call: &Call, _: bool) -> Attempt {
    flagged(call, 2, g::GRND_NONBLOCK as usize, AGAIN)
}

/// Of the files of `splice` one may have to be read from a disk.
pub fn splice(call: &Call, _: bool) -> Attempt {
    flagged(call, 5, g::SPLICE_F_NONBLOCK as usize, AGAIN)
}

pub fn tee(call: &Call, _: bool) -> Attempt {
    flagged(call, 3, g::SPLICE_F_NONBLOCK as usize, AGAIN)
}

pub fn vmsplice(call: &Call, _: bool) -> Attempt {
    if call.args[3] & g::SPLICE_F_NONBLOCK as usize != 0 || is_nonblocking(call.fd(0)) {
        return Attempt::Done(call.answer());
    }
    Attempt::SLEEPER
}

pub fn sendfile(call: &Call, _: bool) -> Attempt {
    if is_nonblocking(call.fd(0)) { Attempt::Done(call.answer()) } else { Attempt::SLEEPER }
}
