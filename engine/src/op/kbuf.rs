//! PROVIDE_BUFFERS and REMOVE_BUFFERS.

use sysring_sys::{Errno, Result, User};

use super::{MAX_RW_COUNT, check_range, must_be_zero};
use crate::issue::Issued;
use crate::kbuf::Run;
use crate::locked::Locked;
use crate::request::Req;

/// Buffers of a group are numbered in 16 bits.
const MOST: u32 = 1 << 16;

pub fn prepare_provide(_: &mut Locked<'_>, req: Req) -> Result<()> {
    must_be_zero!(req, op_flags, file_index);
    let (count, len) = (req.sqe.fd as u32, req.sqe.len);
    if count == 0 || count > MOST {
        return Err(Errno::E2BIG);
    }
    if len == 0 {
        return Err(Errno::EINVAL);
    }
    let size = u64::from(len) * u64::from(count);
    req.sqe.addr.checked_add(size).ok_or(Errno::EOVERFLOW)?;
    check_range(User::new(req.sqe.addr), size as usize)?;
    if req.sqe.off >= u64::from(MOST) {
        return Err(Errno::E2BIG);
    }
    if req.sqe.off as u32 + count > MOST {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

pub fn issue_provide(ring: &mut Locked<'_>, req: Req) -> Issued {
    let run = Run {
        next: None,
        address: req.sqe.addr,
        // One that is longer than a transfer may be still lies as far from the next.
        len: req.sqe.len.min(MAX_RW_COUNT as u32),
        stride: req.sqe.len,
        id: req.sqe.off as u16,
        count: req.sqe.fd as u32,
    };
    Issued::of(ring.groups.provide(req.sqe.buf_index, run))
}

pub fn prepare_remove(_: &mut Locked<'_>, req: Req) -> Result<()> {
    must_be_zero!(req, op_flags, addr, len, off, file_index);
    let count = req.sqe.fd as u32;
    if count == 0 || count > MOST { Err(Errno::EINVAL) } else { Ok(()) }
}

pub fn issue_remove(ring: &mut Locked<'_>, req: Req) -> Issued {
    Issued::of(ring.groups.remove_buffers(req.sqe.buf_index, req.sqe.fd as u32))
}
