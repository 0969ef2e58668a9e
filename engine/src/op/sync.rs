//! What makes data durable, and what shapes a file: fsync, sync_file_range, fallocate, ftruncate,
//! and the two kinds of advice.

use sysring_sys::abi::io_uring::FSYNC_DATASYNC;
use sysring_sys::call::{self, Offset};
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Result};

use super::must_be_zero;
use crate::issue::{Issued, res};
use crate::locked::Locked;
use crate::request::Req;

/// These wait for a disk, so the submission does not wait for them.
pub fn issue_on_worker(_: &mut Locked<'_>, _: Req) -> Issued {
    Issued::Work
}

pub fn prepare_fsync(_: &mut Locked<'_>, req: Req) -> Result<()> {
    must_be_zero!(req, addr, buf_index, file_index);
    if req.sqe.op_flags & !FSYNC_DATASYNC != 0 || (req.sqe.off as i64) < 0 {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

/// No system call syncs a range with its metadata: the whole file is synced, which is more.
pub fn work_fsync(req: Req) -> i32 {
    if req.sqe.op_flags & FSYNC_DATASYNC != 0 {
        res(call::fdatasync(req.file.fd))
    } else {
        res(call::fsync(req.file.fd))
    }
}

pub fn prepare_sync_file_range(_: &mut Locked<'_>, req: Req) -> Result<()> {
    must_be_zero!(req, addr, buf_index, file_index);
    Ok(())
}

pub fn work_sync_file_range(req: Req) -> i32 {
    let (at, len) = (Offset(req.sqe.off as i64), i64::from(req.sqe.len));
    res(call::sync_file_range(req.file.fd, at, len, req.sqe.op_flags))
}

pub fn prepare_fallocate(_: &mut Locked<'_>, req: Req) -> Result<()> {
    must_be_zero!(req, buf_index, op_flags, file_index);
    Ok(())
}

pub fn work_fallocate(req: Req) -> i32 {
    let (at, len) = (Offset(req.sqe.off as i64), req.sqe.addr as i64);
    res(call::fallocate(req.file.fd, req.sqe.len, at, len))
}

pub fn prepare_ftruncate(_: &mut Locked<'_>, req: Req) -> Result<()> {
    must_be_zero!(req, op_flags, addr, len, buf_index, file_index, addr3);
    Ok(())
}

pub fn work_ftruncate(req: Req) -> i32 {
    res(call::ftruncate(req.file.fd, req.sqe.off as i64))
}

/// The length of an advice: `addr` where it needs 64 bits, else `len`.
fn fadvise_len(req: Req) -> i64 {
    if req.sqe.addr != 0 { req.sqe.addr as i64 } else { i64::from(req.sqe.len) }
}

pub fn prepare_fadvise(_: &mut Locked<'_>, req: Req) -> Result<()> {
    must_be_zero!(req, buf_index, file_index);
    Ok(())
}

pub fn issue_fadvise(_: &mut Locked<'_>, req: Req) -> Issued {
    match req.sqe.op_flags {
        g::POSIX_FADV_NORMAL | g::POSIX_FADV_RANDOM | g::POSIX_FADV_SEQUENTIAL => {
            Issued::Done(work_fadvise(req))
        }
        // The others read or write the file.
        _ => Issued::Work,
    }
}

pub fn work_fadvise(req: Req) -> i32 {
    let at = Offset(req.sqe.off as i64);
    res(call::fadvise(req.file.fd, at, fadvise_len(req), req.sqe.op_flags))
}

pub fn prepare_madvise(_: &mut Locked<'_>, req: Req) -> Result<()> {
    must_be_zero!(req, buf_index, file_index);
    Ok(())
}

pub fn work_madvise(req: Req) -> i32 {
    let len = if req.sqe.off != 0 { req.sqe.off as usize } else { req.sqe.len as usize };
    // SAFETY: the application advises on its own memory, as its own madvise call would; ours is
    // no more at risk than from any call it can make itself.
    res(unsafe { call::madvise(req.sqe.addr as usize, len, req.sqe.op_flags) })
}
