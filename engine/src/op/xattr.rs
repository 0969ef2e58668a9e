//! Extended attributes.
//!
//! Name, value and path are copied when the request is prepared, and what is wrong with them is
//! said then, as in the kernel.

use sysring_sys::abi::PATH_MAX;
use sysring_sys::abi::io_uring::op;
use sysring_sys::{Errno, Result, User, call};

use super::plain_file_only;
use crate::issue::Issued;
use crate::locked::Locked;
use crate::path::{self, SHORT};
use crate::request::Req;
use crate::user;

/// Room for a name with its NUL (`XATTR_NAME_MAX`).
const NAME: usize = 256;
/// The longest value (`XATTR_SIZE_MAX`).
const VALUE_MAX: usize = 65536;
/// `XATTR_CREATE` and `XATTR_REPLACE`.
const FLAGS: u32 = 3;

fn sets(req: Req) -> bool {
    matches!(req.sqe.opcode, op::SETXATTR | op::FSETXATTR)
}

fn has_path(req: Req) -> bool {
    matches!(req.sqe.opcode, op::SETXATTR | op::GETXATTR)
}

/// How much of the value is copied when the request is prepared.
fn copied_value(req: Req) -> usize {
    if sets(req) { req.sqe.len as usize } else { 0 }
}

pub fn prepare(_: &mut Locked<'_>, req: Req) -> Result<()> {
    if has_path(req) {
        plain_file_only(req)?;
    }
    let known = if sets(req) { FLAGS } else { 0 };
    if req.sqe.op_flags & !known != 0 {
        return Err(Errno::EINVAL);
    }
    match copy(req, SHORT) {
        Err(Errno::ENAMETOOLONG) => copy(req, PATH_MAX),
        answer => answer,
    }
}

/// Copies the name, the value that is to be set, and the path behind it, which has `room`.
fn copy(mut req: Req, room: usize) -> Result<()> {
    let value = copied_value(req);
    // The name is looked at first, so room is made for no more than a value may have.
    let len = NAME + value.min(VALUE_MAX) + if has_path(req) { room } else { 0 };
    let start = req.copied.reserve(len)?;
    // SAFETY: the block is that large, was written when it was mapped, and is nobody else's.
    let block = unsafe { core::slice::from_raw_parts_mut(start.as_ptr(), len) };
    let (name, rest) = block.split_at_mut(NAME);
    match path::read_path(name, User::new(req.sqe.addr)) {
        Ok(0) | Err(Errno::ENAMETOOLONG) => return Err(Errno::ERANGE),
        Ok(_) => {}
        Err(e) => return Err(e),
    }
    if value > VALUE_MAX {
        return Err(Errno::E2BIG);
    }
    let (value, path) = rest.split_at_mut(value);
    user::read_slice(value, User::new(req.sqe.off))?;
    if has_path(req) && path::read_path(path, User::new(req.sqe.addr3))? == 0 {
        return Err(Errno::ENOENT);
    }
    Ok(())
}

pub fn issue(ring: &mut Locked<'_>, req: Req) -> Issued {
    let answer = make_call(req);
    // The kernel finds that there is no file before it comes here, where no error breaks a link.
    if answer == Err(Errno::EBADF) {
        ring.fail(req);
    }
    Issued::of(answer)
}

fn make_call(req: Req) -> Result<usize> {
    let name = path::first(req);
    let (value, path) = (name.add(NAME), name.add(NAME + copied_value(req)));
    let (out, len, flags) = (User::new(req.sqe.off), req.sqe.len as usize, req.sqe.op_flags);
    match req.sqe.opcode {
        op::SETXATTR => call::setxattr(path, name, value, len, flags).map(|()| 0),
        op::FSETXATTR => call::fsetxattr(req.file.fd, name, value, len, flags).map(|()| 0),
        // SAFETY: `out` is the application's, which asked for it.
        op::GETXATTR => unsafe { call::getxattr(path, name, out, len) },
        // SAFETY: as for `GETXATTR`.
        _ => unsafe { call::fgetxattr(req.file.fd, name, out, len) },
    }
}
