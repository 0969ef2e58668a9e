//! ASYNC_CANCEL.

use sysring_sys::abi::io_uring::cancel;
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
    let parsed = Match::parse(req.sqe.op_flags, req.sqe.addr, req.sqe.fd, req.sqe.len);
    // A timer whose time has come is not there any more to be cancelled.
    ring.fire_timers();
    let answer = parsed.and_then(|mut what| {
        if req.has(flag::FIXED_FILE) && req.sqe.op_flags & cancel::FD != 0 {
            what.flags |= cancel::FD_FIXED;
        }
        ring.cancel(&what)
    });
    match answer {
        Ok(n) => Issued::Done(n as i32),
        Err(e) => Issued::Done(e.to_res()),
    }
}
