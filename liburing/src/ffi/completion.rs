//! Completions: looking, waiting, counting them off.

use core::ffi::c_int;
use core::ptr;

use sysring_sys::User;
use sysring_sys::abi::io_uring::{Cqe, cqe_flags, setup};

use crate::cqe::width;
use crate::door::fold;
use crate::ring::IoUring;
use crate::wait::__io_uring_get_cqe;

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_cq_ready(ring: &IoUring) -> u32 {
    ring.cq_ready()
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_cq_advance(ring: &IoUring, count: u32) {
    if count != 0 {
        ring.advance(count);
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_cqe_nr(cqe: &Cqe) -> u32 {
    width(cqe)
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_cqe_seen(ring: &IoUring, cqe: Option<&Cqe>) {
    if let Some(cqe) = cqe {
        ring.advance(width(cqe));
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_cqe_get_data(cqe: &Cqe) -> User<u8> {
    User::new(cqe.user_data)
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_cqe_get_data64(cqe: &Cqe) -> u64 {
    cqe.user_data
}

/// Looks, without a call; `available` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __io_uring_peek_cqe(
    ring: &IoUring,
    cqe: &mut *mut Cqe,
    available: *mut u32,
) -> c_int {
    let found = ring.peek();
    *cqe = found.unwrap_or(ptr::null_mut());
    if !available.is_null() {
        // SAFETY: the caller's word, if there is one.
        unsafe { available.write(ring.cq_ready()) };
    }
    fold(found.map(|_| 0))
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_peek_cqe(ring: &IoUring, cqe: &mut *mut Cqe) -> c_int {
    if let Ok(found) = ring.peek()
        && !found.is_null()
    {
        *cqe = found;
        return 0;
    }
    io_uring_wait_cqe_nr(ring, cqe, 0)
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_wait_cqe(ring: &IoUring, cqe: &mut *mut Cqe) -> c_int {
    if let Ok(found) = ring.peek()
        && !found.is_null()
    {
        *cqe = found;
        return 0;
    }
    io_uring_wait_cqe_nr(ring, cqe, 1)
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_wait_cqe_nr(ring: &IoUring, cqe: &mut *mut Cqe, count: u32) -> c_int {
    __io_uring_get_cqe(ring, cqe, 0, count, ptr::null())
}

/// `struct io_uring_cqe_iter`: the completions that were there at one moment.
#[repr(C)]
pub struct Completions {
    cqes: *mut Cqe,
    mask: u32,
    shift: u32,
    head: u32,
    tail: u32,
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_cqe_iter_init(ring: &IoUring) -> Completions {
    let head = ring.cq_head();
    Completions {
        cqes: ring.cq.cqes,
        mask: ring.cq.mask,
        shift: u32::from(ring.has(setup::CQE32)),
        head,
        tail: head.wrapping_add(ring.cq_ready()),
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_cqe_iter_next(all: &mut Completions, cqe: &mut *mut Cqe) -> bool {
    if all.head == all.tail {
        return false;
    }
    // SAFETY: between head and tail; masked.
    let at = unsafe { all.cqes.add(((all.head & all.mask) << all.shift) as usize) };
    *cqe = at;
    // SAFETY: the entry between head and tail, which the application has not given back.
    let large = unsafe { (*at).flags } & cqe_flags::CQE32 != 0;
    all.head = all.head.wrapping_add(if large { 2 } else { 1 });
    true
}
