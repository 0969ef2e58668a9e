//! Rings of provided buffers, and buffers provided one pile at a time.

use core::ffi::{c_int, c_void};
use core::sync::atomic::AtomicU16;
use core::sync::atomic::Ordering::{Relaxed, Release};

use sysring_sys::User;
use sysring_sys::abi::io_uring::BufEntry;

use super::prep::prepares;
use crate::buf_ring::io_uring_buf_ring_head;
use crate::ring::IoUring;

type Ptr = User<c_void>;

prepares! {
    io_uring_prep_provide_buffers(addr: Ptr, len: c_int, count: c_int, group: c_int, id: c_int)
        = PROVIDE_BUFFERS(count, addr.address(), len, id) { buf_index = group };
    io_uring_prep_remove_buffers(count: c_int, group: c_int)
        = REMOVE_BUFFERS(count, 0, 0, 0) { buf_index = group };
}

/// The ring's tail: the last word of its first entry.
unsafe fn tail<'a>(ring: *mut BufEntry) -> &'a AtomicU16 {
    // SAFETY: the caller's ring, whose first entry ends with the word.
    unsafe { AtomicU16::from_ptr(&raw mut (*ring).resv) }
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_buf_ring_mask(entries: u32) -> c_int {
    entries.wrapping_sub(1) as c_int
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_uring_buf_ring_init(ring: *mut BufEntry) {
    // SAFETY: by the caller's word.
    unsafe { tail(ring) }.store(0, Relaxed);
}

/// Puts a buffer `offset` places behind the tail, which [`io_uring_buf_ring_advance`] moves later.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_uring_buf_ring_add(
    ring: *mut BufEntry,
    addr: Ptr,
    len: u32,
    id: u16,
    mask: c_int,
    offset: c_int,
) {
    // SAFETY: by the caller's word the ring has `mask + 1` entries. The first one's last word is
    // the tail, so fields are written one by one.
    unsafe {
        let place = c_int::from(tail(ring).load(Relaxed)).wrapping_add(offset) & mask;
        let entry = ring.add(place as usize);
        (*entry).addr = addr.address();
        (*entry).len = len;
        (*entry).bid = id;
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_uring_buf_ring_advance(ring: *mut BufEntry, count: c_int) {
    // SAFETY: by the caller's word.
    let tail = unsafe { tail(ring) };
    // Release: the buffers' entries are written.
    tail.store(tail.load(Relaxed).wrapping_add(count as u16), Release);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __io_uring_buf_ring_cq_advance(
    ring: &IoUring,
    buffers: *mut BufEntry,
    cqes: c_int,
    count: c_int,
) {
    // SAFETY: by the caller's word.
    unsafe { io_uring_buf_ring_advance(buffers, count) };
    if cqes != 0 {
        ring.advance(cqes as u32);
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_uring_buf_ring_cq_advance(
    ring: &IoUring,
    buffers: *mut BufEntry,
    count: c_int,
) {
    // SAFETY: by the caller's word.
    unsafe { __io_uring_buf_ring_cq_advance(ring, buffers, count, count) };
}

/// How many buffers the other side has yet to take.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_uring_buf_ring_available(
    ring: &IoUring,
    buffers: *mut BufEntry,
    group: u16,
) -> c_int {
    let mut head = 0;
    let answer = io_uring_buf_ring_head(ring, c_int::from(group), &mut head);
    if answer != 0 {
        return answer;
    }
    // SAFETY: by the caller's word.
    let tail = unsafe { tail(buffers) }.load(Relaxed);
    c_int::from(tail.wrapping_sub(head))
}
