//! TIMEOUT, TIMEOUT_REMOVE and LINK_TIMEOUT.

use sysring_sys::abi::Timespec;
use sysring_sys::abi::io_uring::{LINK_TIMEOUT_UPDATE, op, timeout};
use sysring_sys::{Errno, Result, User, call};

use super::must_be_zero;
use crate::issue::Issued;
use crate::locked::Locked;
use crate::request::{Req, Stage, flag};
use crate::time::{comes, end_of_timer, nanoseconds};
use crate::user;

const CLOCKS: u32 = timeout::BOOTTIME | timeout::REALTIME;

/// `scratch` of a timeout: the time it was given in nanoseconds, and the CQEs it waits for.
const TIME: usize = 0;
pub const COUNT: usize = 1;

pub fn prepare(_: &mut Locked<'_>, mut req: Req) -> Result<()> {
    must_be_zero!(req, buf_index, file_index, addr3, pad2);
    let linked = req.sqe.opcode == op::LINK_TIMEOUT;
    let count = req.sqe.off as u32;
    if req.sqe.len != 1 || linked && count != 0 {
        return Err(Errno::EINVAL);
    }
    let flags = req.sqe.op_flags;
    let known = timeout::ABS
        | CLOCKS
        | timeout::ETIME_SUCCESS
        | timeout::MULTISHOT
        | timeout::IMMEDIATE_ARG;
    if flags & !known != 0 || flags & CLOCKS == CLOCKS {
        return Err(Errno::EINVAL);
    }
    if flags & timeout::MULTISHOT != 0 && flags & timeout::ABS != 0 {
        return Err(Errno::EINVAL);
    }
    req.scratch[TIME] = read_time(req.sqe.addr, flags)? as u64;
    req.scratch[COUNT] = u64::from(count);
    req.partner = None;
    Ok(())
}

/// The time of an SQE: behind a pointer, or (`IMMEDIATE_ARG`) the number itself, in nanoseconds.
fn read_time(arg: u64, flags: u32) -> Result<i64> {
    if flags & timeout::IMMEDIATE_ARG != 0 {
        return i64::try_from(arg).map_err(|_| Errno::EINVAL);
    }
    let time = user::read(User::<Timespec>::new(arg))?;
    if time.tv_sec < 0 || time.tv_nsec < 0 {
        return Err(Errno::EINVAL);
    }
    Ok(nanoseconds(&time))
}

/// The monotonic time at which a request's time is up, by the clock that `flags` name. One that is over
/// already is so since now: who began it earlier goes off earlier.
fn deadline(time: i64, flags: u32) -> i64 {
    let now = call::now(call::CLOCK_MONOTONIC);
    if flags & timeout::ABS == 0 {
        return end_of_timer(now, time);
    }
    let clock = match flags & CLOCKS {
        0 => return comes(time).map_or(i64::MAX, |at| at.max(now)),
        timeout::REALTIME => call::CLOCK_REALTIME,
        _ => call::CLOCK_BOOTTIME,
    };
    now.saturating_add(time.saturating_sub(call::now(clock)).max(0))
}

pub fn issue(ring: &mut Locked<'_>, mut req: Req) -> Issued {
    req.deadline = deadline(req.scratch[TIME] as i64, req.sqe.op_flags);
    if req.scratch[COUNT] != 0 {
        ring.count_from_now(req);
    }
    if ring.timers.insert(req).is_err() {
        return Issued::Done(Errno::ENOMEM.to_res());
    }
    ring.file(req, Stage::Timer);
    Issued::Held
}

/// A LINK_TIMEOUT is started by the request it watches; reached as a link of its own it has
/// nothing left to watch.
pub fn issue_linked(_: &mut Locked<'_>, _: Req) -> Issued {
    Issued::Done(Errno::ECANCELED.to_res())
}

impl Locked<'_> {
    /// Starts the LINK_TIMEOUT behind a request that did not complete inline.
    pub fn start_linked_timeout(&mut self, mut req: Req) {
        if !req.has(flag::ARM_LTIMEOUT) {
            return;
        }
        req.clear(flag::ARM_LTIMEOUT);
        let Some(mut timer) = req.link.filter(|next| next.sqe.opcode == op::LINK_TIMEOUT) else {
            return;
        };
        req.set(flag::LINK_TIMEOUT);
        req.partner = Some(timer);
        timer.partner = Some(req);
        timer.deadline = deadline(timer.scratch[TIME] as i64, timer.sqe.op_flags);
        if self.timers.insert(timer).is_ok() {
            self.file(timer, Stage::Timer);
        }
    }
}

pub fn prepare_remove(_: &mut Locked<'_>, mut req: Req) -> Result<()> {
    must_be_zero!(req, buf_index, len, file_index, addr3, pad2);
    super::plain_file_only(req).map_err(|_| Errno::EINVAL)?;
    let flags = req.sqe.op_flags;
    if flags & (timeout::UPDATE | LINK_TIMEOUT_UPDATE) != 0 {
        // Not the clock: that stays the timer's.
        let known = timeout::UPDATE | LINK_TIMEOUT_UPDATE | timeout::ABS | timeout::IMMEDIATE_ARG;
        if flags & !known != 0 {
            return Err(Errno::EINVAL);
        }
        req.scratch[TIME] = read_time(req.sqe.off, flags)? as u64;
    } else if flags != 0 {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

pub fn issue_remove(ring: &mut Locked<'_>, req: Req) -> Issued {
    // One whose time has come is not there any more.
    ring.fire_timers();
    let (flags, meant) = (req.sqe.op_flags, req.sqe.addr);
    // What is removed is no linked one, whatever else is said.
    let linked = flags & timeout::UPDATE != 0 && flags & LINK_TIMEOUT_UPDATE != 0;
    let found = match linked {
        true => ring.first_linked_timeout(meant),
        false => ring.first_timeout(Some(meant), |_| true),
    };
    let Some(timer) = found else { return Issued::Done(Errno::ENOENT.to_res()) };
    if flags & timeout::UPDATE == 0 {
        ring.take_down(timer);
        return Issued::Done(0);
    }
    Issued::of(update(ring, timer, req))
}

/// Has a timer wait for the time of `req` instead, by the clock that it has.
fn update(ring: &mut Locked<'_>, mut timer: Req, req: Req) -> Result<()> {
    let clock = timer.sqe.op_flags & CLOCKS;
    let time = req.scratch[TIME];
    let deadline = deadline(time as i64, clock | req.sqe.op_flags & timeout::ABS);
    if timer.sqe.opcode == op::LINK_TIMEOUT {
        ring.timers.postpone(timer, deadline);
        return Ok(());
    }
    ring.timers.remove(timer);
    // It counts no completions any more, and no shots: what is repeated is so for ever.
    timer.scratch = [time, 0];
    timer.deadline = deadline;
    ring.timers.insert(timer)?;
    ring.refile(timer);
    Ok(())
}
