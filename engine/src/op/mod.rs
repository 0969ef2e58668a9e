//! The operations, one file a family, and the table that knows them all.

pub mod bundle;
pub mod cancel;
pub mod epoll;
pub mod fs;
pub mod futex;
pub mod kbuf;
pub mod message;
pub mod moment;
pub mod msg_ring;
pub mod net;
pub mod nop;
pub mod open;
pub mod poll;
pub mod rsrc;
pub mod rw;
pub mod send_zc;
pub mod socket;
pub mod splice;
pub mod sync;
pub mod table;
pub mod timeout;
pub mod timestamp;
pub(crate) mod transfer;
pub mod uring_cmd;
pub mod waitid;
pub mod xattr;

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
