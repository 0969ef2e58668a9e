//! Extended attributes.
//!
//! Run in the submitter: names, values and paths are read where the application has them.

use sysring_sys::abi::io_uring::op;
use sysring_sys::{Errno, Result, User, call};

use super::plain_file_only;
use crate::issue::Issued;
use crate::locked::Locked;
use crate::request::Req;

pub fn prepare(_: &mut Locked<'_>, req: Req) -> Result<()> {
    let gets = matches!(req.sqe.opcode, op::GETXATTR | op::FGETXATTR);
    if gets && req.sqe.op_flags != 0 {
        return Err(Errno::EINVAL);
    }
    if matches!(req.sqe.opcode, op::GETXATTR | op::SETXATTR) {
        plain_file_only(req)?;
    }
    Ok(())
}

pub fn issue(_: &mut Locked<'_>, req: Req) -> Issued {
    let (name, value) = (User::new(req.sqe.addr), User::new(req.sqe.off));
    let (path, len, flags) = (User::new(req.sqe.addr3), req.sqe.len as usize, req.sqe.op_flags);
    match req.sqe.opcode {
        op::SETXATTR => Issued::of(call::setxattr(path, name, value, len, flags)),
        op::FSETXATTR => Issued::of(call::fsetxattr(req.file.fd, name, value, len, flags)),
        op::GETXATTR => Issued::of(call::getxattr(path, name, value, len)),
        _ => Issued::of(call::fgetxattr(req.file.fd, name, value, len)),
    }
}
