//! Entries themselves: taking, clearing and marking them.

use core::ffi::{c_int, c_void};
use core::ptr;

use sysring_sys::User;
use sysring_sys::abi::io_uring::{Sqe, op, setup, sqe_flags};

use super::prep::prep;
use crate::ring::IoUring;
use crate::submit::{__io_uring_sqring_wait, io_uring_get_sqe};

/// Clears what the functions that prepare an entry do not set.
#[inline(always)]
pub fn clear(sqe: &mut Sqe) {
    sqe.flags = 0;
    sqe.ioprio = 0;
    sqe.op_flags = 0;
    sqe.buf_index = 0;
    sqe.personality = 0;
    sqe.file_index = 0;
    sqe.addr3 = 0;
    sqe.pad2 = 0;
}

/// An entry of twice the size, or null where there is no room for one. On a queue of both sizes it
/// may not be split by the queue's end: an entry that does nothing fills the last place then.
#[unsafe(no_mangle)]
pub extern "C" fn io_uring_get_sqe128(ring: &IoUring) -> *mut Sqe {
    if ring.has(setup::SQE128) {
        return io_uring_get_sqe(ring);
    }
    if !ring.has(setup::SQE_MIXED) {
        return ptr::null_mut();
    }
    let tail = ring.sq.sqe_tail.get();
    let last = tail.wrapping_add(1) & ring.sq.mask == 0;
    let used = tail.wrapping_add(if last { 2 } else { 1 }).wrapping_sub(ring.sq_head());
    if used >= ring.sq.entries {
        return ptr::null_mut();
    }
    if last {
        // SAFETY: there is room, so this is an entry of the queue.
        let filler = unsafe { &mut *io_uring_get_sqe(ring) };
        prep(filler, op::NOP, -1, 0, 0, 0);
        filler.flags |= sqe_flags::CQE_SKIP_SUCCESS;
    }
    let tail = ring.sq.sqe_tail.get();
    ring.sq.sqe_tail.set(tail.wrapping_add(2));
    // SAFETY: masked, so in the mapping of the entries, with another one behind it.
    unsafe {
        let sqe = ring.sq.sqes.get().add((tail & ring.sq.mask) as usize);
        clear(&mut *sqe);
        sqe
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_sqe_set_data(sqe: &mut Sqe, data: User<c_void>) {
    sqe.user_data = data.address();
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_sqe_set_data64(sqe: &mut Sqe, data: u64) {
    sqe.user_data = data;
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_sqe_set_flags(sqe: &mut Sqe, flags: u32) {
    sqe.flags = flags as u8;
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_sqe_set_buf_group(sqe: &mut Sqe, group: c_int) {
    sqe.buf_index = group as u16;
}

/// Entries that were prepared and that the other side has not taken.
#[unsafe(no_mangle)]
pub extern "C" fn io_uring_sq_ready(ring: &IoUring) -> u32 {
    ring.sq.sqe_tail.get().wrapping_sub(ring.sq_head())
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_sq_space_left(ring: &IoUring) -> u32 {
    ring.sq.entries.wrapping_sub(io_uring_sq_ready(ring))
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_sqring_wait(ring: &IoUring) -> c_int {
    if !ring.has(setup::SQPOLL) || io_uring_sq_space_left(ring) != 0 {
        return 0;
    }
    __io_uring_sqring_wait(ring)
}
