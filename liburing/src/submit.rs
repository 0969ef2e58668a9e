//! Handing submissions over.

use core::ffi::c_int;
use core::sync::atomic::Ordering::{Relaxed, Release, SeqCst};
use core::sync::atomic::fence;

use sysring_sys::abi::io_uring::{Sqe, enter, setup, sq_flags};
use sysring_sys::abi::signal::SIGSET_SIZE;
use sysring_sys::{Result, User};

use crate::door::{self, fold};
use crate::ring::{IoUring, own};

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_submit(ring: &IoUring) -> c_int {
    ring.submit(0, false)
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_submit_and_wait(ring: &IoUring, wait_nr: u32) -> c_int {
    ring.submit(wait_nr, false)
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_submit_and_get_events(ring: &IoUring) -> c_int {
    ring.submit(0, true)
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_get_events(ring: &IoUring) -> c_int {
    fold(ring.enter(0, 0, enter::GETEVENTS))
}

/// Waits until the polling thread has made room in the queue.
#[unsafe(no_mangle)]
pub extern "C" fn __io_uring_sqring_wait(ring: &IoUring) -> c_int {
    fold(ring.enter(0, 0, enter::SQ_WAIT))
}

/// An entry to fill, or null where the queue is full. (New programs have this inline.)
#[unsafe(no_mangle)]
pub extern "C" fn io_uring_get_sqe(ring: &IoUring) -> *mut Sqe {
    let tail = ring.sq.sqe_tail.get();
    if tail.wrapping_sub(ring.sq_head()) >= ring.sq.entries {
        return core::ptr::null_mut();
    }
    let shift = u32::from(ring.has(setup::SQE128));
    let place = (tail & ring.sq.mask) << shift;
    ring.sq.sqe_tail.set(tail.wrapping_add(1));
    // SAFETY: masked, so in the mapping of the entries, which are twice as large with the flag;
    // the other side is through with it.
    unsafe {
        let sqe = ring.sq.sqes.get().add(place as usize);
        crate::ffi::sqe::clear(&mut *sqe);
        sqe
    }
}

impl IoUring {
    /// Shows the other side what was prepared; the queue's tail.
    #[inline(always)]
    pub fn publish(&self) -> u32 {
        let tail = self.sq.sqe_tail.get();
        if self.sq.sqe_head.get() != tail {
            self.sq.sqe_head.set(tail);
            // Release pairs with the polling thread's Acquire: the entries are filled.
            self.sq.tail.get().store(tail, Release);
        }
        tail
    }

    /// The same; how many entries the other side has yet to take.
    #[inline(always)]
    pub fn flush(&self) -> u32 {
        if self.has(setup::SQ_REWIND) {
            // Every batch begins at the first entry, and head and tail stay what they are.
            return self.sq.sqe_tail.replace(0);
        }
        self.publish().wrapping_sub(self.sq_head())
    }

    /// Whether `enter` must be called for `submitted` entries, and the flag to call it with.
    #[inline(always)]
    pub fn sq_needs_enter(&self, submitted: u32, flags: &mut u32) -> bool {
        if submitted == 0 {
            return false;
        }
        if !self.has(setup::SQPOLL) {
            return true;
        }
        // The thread says that it goes to sleep, and then looks at the tail once more; the tail
        // was stored, and then we look what it said: one of the two sees the other.
        fence(SeqCst);
        let sleeps = self.sq_flags() & sq_flags::NEED_WAKEUP != 0;
        if sleeps {
            *flags |= enter::SQ_WAKEUP;
        }
        sleeps
    }

    #[inline(always)]
    fn submit(&self, wait_nr: u32, get_events: bool) -> c_int {
        if self.has(setup::SQPOLL | setup::SQ_REWIND) {
            return self.submit_otherwise(wait_nr, get_events);
        }
        let submitted = self.publish().wrapping_sub(self.sq.head.get().load(Relaxed));
        let own = self.own.get();
        let mut flags = u32::from(own & own::ENTER);
        if get_events || wait_nr != 0 || own & own::POLLED != 0 || self.cq_is_held_back() {
            flags |= enter::GETEVENTS;
        } else if submitted == 0 {
            return 0;
        }
        let (engine, fd) = (IoUring::engine_of(own), self.enter_ring_fd.get());
        door::enter_c(engine, fd, submitted, wait_nr, flags, User::NULL, SIGSET_SIZE)
    }

    /// The same where a thread of the other side submits, which must be woken, if anything; and
    /// where queues are not rings.
    #[inline(never)]
    fn submit_otherwise(&self, wait_nr: u32, get_events: bool) -> c_int {
        let submitted = self.flush();
        let mut flags = 0;
        let completions = get_events || wait_nr != 0 || self.cq_needs_enter();
        if completions {
            flags |= enter::GETEVENTS;
        }
        if !self.sq_needs_enter(submitted, &mut flags) && !completions {
            return submitted as c_int;
        }
        fold(self.enter(submitted, wait_nr, flags))
    }

    #[inline(always)]
    fn enter(&self, submit: u32, wait_nr: u32, flags: u32) -> Result<usize> {
        self.enter_with(submit, wait_nr, flags, User::NULL, SIGSET_SIZE)
    }

    /// `io_uring_enter(2)` on this ring.
    #[inline(always)]
    pub fn enter_with(
        &self,
        submit: u32,
        wait_nr: u32,
        flags: u32,
        arg: User<u8>,
        size: usize,
    ) -> Result<usize> {
        let flags = flags | u32::from(self.own.get() & own::ENTER);
        door::enter(self.engine(), self.enter_ring_fd.get(), submit, wait_nr, flags, arg, size)
    }
}
