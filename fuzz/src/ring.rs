//! A ring of the engine's, called without a trap.

use std::sync::atomic::{AtomicU32, Ordering};

use sysring_engine::{Caller, descriptors};
use sysring_sys::abi::Timespec;
use sysring_sys::abi::io_uring::{Cqe, GeteventsArg, Params, Sqe, enter, setup};
use sysring_sys::{Errno, Fd, Result, User};

/// A ring, and its queues as an application has mapped them.
pub struct Ring {
    pub fd: Fd,
    pub params: Params,
    rings: *mut u8,
    sqes: *mut u8,
}

impl Ring {
    pub fn open(entries: u32, flags: u32) -> Result<Ring> {
        let mut params = Params { flags, ..Params::default() };
        let fd = sysring_engine::setup(entries, User::of(&raw mut params))?;
        let fd = Fd::new(fd as i32);
        let map = |offset, len| {
            let mapped = descriptors::mmap(fd, 0, len, 3, libc::MAP_SHARED as u32, offset);
            mapped.expect("a ring").map(|at| at as *mut u8)
        };
        let mut ring = Ring { fd, params, rings: std::ptr::null_mut(), sqes: std::ptr::null_mut() };
        ring.rings = map(0, ring.rings_len())?;
        ring.sqes = map(0x1000_0000, ring.sqes_len())?;
        for index in (0..params.sq_entries).filter(|_| flags & setup::NO_SQARRAY == 0) {
            ring.word(params.sq_off.array + 4 * index).store(index, Ordering::Relaxed);
        }
        Ok(ring)
    }

    fn rings_len(&self) -> usize {
        let cqe = if self.params.flags & setup::CQE32 != 0 { 32 } else { 16 };
        let array = if self.params.flags & setup::NO_SQARRAY != 0 { 0 } else { 4 };
        self.params.cq_off.cqes as usize
            + self.params.cq_entries as usize * cqe
            + self.params.sq_entries as usize * array
    }

    fn sqes_len(&self) -> usize {
        self.params.sq_entries as usize * self.sqe_len()
    }

    fn sqe_len(&self) -> usize {
        if self.params.flags & setup::SQE128 != 0 { 128 } else { 64 }
    }

    /// A word of the header.
    pub fn word(&self, offset: u32) -> &AtomicU32 {
        assert!((offset as usize) < self.rings_len());
        // SAFETY: inside the mapping, and aligned as all words are.
        unsafe { AtomicU32::from_ptr(self.rings.add(offset as usize).cast()) }
    }

    /// Queues an entry; dropped if nobody makes room for it.
    pub fn push(&self, sqe: Sqe) {
        let tail = self.word(self.params.sq_off.tail);
        let head = self.word(self.params.sq_off.head);
        let at = tail.load(Ordering::Relaxed);
        let is_full = || at.wrapping_sub(head.load(Ordering::Acquire)) >= self.params.sq_entries;
        for _ in 0..100 {
            if !is_full() {
                break;
            }
            // A thread that submits takes its time.
            let _ = self.enter(self.params.sq_entries, 0);
            std::thread::yield_now();
        }
        if is_full() {
            return;
        }
        let index = (at & (self.params.sq_entries - 1)) as usize;
        // SAFETY: masked with the number of entries.
        unsafe { self.sqes.add(index * self.sqe_len()).cast::<Sqe>().write(sqe) };
        tail.store(at.wrapping_add(1), Ordering::Release);
    }

    /// Submits, and waits for a millisecond at most.
    pub fn enter(&self, submit: u32, wait: u32) -> Result<usize> {
        let time = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
        let ts = (&raw const time) as u64;
        let arg = GeteventsArg { ts, ..GeteventsArg::default() };
        let flags = enter::GETEVENTS | enter::EXT_ARG | enter::SQ_WAKEUP;
        self.enter_with(submit, wait, flags, User::of(&raw const arg).cast(), size_of_val(&arg))
    }

    pub fn enter_with(
        &self,
        submit: u32,
        wait: u32,
        flags: u32,
        arg: User<u8>,
        len: usize,
    ) -> Result<usize> {
        let fd = self.fd.raw() as u32;
        sysring_engine::enter(fd, submit, wait, flags, arg, len, &Caller::default())
    }

    pub fn register(&self, opcode: u32, arg: u64, count: u32) -> Result<usize> {
        sysring_engine::register(self.fd.raw() as u32, opcode, User::new(arg), count)
    }

    /// Takes what is in the completion queue.
    pub fn reap(&self) -> Vec<Cqe> {
        let head = self.word(self.params.cq_off.head);
        let tail = self.word(self.params.cq_off.tail).load(Ordering::Acquire);
        let first = head.load(Ordering::Relaxed);
        // What it holds at most: an input may have been written over both words.
        let count = tail.wrapping_sub(first).min(self.params.cq_entries);
        let cqe_len = if self.params.flags & setup::CQE32 != 0 { 32 } else { 16 };
        let entry = |at: u32| {
            let index = (at & (self.params.cq_entries - 1)) as usize;
            let offset = self.params.cq_off.cqes as usize + index * cqe_len;
            // SAFETY: masked with the number of entries.
            unsafe { self.rings.add(offset).cast::<Cqe>().read() }
        };
        let seen = (0..count).map(|i| entry(first.wrapping_add(i))).collect();
        head.store(first.wrapping_add(count), Ordering::Release);
        seen
    }

    /// Waits until this many have completed, for as long as there is any hope.
    pub fn wait_for(&self, count: usize) -> Vec<Cqe> {
        let mut seen = Vec::new();
        for _ in 0..4 {
            let _ = self.enter(0, 1);
            seen.extend(self.reap());
            if seen.len() >= count {
                break;
            }
        }
        seen
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // An operation may have closed it.
        assert!(matches!(descriptors::close(self.fd), None | Some(Ok(()) | Err(Errno::EBADF))));
        for (at, len) in [(self.rings, self.rings_len()), (self.sqes, self.sqes_len())] {
            // SAFETY: our mapping, which nobody uses any more.
            unsafe { libc::munmap(at.cast(), len) };
        }
    }
}
