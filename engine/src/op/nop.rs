//! NOP: nothing, asynchronously.

use sysring_sys::abi::io_uring::setup;
use sysring_sys::{Errno, Result};

use crate::issue::Issued;
use crate::locked::Locked;
use crate::request::{Req, flag};

const INJECT_RESULT: u32 = 1 << 0;
const FILE: u32 = 1 << 1;
const FIXED_FILE: u32 = 1 << 2;
const FIXED_BUFFER: u32 = 1 << 3;
const TW: u32 = 1 << 4;
const CQE32: u32 = 1 << 5;
const KNOWN: u32 = INJECT_RESULT | FILE | FIXED_FILE | FIXED_BUFFER | TW | CQE32;

pub fn prepare(ring: &mut Locked<'_>, mut req: Req) -> Result<()> {
    let flags = req.sqe.op_flags;
    if flags & !KNOWN != 0 {
        return Err(Errno::EINVAL);
    }
    if flags & CQE32 != 0 {
        if !ring.ring.shape().has(setup::CQE32 | setup::CQE_MIXED) {
            return Err(Errno::EINVAL);
        }
        req.scratch = [req.sqe.off, req.sqe.addr];
    }
    Ok(())
}

pub fn issue(ring: &mut Locked<'_>, mut req: Req) -> Issued {
    (req.res, req.cflags) = (0, 0);
    if req.sqe.op_flags != 0 {
        as_told(ring, req);
    }
    Issued::Set
}

/// What its flags say is to be looked up, and to be answered.
#[cold]
fn as_told(ring: &mut Locked<'_>, mut req: Req) {
    let flags = req.sqe.op_flags;
    if flags & CQE32 != 0 {
        // One that is refused with its link has a narrow one.
        req.set(flag::WIDE_CQE);
    }
    let mut res = if flags & INJECT_RESULT != 0 { req.sqe.len as i32 } else { 0 };
    if flags & FILE != 0 {
        let found = if flags & FIXED_FILE != 0 || req.has(flag::FIXED_FILE) {
            ring.files.get(req.sqe.fd as u32).is_ok()
        } else {
            sysring_sys::call::fcntl(
                sysring_sys::Fd::new(req.sqe.fd),
                sysring_sys::raw::general::F_GETFD,
                0,
            )
            .is_ok()
        };
        if !found {
            res = Errno::EBADF.to_res();
        }
    }
    if flags & FIXED_BUFFER != 0 && ring.buffers.get(req.sqe.buf_index).is_err() {
        res = Errno::EFAULT.to_res();
    }
    if res < 0 {
        ring.fail(req);
    }
    req.res = res;
}
