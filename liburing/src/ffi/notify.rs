//! Polls, timeouts, cancellation.

use core::ffi::{c_int, c_void};

use sysring_sys::User;
use sysring_sys::abi::io_uring::{cancel, poll, timeout};

use super::prep::prepares;

type Ptr = User<c_void>;

/// The mask of events as the entry has it: with its halves exchanged on big-endian machines.
#[inline(always)]
fn events(mask: u32) -> u32 {
    if cfg!(target_endian = "big") { mask.rotate_left(16) } else { mask }
}

prepares! {
    io_uring_prep_nop() = NOP(-1, 0, 0, 0);
    io_uring_prep_nop128() = NOP128(-1, 0, 0, 0);

    io_uring_prep_poll_add(fd: c_int, mask: u32)
        = POLL_ADD(fd, 0, 0, 0) { op_flags = events(mask) };
    io_uring_prep_poll_multishot(fd: c_int, mask: u32)
        = POLL_ADD(fd, 0, poll::ADD_MULTI, 0) { op_flags = events(mask) };
    io_uring_prep_poll_remove(user_data: u64)
        = POLL_REMOVE(-1, user_data, 0, 0);
    io_uring_prep_poll_update(old: u64, new: u64, mask: u32, flags: u32)
        = POLL_REMOVE(-1, old, flags, new) { op_flags = events(mask) };
    io_uring_prep_epoll_ctl(epoll: c_int, fd: c_int, action: c_int, event: Ptr)
        = EPOLL_CTL(epoll, event.address(), action, fd as u32);
    io_uring_prep_epoll_wait(fd: c_int, events: Ptr, most: c_int, flags: u32)
        = EPOLL_WAIT(fd, events.address(), most, 0) { op_flags = flags };

    io_uring_prep_timeout(ts: Ptr, count: u32, flags: u32)
        = TIMEOUT(-1, ts.address(), 1, count) { op_flags = flags };
    io_uring_prep_timeout_remove(user_data: u64, flags: u32)
        = TIMEOUT_REMOVE(-1, user_data, 0, 0) { op_flags = flags };
    io_uring_prep_timeout_update(ts: Ptr, user_data: u64, flags: u32)
        = TIMEOUT_REMOVE(-1, user_data, 0, ts.address()) { op_flags = flags | timeout::UPDATE };
    io_uring_prep_link_timeout(ts: Ptr, flags: u32)
        = LINK_TIMEOUT(-1, ts.address(), 1, 0) { op_flags = flags };

    io_uring_prep_cancel(user_data: Ptr, flags: c_int)
        = ASYNC_CANCEL(-1, user_data.address(), 0, 0) { op_flags = flags };
    io_uring_prep_cancel64(user_data: u64, flags: c_int)
        = ASYNC_CANCEL(-1, user_data, 0, 0) { op_flags = flags };
    io_uring_prep_cancel_fd(fd: c_int, flags: u32)
        = ASYNC_CANCEL(fd, 0, 0, 0) { op_flags = flags | cancel::FD };
}
