//! Waiting for children: `WNOHANG`.

use sysring_sys::raw::general as g;
use sysring_sys::{Errno, User};

use super::{Attempt, Call};
use crate::user;

pub fn wait4(call: &Call, _: bool) -> Attempt {
    let options = call.args[2];
    let no_hang = g::WNOHANG as usize;
    match call.with(2, options | no_hang).answer() {
        0 if options & no_hang == 0 => Attempt::SLEEPER,
        answer => Attempt::Done(answer),
    }
}

/// A `siginfo_t`, and where in it stands which child it was.
type Info = [i32; 32];
const PID: usize = 4;
/// What `waitid` writes of it: signal, error, code; and behind a gap child, user, status.
const PARTS: [core::ops::Range<usize>; 2] = [0..3, PID..PID + 3];

pub fn waitid(call: &Call, _: bool) -> Attempt {
    let (to, options) = (call.args[2], call.args[3]);
    let no_hang = g::WNOHANG as usize;
    if options & no_hang != 0 {
        return Attempt::Done(call.answer());
    }
    let mut info: Info = [0; 32];
    let now = call.with(2, &raw mut info as usize).with(3, options | no_hang);
    let answer = now.answer();
    if answer == 0 && info[PID] == 0 {
        return Attempt::SLEEPER;
    }
    if answer == 0 && to != 0 {
        for part in PARTS {
            let at = User::<i32>::new(to as u64).add(part.start);
            if user::write_slice(at, &info[part]).is_err() {
                return Attempt::failed(Errno::EFAULT);
            }
        }
    }
    Attempt::Done(answer)
}
