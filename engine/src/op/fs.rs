//! Paths and metadata.
//!
//! A path is read by the kernel from the application's memory. Where a request leaves the
//! submitter the strings must stay valid, as they must for the kernel's own io_uring until the
//! submission has returned: they are copied.

use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, User, call};

use super::{must_be_zero, plain_file_only};
use crate::issue::{Issued, res};
use crate::locked::Locked;
use crate::path;
use crate::request::Req;

/// A directory's lock or a journal may make who changes names wait: left to workers, one of whom does
/// them back to back.
pub fn issue_on_worker(_: &mut Locked<'_>, _: Req) -> Issued {
    Issued::Work
}

pub fn prepare_statx(_: &mut Locked<'_>, req: Req) -> Result<()> {
    must_be_zero!(req, buf_index, file_index);
    plain_file_only(req)?;
    path::copy_or_empty(req, User::new(req.sqe.addr), req.sqe.op_flags)
}

pub fn issue_statx(_: &mut Locked<'_>, req: Req) -> Issued {
    Issued::Done(work_statx(req))
}

/// How fresh the answer must be (`AT_STATX_SYNC_TYPE`).
const SYNC_TYPE: u32 = 0x6000;

pub fn work_statx(req: Req) -> i32 {
    let out = User::new(req.sqe.off);
    let known = g::AT_SYMLINK_NOFOLLOW | g::AT_NO_AUTOMOUNT | g::AT_EMPTY_PATH | SYNC_TYPE;
    if req.sqe.op_flags & !known != 0 {
        // The system call does not look where there is no path.
        return Errno::EINVAL.to_res();
    }
    let (dir, path) = (Fd::new(req.sqe.fd), path::first(req));
    // SAFETY: `out` is the application's, which asked for it.
    res(unsafe { call::statx(dir, path, req.sqe.op_flags, req.sqe.len, out) })
}

pub fn prepare_unlinkat(_: &mut Locked<'_>, req: Req) -> Result<()> {
    must_be_zero!(req, off, len, buf_index, file_index);
    plain_file_only(req)?;
    if req.sqe.op_flags & !g::AT_REMOVEDIR != 0 {
        return Err(Errno::EINVAL);
    }
    path::copy(req, User::new(req.sqe.addr))
}

pub fn work_unlinkat(req: Req) -> i32 {
    res(call::unlinkat(Fd::new(req.sqe.fd), path::first(req), req.sqe.op_flags))
}

pub fn prepare_renameat(_: &mut Locked<'_>, req: Req) -> Result<()> {
    must_be_zero!(req, buf_index, file_index);
    plain_file_only(req)?;
    path::copy_two(req, User::new(req.sqe.addr), User::new(req.sqe.off))
}

pub fn work_renameat(req: Req) -> i32 {
    let (from, to) = (Fd::new(req.sqe.fd), Fd::new(req.sqe.len as i32));
    res(call::renameat2(from, path::first(req), to, path::second(req), req.sqe.op_flags))
}

pub fn prepare_mkdirat(_: &mut Locked<'_>, req: Req) -> Result<()> {
    must_be_zero!(req, off, op_flags, buf_index, file_index);
    plain_file_only(req)?;
    path::copy(req, User::new(req.sqe.addr))
}

pub fn work_mkdirat(req: Req) -> i32 {
    res(call::mkdirat(Fd::new(req.sqe.fd), path::first(req), req.sqe.len))
}

pub fn prepare_symlinkat(_: &mut Locked<'_>, req: Req) -> Result<()> {
    must_be_zero!(req, len, op_flags, buf_index, file_index);
    plain_file_only(req)?;
    path::copy_two(req, User::new(req.sqe.addr), User::new(req.sqe.off))
}

pub fn work_symlinkat(req: Req) -> i32 {
    res(call::symlinkat(path::first(req), Fd::new(req.sqe.fd), path::second(req)))
}

pub fn prepare_linkat(_: &mut Locked<'_>, req: Req) -> Result<()> {
    must_be_zero!(req, buf_index, file_index);
    plain_file_only(req)?;
    path::copy_two_or_empty(req, User::new(req.sqe.addr), User::new(req.sqe.off), req.sqe.op_flags)
}

pub fn work_linkat(req: Req) -> i32 {
    let (from, to) = (Fd::new(req.sqe.fd), Fd::new(req.sqe.len as i32));
    res(call::linkat(from, path::first(req), to, path::second(req), req.sqe.op_flags))
}
