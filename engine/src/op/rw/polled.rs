//! Requests for polled completion: which rings and files take them, and what others are told.
//!
//! The kernel asks for `O_DIRECT` and a device that can be polled; each refusal has its own error.

use sysring_sys::abi::io_uring::setup;
use sysring_sys::call::RwFlags;
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Result, call};

use super::answer::{failed, goes_the_wrong_way};
use crate::iopoll;
use crate::issue::Issued;
use crate::locked::Locked;
use crate::request::Req;

/// Refuses a request for polled completion on a ring that does not poll.
#[inline(always)]
pub(super) fn refuse_polling(ring: &mut Locked<'_>, req: Req) -> Option<Issued> {
    let refused = req.sqe.op_flags & RwFlags::HIPRI.0 != 0 && !ring.ring.shape().has(setup::IOPOLL);
    if refused { Some(fail_unpolled(ring, req)) } else { None }
}

#[cold]
fn fail_unpolled(ring: &mut Locked<'_>, req: Req) -> Issued {
    failed(ring, req, not_polled(req))
}

/// Why a request for polled completion fails, on a ring that does not poll: for another reason
/// first, if there is one.
fn not_polled(req: Req) -> Errno {
    match call::file_flags(req.file.fd) {
        Ok(_) if goes_the_wrong_way(req) => Errno::EBADF,
        Ok(_) if req.sqe.op_flags & !RwFlags::KNOWN.0 != 0 => Errno::EOPNOTSUPP,
        Ok(_) => Errno::EINVAL,
        Err(e) => e,
    }
}

/// A ring that polls takes files that are opened with `O_DIRECT` and can be polled, no others.
pub(super) fn check_polled(req: Req) -> Result<()> {
    let flags = call::file_flags(req.file.fd)?;
    if goes_the_wrong_way(req) {
        return Err(Errno::EBADF);
    }
    let known = req.sqe.op_flags & !RwFlags::KNOWN.0 == 0;
    match known && flags & g::O_DIRECT != 0 && iopoll::can_poll(req.file.fd) {
        true => Ok(()),
        false => Err(Errno::EOPNOTSUPP),
    }
}
