//! Messages from ring to ring.

use core::ffi::c_int;

use sysring_sys::abi::io_uring::{FILE_INDEX_ALLOC, MSG_RING_FLAGS_PASS, MSG_SEND_FD, Sqe};

use super::prep::{into_slot, prepares};

prepares! {
    io_uring_prep_msg_ring(fd: c_int, len: u32, data: u64, flags: u32)
        = MSG_RING(fd, 0, len, data) { op_flags = flags };
    io_uring_prep_msg_ring_cqe_flags(fd: c_int, len: u32, data: u64, flags: u32, cqe_flags: u32)
        = MSG_RING(fd, 0, len, data)
            { op_flags = flags | MSG_RING_FLAGS_PASS, file_index = cqe_flags };
}

prepares! {
    io_uring_prep_msg_ring_fd_alloc(fd: c_int, source: c_int, data: u64, flags: u32)
        = MSG_RING(fd, MSG_SEND_FD, 0, data)
            { addr3 = source, file_index = FILE_INDEX_ALLOC, op_flags = flags };
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_prep_msg_ring_fd(
    sqe: &mut Sqe,
    fd: c_int,
    source: c_int,
    target: c_int,
    data: u64,
    flags: u32,
) {
    io_uring_prep_msg_ring_fd_alloc(sqe, fd, source, data, flags);
    into_slot(sqe, target as u32);
}
