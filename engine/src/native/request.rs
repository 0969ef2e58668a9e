//! Native calls that have become requests: the row that the road knows them by.

use sysring_events::Event;
use sysring_events::attr::{Answers, Trace};
use sysring_sys::abi::io_uring::Sqe;
use sysring_sys::{Errno, Result, User, call};

use super::asked::{self, Next};
use super::table::{self, How, NONE};
use super::{Attempt, Call, Then, direct, keep};
use crate::issue::Issued;
use crate::locked::Locked;
use crate::op::table::{Row, UNKNOWN};
use crate::request::{File, Req, flag};
use crate::sleeper;
use crate::user;

/// The operation code of a native call: none of io_uring's.
pub const CODE: u8 = 0xff;

pub static ROW: Row = Row {
    name: "native call",
    flags: 0,
    prepare: |_, _| Ok(()),
    issue: again,
    stabilise: Some(keep::copy),
    work: Some(work),
    finish: Some(finish),
    tell: Some(tell),
    ..UNKNOWN
};

/// Where an answer goes: an event in the context's ring that carries this word, or a word of the
/// application's that is written and woken (`User::NULL`: none).
#[derive(Clone, Copy, Debug, Default)]
pub struct To {
    pub user_data: u64,
    pub slot: User<i64>,
}

/// Begins a request for a call that would block.
pub fn begin(mut req: Req, call: &Call, to: To) {
    let (user_data, addr) = (to.user_data, to.slot.address());
    req.begin(&Sqe { opcode: CODE, user_data, addr, ..Sqe::default() }, &ROW);
    req.call = *call;
    if let Some(row) = table::row(call.nr)
        && row.fd != NONE
    {
        req.file = File::named(call.fd(row.fd));
    }
}

/// The call as it is to be made now: on the open file that the request keeps.
pub fn live(req: Req) -> Call {
    match table::row(req.call.nr) {
        Some(row) if row.fd != NONE => req.call.with(row.fd, req.file.fd.raw() as usize),
        _ => req.call,
    }
}

/// Its descriptor is ready.
fn again(ring: &mut Locked<'_>, req: Req) -> Issued {
    let attempt = once_more(req);
    follow(ring, req, attempt)
}

fn once_more(req: Req) -> Attempt {
    match table::how(req.call.nr) {
        How::Attempt(attempt, _) => {
            if let Err(e) = asked::before(req) {
                return Attempt::failed(e);
            }
            let attempt = attempt(&live(req), true);
            asked::after(req);
            attempt
        }
        _ => Attempt::WORKER,
    }
}

/// What an attempt means for the request.
pub fn follow(ring: &mut Locked<'_>, mut req: Req, mut attempt: Attempt) -> Issued {
    let then = loop {
        match attempt {
            Attempt::Done(answer) => {
                // Who hands an answer in need not be who may make the call.
                let mine = req.creds.is_none();
                attempt = match asked::next(ring, req, answer) {
                    Next::Over => return Issued::Done(settle(req, answer)),
                    Next::Now if mine => once_more(req),
                    Next::Later if mine => Attempt::SLEEPER,
                    Next::Now | Next::Later => Attempt::WORKER,
                };
            }
            Attempt::Blocked { moved: 0, then } => break then,
            Attempt::Blocked { moved, then } => {
                if ring.stabilise(req).is_err() || !keep::advance(req, moved) {
                    // The rest cannot be remembered: what has moved is the answer.
                    return Issued::Done(settle(req, moved as isize));
                }
                req.done += moved as u32;
                break then;
            }
        }
    };
    asked::take_path(req, then);
    match then {
        Then::Ready(events) => Issued::Wait(events),
        Then::Aio => direct::issue(ring, req),
        Then::Worker => Issued::Work,
        Then::Sleeper => sleep(ring, req),
    }
}

/// To a thread of its own; where there is none, to a worker, who may be long.
fn sleep(ring: &mut Locked<'_>, mut req: Req) -> Issued {
    if let Err(e) = ring.stabilise(req) {
        return Issued::Done(settle(req, e.to_res() as isize));
    }
    if let Err(e) = ring.hold_file(req) {
        return Issued::Done(settle(req, e.to_res() as isize));
    }
    if req.is_bare() || sleeper::give(req).is_err() {
        req.scratch[0] = 0;
        req.set(flag::MAY_WAIT);
        return Issued::Work;
    }
    match ring.leave_to_sleeper(req) {
        Issued::Done(res) => {
            req.res = res;
            Issued::Done(settle(req, answer(req) as isize))
        }
        issued => issued,
    }
}

