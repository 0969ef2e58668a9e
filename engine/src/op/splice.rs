//! SPLICE and TEE: bytes between files without a copy through memory of ours.
//!
//! Either side may make the other wait, and no readiness speaks for both: a worker waits.

use sysring_sys::abi::io_uring::op;
use sysring_sys::raw::general::{O_ACCMODE, O_PATH, O_RDONLY, O_WRONLY};
use sysring_sys::{Errno, Fd, Result, User, call};

use super::must_be_zero;
use crate::issue::{Issued, res};
use crate::locked::Locked;
use crate::request::{Req, flag};

/// The source is a registered file.
const FD_IN_FIXED: u32 = 1 << 31;
/// `SPLICE_F_MOVE`, `NONBLOCK`, `MORE`, `GIFT`.
const ALL: u32 = 0xf;

pub fn prepare(_: &mut Locked<'_>, req: Req) -> Result<()> {
    if req.sqe.opcode == op::TEE {
        must_be_zero!(req, off, addr);
    }
    if req.sqe.op_flags & !(ALL | FD_IN_FIXED) != 0 {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

pub fn issue(ring: &mut Locked<'_>, mut req: Req) -> Issued {
    req.set(flag::MAY_WAIT);
    let fixed = req.sqe.op_flags & FD_IN_FIXED != 0;
    match ring.hold_other(req, req.sqe.file_index as i32, fixed) {
        Ok(()) => Issued::Work,
        Err(e) => Issued::Done(e.to_res()),
    }
}

pub fn work(req: Req) -> i32 {
    let (from, to, len) = (req.other.fd, req.file.fd, req.sqe.len as usize);
    let flags = req.sqe.op_flags & ALL;
    // Where nothing is to be moved, the system calls do not look at the files.
    if len == 0 {
        let both = is_a_file(from) && is_a_file(to);
        return if both { 0 } else { Errno::EBADF.to_res() };
    }
    if req.sqe.opcode == op::TEE {
        return res(call::tee(from, to, len, flags));
    }
    // -1 is the file's own position, and what a pipe needs.
    let (mut from_at, mut to_at) = (req.sqe.addr as i64, req.sqe.off as i64);
    let place = |at: &mut i64| if *at == -1 { User::NULL } else { User::of(&raw mut *at) };
    let (from_at, to_at) = (place(&mut from_at), place(&mut to_at));
    // SAFETY: both positions are ours.
    match unsafe { call::splice(from, from_at, to, to_at, len, flags) } {
        // The system call looks at offsets first, io_uring at what the files are open for.
        Err(Errno::ESPIPE) if !is_open_for(from, O_WRONLY) || !is_open_for(to, O_RDONLY) => {
            Errno::EBADF.to_res()
        }
        answer => res(answer),
    }
}

fn is_a_file(fd: Fd) -> bool {
    call::file_flags(fd).is_ok_and(|flags| flags & O_PATH == 0)
}

/// Whether a file is open for more than what `mode` says.
fn is_open_for(fd: Fd, mode: u32) -> bool {
    call::file_flags(fd).is_ok_and(|flags| flags & O_ACCMODE != mode)
}

/// A short splice fails its link.
pub fn finish(ring: &mut Locked<'_>, req: Req) -> Issued {
    if req.res >= 0 && req.res as u32 != req.sqe.len {
        ring.fail(req);
        return Issued::Set;
    }
    Issued::Done(req.res)
}
