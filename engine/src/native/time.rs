//! Sleeping: a thread does it, where the time is one that can be slept.

use sysring_sys::abi::{NSEC_PER_SEC, Timespec};
use sysring_sys::{Result, User};

use super::{Attempt, Call};
use crate::user;

pub fn nanosleep(call: &Call, _: bool) -> Attempt {
    sleep(call, call.args[0])
}

pub fn clock_nanosleep(call: &Call, _: bool) -> Attempt {
    sleep(call, call.args[2])
}

fn sleep(call: &Call, time: usize) -> Attempt {
    let time: Result<Timespec> = user::read(User::new(time as u64));
    match time {
        Ok(time) if (0..NSEC_PER_SEC).contains(&time.tv_nsec) && time.tv_sec >= 0 => {
            Attempt::SLEEPER
        }
        // Of no length, or none that the call takes.
        _ => Attempt::Done(call.answer()),
    }
}