/// On a worker or a sleeper. The whole answer does not fit: it is left in the request.
fn work(mut req: Req) -> i32 {
    let call = live(req);
    // Also of one that kernel AIO would not do.
    asked::take_path(req, Then::Worker);
    let answer = make(req, &call).unwrap_or_else(|e| e.to_res() as isize);
    req.scratch[1] = answer as u64;
    in_short(answer)
}

fn make(req: Req, call: &Call) -> Result<isize> {
    let sleeps = req.scratch[0] != 0;
    let recalled = || match sleeps {
        // SAFETY: the word is 0 but for a request that was given to a sleeper, which this runs on then.
        true => unsafe { sleeper::of(req) }.is_recalled(),
        false => req.is_to_stop(),
    };
    asked::pause(req);
    if recalled() {
        return Err(Errno::EINTR);
    }
    asked::before(req)?;
    let answer = loop {
        match call.answer() {
            answer if answer == Errno::EINTR.to_res() as isize && sleeps && !recalled() => {}
            answer => break answer,
        }
    };
    asked::after(req);
    Ok(answer)
}

/// What there is of an answer in 32 bits: whether it is an error, and which.
fn in_short(answer: isize) -> i32 {
    match Errno::from_ret(answer) {
        Ok(_) => 0,
        Err(e) => e.to_res(),
    }
}

/// After a thread, or kernel AIO.
fn finish(ring: &mut Locked<'_>, req: Req) -> Issued {
    asked::take_back(req);
    follow(ring, req, Attempt::Done(answer(req) as isize))
}

/// Leaves the whole answer in the request: with what had moved before.
fn settle(mut req: Req, answer: isize) -> i32 {
    let whole = if answer >= 0 { answer + req.done as isize } else { answer };
    req.scratch[1] = whole as u64;
    in_short(whole)
}

/// The answer of a request that is complete, or of the part of it that a thread or kernel AIO has done.
fn answer(req: Req) -> i64 {
    match req.res {
        // Of kernel AIO. Or of a transfer that failed, or was cancelled, later: what had moved.
        res if res > 0 => i64::from(res),
        0 => req.scratch[1] as i64,
        res => i64::from(res),
    }
}

fn tell(ring: &mut Locked<'_>, req: Req) -> bool {
    let answer = answer(req);
    let slot = User::<i64>::new(req.sqe.addr);
    if !slot.is_null() {
        let _ = fill(slot, answer);
        return true;
    }
    let mut answers = Answers::none();
    asked::answer(req, answer as isize, &mut answers);
    if req.sqe.user_data != 0 && answers.get::<Trace>().is_none() {
        answers.set(&Trace(req.sqe.user_data));
    }
    let told = ring.post_event(&Event::new(req.ticket(), answer).with(&answers));
    if told {
        asked::forget(req);
    }
    told
}

impl Locked<'_> {
    /// Puts an event into the context's ring; whether there was room, and nothing before it waits.
    fn post_event(&mut self, event: &Event<'_>) -> bool {
        let Some(events) = self.ring.events().filter(|_| !self.closing) else { return true };
        if !self.untold.is_empty() && !self.retelling {
            return false;
        }
        if events.push(event) == Err(Errno::ENOBUFS) {
            return false;
        }
        // An event that cannot be put there at all, because the memory was overwritten by who shares
        // it, is theirs to miss.
        self.cq_count_event();
        self.posted += 1;
        true
    }
}

/// What a slot holds until its answer is there. No call answers this.
pub const PENDING: i64 = i64::MIN;

/// Writes an answer, and wakes who sleeps on the word's upper half, which differs from that of
/// [`PENDING`] whatever the answer is.
///
/// # Errors
/// `EFAULT`.
pub fn fill(slot: User<i64>, answer: i64) -> Result<()> {
    user::write(slot, &answer)?;
    call::futex_wake_bitset(upper_half(slot), i32::MAX, u32::MAX, false).map(drop)
}

/// The word that changes when an answer comes.
#[must_use]
pub fn upper_half(slot: User<i64>) -> User<u32> {
    slot.cast::<u32>().add(1)
}
