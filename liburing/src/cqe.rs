//! Looking at completions that are there.

use core::ptr;
use core::sync::atomic::Ordering::Release;

use sysring_sys::abi::io_uring::{Cqe, cqe_flags, feat};
use sysring_sys::{Errno, Result};

use crate::ring::IoUring;
use crate::submit::io_uring_get_events;
use crate::wait::TIMEOUT_MARK;

impl IoUring {
    /// The first completion, or null; those that are not the program's to see are passed by.
    ///
    /// # Errors
    /// What a timeout of the library's own came to.
    #[inline(always)]
    pub fn peek(&self) -> Result<*mut Cqe> {
        while self.cq_ready() != 0 {
            let at = self.cqe_at(self.cq_head());
            // SAFETY: between head and tail the entry is ours to read.
            let cqe = unsafe { *at };
            let is_ours = cqe.user_data == TIMEOUT_MARK && !self.can(feat::EXT_ARG);
            if cqe.flags & cqe_flags::SKIP == 0 && !is_ours {
                return Ok(at);
            }
            self.advance(width(&cqe));
            if is_ours && let Some(e) = Errno::from_raw(-cqe.res) {
                return Err(e);
            }
        }
        Ok(ptr::null_mut())
    }

    /// Gives the room of `count` completions back.
    #[inline(always)]
    pub fn advance(&self, count: u32) {
        // Release: they have been read.
        self.cq.head.get().store(self.cq_head().wrapping_add(count), Release);
    }
}

/// How many places a completion takes: two on a mixed queue, where it is large.
pub fn width(cqe: &Cqe) -> u32 {
    if cqe.flags & cqe_flags::CQE32 != 0 { 2 } else { 1 }
}

/// Fills an array with the addresses of completions that are there; how many.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_uring_peek_batch_cqe(
    ring: &IoUring,
    cqes: *mut *mut Cqe,
    count: u32,
) -> u32 {
    // SAFETY: by the caller's word.
    match unsafe { peek_batch(ring, cqes, count) } {
        0 if ring.cq_is_held_back() => {
            io_uring_get_events(ring);
            // SAFETY: by the caller's word.
            unsafe { peek_batch(ring, cqes, count) }
        }
        n => n,
    }
}

unsafe fn peek_batch(ring: &IoUring, cqes: *mut *mut Cqe, count: u32) -> u32 {
    let mut head = ring.cq_head();
    let end = head.wrapping_add(ring.cq_ready());
    let mut found = 0;
    while found < count && head != end {
        let at = ring.cqe_at(head);
        // SAFETY: between head and tail the entry is ours to read.
        let cqe = unsafe { *at };
        head = head.wrapping_add(width(&cqe));
        if cqe.flags & cqe_flags::SKIP == 0 {
            // SAFETY: the array has `count` places.
            unsafe { cqes.add(found as usize).write(at) };
            found += 1;
        } else if found == 0 {
            ring.advance(width(&cqe));
        } else {
            // The program counts off what it was given: a filler among it would be missed.
            break;
        }
    }
    found
}
