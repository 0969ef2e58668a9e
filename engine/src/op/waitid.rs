//! WAITID: the end of a child, or its stop.
//!
//! The end of one child is waited for through its pidfd. For any of several, and for stops, there
//! is nothing to poll: a sleeper makes the call.

use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, User, call};

use super::must_be_zero;
use crate::issue::{Issued, res};
use crate::locked::Locked;
use crate::request::{File, Req, flag};
use crate::{descriptors, sleeper, user};

/// A `siginfo_t`, as `waitid(2)` fills it.
type Info = [i32; 32];
const NOTHING: Info = [0; 32];
/// What tells which child it was.
const PID: usize = 4;

/// Which children, how, and where the answer is to go.
fn which(req: Req) -> (u32, i32, u32) {
    (req.sqe.len, req.sqe.fd, req.sqe.file_index)
}

pub fn prepare(_: &mut Locked<'_>, req: Req) -> Result<()> {
    must_be_zero!(req, addr, buf_index, addr3, op_flags);
    Ok(())
}

/// First, and again when a pidfd is readable.
pub fn issue(ring: &mut Locked<'_>, mut req: Req) -> Issued {
    let (which, id, options) = which(req);
    let by_pidfd = which == g::P_PIDFD;
    // The number may have become another file's.
    let id = if by_pidfd && req.file.owned { req.file.fd.raw() } else { id };
    let mut info = NOTHING;
    // SAFETY: an array of ours.
    let answer = unsafe { call::waitid(which, id, User::of(&raw mut info), options | g::WNOHANG) };
    if answer.is_err() || info[PID] != 0 || options & g::WNOHANG != 0 {
        return Issued::Done(tell(req, answer, &info));
    }
    let fd = Fd::new(id);
    if by_pidfd && call::file_flags(fd).is_ok_and(|flags| flags & g::O_NONBLOCK != 0) {
        return Issued::Done(tell(req, answer, &info));
    }
    let ends_only = options & (g::WSTOPPED | g::WCONTINUED) == 0;
    if ends_only && by_pidfd && !req.file.owned {
        req.file = File::named(fd);
        match ring.hold_file(req) {
            Ok(()) if req.is_bare() => return Issued::Done(Errno::EMFILE.to_res()),
            Ok(()) => {}
            Err(e) => return Issued::Done(e.to_res()),
        }
    } else if ends_only
        && which == g::P_PID
        && !req.file.owned
        && let Ok(fd) = call::pidfd_open(id).and_then(descriptors::keep)
    {
        req.file = File::owned(fd);
    }
    match req.file.owned {
        true if !req.has(flag::UNPOLLABLE) => Issued::Wait(g::EPOLLIN),
        _ => sleep(ring, req),
    }
}

fn sleep(ring: &mut Locked<'_>, mut req: Req) -> Issued {
    if let Err(e) = req.copied.reserve(size_of::<Info>()).and_then(|_| sleeper::give(req)) {
        return Issued::Done(e.to_res());
    }
    match ring.leave_to_sleeper(req) {
        Issued::Done(answer) => {
            req.res = answer;
            finish(ring, req)
        }
        issued => issued,
    }
}

/// The copy of what the call has told.
fn info(req: Req) -> User<Info> {
    req.copied.start().map_or(User::NULL, |start| User::of(start.as_ptr().cast::<Info>()))
}

/// On a sleeper.
pub fn work(req: Req) -> i32 {
    let (which, id, options) = which(req);
    let id = if which == g::P_PIDFD && req.file.owned { req.file.fd.raw() } else { id };
    // SAFETY: this runs on the sleeper that the request was given to.
    let sleeper = unsafe { sleeper::of(req) };
    loop {
        // SAFETY: what the request has copied, if anything, is used by nobody else while it is with its
        // sleeper.
        match unsafe { call::waitid(which, id, info(req), options) } {
            Err(Errno::EINTR) if !sleeper.is_recalled() => {}
            answer => return res(answer),
        }
    }
}

pub fn finish(_: &mut Locked<'_>, req: Req) -> Issued {
    let answer = match Errno::from_raw(-req.res) {
        Some(e) => Err(e),
        None => Ok(()),
    };
    let info = if answer.is_ok() { user::read(info(req)) } else { Ok(NOTHING) };
    Issued::Done(info.map_or_else(|e| e.to_res(), |info| tell(req, answer, &info)))
}

pub fn cancelled(req: Req) {
    tell(req, Ok(()), &NOTHING);
}

/// Tells the application what came of it, or that nothing has.
fn tell(req: Req, answer: Result<()>, info: &Info) -> i32 {
    match answer {
        // No children at all is found out when they are looked for, and told like none that ended.
        Ok(()) | Err(Errno::ECHILD) => match write(req, info) {
            Ok(()) => res(answer),
            Err(e) => e.to_res(),
        },
        Err(e) => e.to_res(),
    }
}

/// Signal, error, code; and after a gap child, user, status.
fn write(req: Req, info: &Info) -> Result<()> {
    let to = User::<i32>::new(req.sqe.off);
    if to.is_null() {
        return Ok(());
    }
    user::write(to.cast(), &[info[0], info[1], info[2]])?;
    user::write(to.add(PID).cast(), &[info[PID], info[PID + 1], info[PID + 2]])
}
