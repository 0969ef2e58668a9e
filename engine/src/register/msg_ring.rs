//! A message to a ring from one who has none.

use sysring_sys::abi::io_uring::{MSG_DATA, Sqe, op};
use sysring_sys::{Errno, Fd, Result, User};

use crate::descriptors;
use crate::op::msg_ring::{check, check_data, data_flags, no_ring};
use crate::user;

pub fn send(arg: User<u8>, nr_args: u32) -> Result<usize> {
    if arg.is_null() || nr_args != 1 {
        return Err(Errno::EINVAL);
    }
    let sqe = user::read(arg.cast::<Sqe>())?;
    if sqe.flags != 0 || sqe.opcode != op::MSG_RING {
        return Err(Errno::EINVAL);
    }
    check(&sqe)?;
    // A file could only come out of the table of a ring.
    if u64::from(sqe.addr as u32) != MSG_DATA {
        return Err(Errno::EINVAL);
    }
    let fd = Fd::new(sqe.fd);
    let target = descriptors::get(fd).ok_or_else(|| no_ring(fd))?;
    check_data(&sqe, target.ring())?;
    target.ring().lock().post(sqe.off, sqe.len as i32, data_flags(&sqe));
    Ok(0)
}

/// On a ring there is no such call.
pub fn on_a_ring(_: User<u8>, _: u32) -> Result<usize> {
    Err(Errno::EINVAL)
}
