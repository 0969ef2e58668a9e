//! Memory, futexes and commands to devices.

use core::ffi::{c_int, c_void};

use sysring_sys::User;
use sysring_sys::abi::io_uring::{Sqe, op};

use super::prep::{prep, prepares};

type Ptr = User<c_void>;

/// `BLOCK_URING_CMD_DISCARD`: `_IO(0x12, 0)`.
const DISCARD: u32 = 0x12 << 8;
/// `BLOCK_URING_CMD_ZONE_RESET_ALL`: `_IO(0x12, 1)`.
const ZONE_RESET_ALL: u32 = 0x12 << 8 | 1;

prepares! {
    io_uring_prep_madvise(addr: Ptr, len: u32, advice: c_int)
        = MADVISE(-1, addr.address(), len, 0) { op_flags = advice };
    io_uring_prep_madvise64(addr: Ptr, len: i64, advice: c_int)
        = MADVISE(-1, addr.address(), 0, len) { op_flags = advice };
    io_uring_prep_futex_wake(futex: Ptr, value: u64, mask: u64, futex_flags: u32, flags: u32)
        = FUTEX_WAKE(futex_flags, futex.address(), 0, value) { op_flags = flags, addr3 = mask };
    io_uring_prep_futex_wait(futex: Ptr, value: u64, mask: u64, futex_flags: u32, flags: u32)
        = FUTEX_WAIT(futex_flags, futex.address(), 0, value) { op_flags = flags, addr3 = mask };
    io_uring_prep_futex_waitv(futexes: Ptr, count: u32, flags: u32)
        = FUTEX_WAITV(0, futexes.address(), count, 0) { op_flags = flags };
    io_uring_prep_waitid(kind: u32, id: u32, info: Ptr, options: c_int, flags: u32)
        = WAITID(id, 0, kind, info.address()) { op_flags = flags, file_index = options };
}

/// A command's number lies in the low half of the offset.
#[inline(always)]
pub fn command(sqe: &mut Sqe, op: u8, number: c_int, fd: c_int) {
    prep(sqe, op, fd, 0, 0, u64::from(number as u32));
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_prep_uring_cmd(sqe: &mut Sqe, number: c_int, fd: c_int) {
    command(sqe, op::URING_CMD, number, fd);
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_prep_uring_cmd128(sqe: &mut Sqe, number: c_int, fd: c_int) {
    command(sqe, op::URING_CMD128, number, fd);
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_prep_cmd_discard(sqe: &mut Sqe, fd: c_int, off: u64, len: u64) {
    command(sqe, op::URING_CMD, DISCARD as c_int, fd);
    sqe.addr = off;
    sqe.addr3 = len;
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_prep_cmd_zone_reset_all(sqe: &mut Sqe, fd: c_int) {
    command(sqe, op::URING_CMD, ZONE_RESET_ALL as c_int, fd);
}
