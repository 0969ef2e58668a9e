//! ASYNC_CANCEL.

use sysring_sys::abi::io_uring::{Sqe, cancel};
use sysring_sys::{Errno, Result};

use super::must_be_zero;
use crate::cancel::Match;
use crate::issue::Issued;
use crate::locked::Locked;
use crate::request::{Req, flag};

pub fn prepare(_: &mut Locked<'_>, req: Req) -> Result<()> {
    if req.has(flag::BUFFER_SELECT) {
        return Err(Errno::EINVAL);
    }
    must_be_zero!(req, off, file_index);
    Match::parse(req.sqe.op_flags, req.sqe.addr, req.sqe.fd, req.sqe.len).map(drop)
}

pub fn issue(ring: &mut Locked<'_>, req: Req) -> Issued {
    let mut sqe = req.sqe;
    // Where the descriptor is an index, the flag on the entry counts.
    if req.has(flag::FIXED_FILE) && sqe.op_flags & cancel::FD != 0 {
        sqe.op_flags |= cancel::FD_FIXED;
    }
    let mut answer = carry_out(ring, &sqe);
    // Nothing there that could be cancelled: it may be a parent's.
    if answer == 0 && sqe.op_flags & (cancel::ALL | cancel::ANY) != 0
        || answer == Errno::ENOENT.to_res()
    {
        answer = ring.ask_parent(&sqe).unwrap_or(answer);
    }
    Issued::Done(answer)
}

/// Cancels what an entry means, among the requests of this process.
pub fn carry_out(ring: &mut Locked<'_>, sqe: &Sqe) -> i32 {
    // A timer whose time has come is not there any more to be cancelled.
    ring.fire_timers();
    let parsed = Match::parse(sqe.op_flags, sqe.addr, sqe.fd, sqe.len);
    match parsed.and_then(|what| ring.cancel(&what)) {
        Ok(n) => n as i32,
        Err(e) => e.to_res(),
    }
}
