//! Rings of provided buffers.

use core::ffi::c_int;
use core::ptr;

use sysring_sys::abi::io_uring::{BufEntry, BufReg, BufStatus, register};
use sysring_sys::raw::general as g;
use sysring_sys::{Fd, Result, User, call};

use crate::door::fold;
use crate::queue::free;
use crate::ring::IoUring;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_uring_register_buf_ring(
    ring: &IoUring,
    description: *mut BufReg,
    flags: u32,
) -> c_int {
    // SAFETY: the caller's description.
    unsafe { (*description).flags |= flags as u16 };
    fold(ring.register(register::PBUF_RING, User::of(description.cast()), 1))
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_unregister_buf_ring(ring: &IoUring, group: c_int) -> c_int {
    let mut description = BufReg { bgid: group as u16, ..BufReg::default() };
    let at = User::of(&raw mut description).cast();
    fold(ring.register(register::UNREGISTER_PBUF_RING, at, 1))
}

/// How far the other side has come with the buffers of a group.
#[unsafe(no_mangle)]
pub extern "C" fn io_uring_buf_ring_head(ring: &IoUring, group: c_int, head: &mut u16) -> c_int {
    let mut status = BufStatus { buf_group: group as u32, ..BufStatus::default() };
    let at = User::of(&raw mut status).cast();
    let answer = ring.register(register::PBUF_STATUS, at, 1);
    if answer.is_ok() {
        *head = status.head as u16;
    }
    fold(answer.map(|_| 0))
}

/// Memory for a ring of buffers, registered; null where that fails, and `error` says why.
#[unsafe(no_mangle)]
pub extern "C" fn io_uring_setup_buf_ring(
    ring: &IoUring,
    entries: u32,
    group: c_int,
    flags: u32,
    error: &mut c_int,
) -> *mut BufEntry {
    match set_up(ring, entries, group, flags) {
        Ok(at) => {
            *error = 0;
            at
        }
        Err(e) => {
            *error = e.to_res();
            ptr::null_mut()
        }
    }
}

fn size(entries: u32) -> usize {
    entries as usize * size_of::<BufEntry>()
}

fn set_up(ring: &IoUring, entries: u32, group: c_int, flags: u32) -> Result<*mut BufEntry> {
    let protection = g::PROT_READ | g::PROT_WRITE;
    let how = g::MAP_PRIVATE | g::MAP_ANONYMOUS;
    // SAFETY: no address is asked for, so nothing is replaced.
    let at = unsafe { call::mmap(0, size(entries), protection, how, Fd::NONE, 0) }?;
    let mut description = BufReg {
        ring_addr: at as u64,
        ring_entries: entries,
        bgid: group as u16,
        flags: flags as u16,
        ..BufReg::default()
    };
    let description_at = User::of(&raw mut description).cast();
    match ring.register(register::PBUF_RING, description_at, 1) {
        Ok(_) => Ok(at as *mut BufEntry),
        Err(e) => {
            free(at as *mut u8, size(entries));
            Err(e)
        }
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_free_buf_ring(
    ring: &IoUring,
    buffers: *mut BufEntry,
    entries: u32,
    group: c_int,
) -> c_int {
    let answer = io_uring_unregister_buf_ring(ring, group);
    if answer < 0 {
        return answer;
    }
    free(buffers.cast(), size(entries));
    0
}
