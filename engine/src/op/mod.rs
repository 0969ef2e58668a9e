//! The operations, one file a family, and the table that knows them all.

pub(crate) mod bundle;
pub(crate) mod cancel;
pub(crate) mod epoll;
pub(crate) mod fs;
pub(crate) mod futex;
pub(crate) mod kbuf;
pub(crate) mod message;
pub(crate) mod moment;
pub(crate) mod msg_ring;
pub(crate) mod net;
pub(crate) mod nop;
pub(crate) mod open;
pub(crate) mod poll;
pub(crate) mod rsrc;
pub(crate) mod rw;
pub(crate) mod send_zc;
pub(crate) mod socket;
pub(crate) mod splice;
pub(crate) mod sync;
pub mod table;
pub(crate) mod timeout;
pub(crate) mod timestamp;
pub(crate) mod transfer;
pub(crate) mod uring_cmd;
pub(crate) mod waitid;
pub(crate) mod xattr;

use sysring_sys::{Errno, Result, User, call};

use crate::request::{Req, flag};

/// The fields of an SQE that an operation does not read must be zero: `EINVAL` otherwise.
macro_rules! must_be_zero {
    ($req:expr, $($field:ident),+) => {
        if $($req.sqe.$field != 0)||+ {
            return Err(sysring_sys::Errno::EINVAL);
        }
    };
}
pub(crate) use must_be_zero;

/// The largest transfer of one call (`MAX_RW_COUNT`).
pub const MAX_RW_COUNT: usize = 0x7fff_f000;

/// The end of the addresses a program can have.
#[cfg(target_arch = "x86_64")]
pub const ADDRESS_END: u64 = 0x7fff_ffff_f000;
/// The end of the addresses a program can have.
#[cfg(target_arch = "aarch64")]
pub const ADDRESS_END: u64 = 1 << 48;

/// What the kernel checks of a buffer before it touches it (`access_ok`).
///
/// # Errors
/// `EFAULT` for a range that no program can have.
pub fn check_range(address: User<u8>, len: usize) -> Result<()> {
    match address.address().checked_add(len as u64) {
        Some(end) if end <= ADDRESS_END => Ok(()),
        _ => Err(Errno::EFAULT),
    }
}

/// Whether there is no file to work on.
#[must_use]
pub fn not_open(req: Req) -> bool {
    !req.file.owned && call::fcntl(req.file.fd, sysring_sys::raw::general::F_GETFD, 0).is_err()
}

/// Of several errors the one that the kernel finds first: it looks the file up before the operation
/// looks at anything.
#[must_use]
pub fn first_error(req: Req, e: Errno) -> Errno {
    if e != Errno::EBADF && not_open(req) { Errno::EBADF } else { e }
}

/// Refuses a registered file where the operation takes plain descriptors only.
pub fn plain_file_only(req: Req) -> Result<()> {
    if req.has(flag::FIXED_FILE) { Err(Errno::EBADF) } else { Ok(()) }
}
