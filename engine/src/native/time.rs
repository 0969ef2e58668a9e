//! Sleeping: a thread does it, where the time is one that can be slept.

use super::{Attempt, Call, is_time};

pub fn nanosleep(call: &Call, _: bool) -> Attempt {
    sleep(call, call.args[0])
}

pub fn clock_nanosleep(call: &Call, _: bool) -> Attempt {
    sleep(call, call.args[2])
}

fn sleep(call: &Call, time: usize) -> Attempt {
    // Of no length, or none that the call takes: it says so at once.
    if time != 0 && is_time(time) { Attempt::SLEEPER } else { Attempt::Done(call.answer()) }
}
