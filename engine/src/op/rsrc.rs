//! FILES_UPDATE: the register call of that name, as an operation.

use sysring_sys::abi::io_uring::FILE_INDEX_ALLOC;
use sysring_sys::{Errno, Result, User};

use super::{must_be_zero, plain_file_only};
use crate::issue::Issued;
use crate::locked::Locked;
use crate::request::Req;

pub fn prepare(_: &mut Locked<'_>, req: Req) -> Result<()> {
    must_be_zero!(req, op_flags, file_index);
    plain_file_only(req).map_err(|_| Errno::EINVAL)?;
    if req.sqe.len == 0 {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

pub fn issue(ring: &mut Locked<'_>, req: Req) -> Issued {
    let fds = User::new(req.sqe.addr);
    let offset = req.sqe.off as u32;
    if offset == FILE_INDEX_ALLOC {
        return Issued::of(crate::filetable::install_many(ring, fds, req.sqe.len));
    }
    Issued::of(crate::filetable::update(ring, offset, fds, User::NULL, req.sqe.len))
}
