//! The smallest io_uring client that can be: for tests that call the engine directly.

use std::sync::atomic::{AtomicU32, Ordering};

use sysring_engine::{Caller, descriptors};
use sysring_sys::abi::io_uring::{
    Cqe, OFF_SQ_RING, OFF_SQES, Params, RsrcUpdate, Sqe, enter, register, setup,
};
use sysring_sys::{Errno, Fd, User};

#[allow(dead_code)] // Each test file uses its part of it.
pub struct Client {
    pub fd: Fd,
    pub params: Params,
    rings: *mut u8,
    sqes: *mut Sqe,
}

/// An entry with nothing but an operation, a descriptor and its user_data.
pub fn sqe(opcode: u8, fd: i32, user_data: u64) -> Sqe {
    Sqe { opcode, fd, user_data, ..Sqe::default() }
}

/// The threads that are named as the kernel names its workers.
#[allow(dead_code)]
pub fn workers() -> usize {
    let name = format!("iou-wrk-{}\n", std::process::id());
    let tasks = std::fs::read_dir("/proc/self/task").expect("the process's threads").flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|comm| *comm == name).count()
}

#[allow(dead_code)]
impl Client {
    pub fn new(entries: u32, flags: u32) -> Client {
        Client::sized(entries, flags, 0)
    }

    /// Why a ring with these flags is not to be had.
    pub fn refused(entries: u32, flags: u32) -> Option<Errno> {
        let mut params = Params { flags, ..Params::default() };
        sysring_engine::setup(entries, User::of(&raw mut params)).err()
    }

    /// A ring in memory of the caller's.
    pub fn over(entries: u32, flags: u32, rings: *mut u8, sqes: *mut u8) -> Result<Client, Errno> {
        let flags = flags | setup::NO_MMAP;
        let mut params = Params { flags, ..Params::default() };
        params.cq_off.user_addr = rings as u64;
        params.sq_off.user_addr = sqes as u64;
        let fd = sysring_engine::setup(entries, User::of(&raw mut params))?;
        let client = Client { fd: Fd::new(fd as i32), params, rings, sqes: sqes.cast() };
        client.fill_array();
        Ok(client)
    }

    pub fn sized(entries: u32, flags: u32, cq_entries: u32) -> Client {
        let mut params = Params { flags, cq_entries, ..Params::default() };
        let fd = sysring_engine::setup(entries, User::of(&raw mut params)).expect("setup");
        let (fd, nothing) = (Fd::new(fd as i32), std::ptr::null_mut());
        let mut client = Client { fd, params, rings: nothing, sqes: nothing.cast() };
        client.map(params);
        client
    }

    /// Maps the queues: with the ring, and again when they have been resized.
    pub fn map(&mut self, params: Params) {
        let map = |offset, len| {
            descriptors::mmap(self.fd, 0, len, 3, 1, offset).expect("a ring").expect("mmap")
                as *mut u8
        };
        let rings_len = params.cq_off.cqes as usize
            + params.cq_entries as usize * 16
            + params.sq_entries as usize * 4;
        self.rings = map(OFF_SQ_RING, rings_len);
        self.sqes = map(OFF_SQES, params.sq_entries as usize * 64).cast();
        self.params = params;
        self.fill_array();
    }

    fn fill_array(&self) {
        if self.params.flags & setup::NO_SQARRAY != 0 {
            return;
        }
        for i in 0..self.params.sq_entries {
            self.word(self.params.sq_off.array + 4 * i).store(i, Ordering::Relaxed);
        }
    }

    fn word(&self, offset: u32) -> &AtomicU32 {
        // SAFETY: an offset the engine gave, inside the mapping.
        unsafe { AtomicU32::from_ptr(self.rings.add(offset as usize).cast()) }
    }

    pub fn push(&mut self, sqe: Sqe) {
        let tail = self.word(self.params.sq_off.tail);
        let at = tail.load(Ordering::Relaxed);
        // SAFETY: masked with the number of entries.
        unsafe { self.sqes.add((at & (self.params.sq_entries - 1)) as usize).write(sqe) };
        tail.store(at.wrapping_add(1), Ordering::Release);
    }

    /// Puts an entry into a place and tells nobody.
    pub fn place(&self, index: u32, sqe: Sqe) {
        // SAFETY: tests give places that exist.
        unsafe { self.sqes.add(index as usize).write(sqe) };
    }

    /// Puts an entry into a place of the caller's choosing, through the SQ array.
    pub fn push_at(&mut self, sqe: Sqe, index: u32) {
        let tail = self.word(self.params.sq_off.tail);
        let at = tail.load(Ordering::Relaxed);
        self.place(index, sqe);
        let slot = self.params.sq_off.array + 4 * (at & (self.params.sq_entries - 1));
        self.word(slot).store(index, Ordering::Relaxed);
        tail.store(at.wrapping_add(1), Ordering::Release);
    }

    /// For SQPOLL rings `push` has published already; this wakes the thread.
    pub fn publish(&mut self) {
        self.enter_with(0, 0, enter::SQ_WAKEUP).unwrap();
    }

    pub fn enter(&mut self, submit: u32, wait: u32) -> Result<usize, Errno> {
        self.enter_with(submit, wait, if wait > 0 { enter::GETEVENTS } else { 0 })
    }

    pub fn enter_with(&mut self, submit: u32, wait: u32, flags: u32) -> Result<usize, Errno> {
        let registered = self.params.flags & setup::REGISTERED_FD_ONLY != 0;
        let flags = if registered { flags | enter::REGISTERED_RING } else { flags };
        let (fd, none) = (self.fd.raw() as u32, User::NULL);
        sysring_engine::enter(fd, submit, wait, flags, none, 8, &Caller::default())
    }

    pub fn sq_flags(&self) -> u32 {
        self.word(self.params.sq_off.flags).load(Ordering::Relaxed)
    }

    /// Everything in the completion queue.
    pub fn reap(&mut self) -> Vec<Cqe> {
        let head = self.word(self.params.cq_off.head);
        let tail = self.word(self.params.cq_off.tail).load(Ordering::Acquire);
        let mut at = head.load(Ordering::Relaxed);
        let mut seen = Vec::new();
        while at != tail {
            let index = (at & (self.params.cq_entries - 1)) as usize;
            // SAFETY: masked; the engine wrote the entry before it moved the tail.
            seen.push(unsafe {
                self.rings.add(self.params.cq_off.cqes as usize).cast::<Cqe>().add(index).read()
            });
            at = at.wrapping_add(1);
        }
        head.store(at, Ordering::Release);
        seen
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if self.params.flags & setup::REGISTERED_FD_ONLY == 0 {
            let _ = descriptors::close(self.fd);
            return;
        }
        let mut entry = RsrcUpdate { offset: self.fd.raw() as u32, ..RsrcUpdate::default() };
        let nr = register::UNREGISTER_RING_FDS | register::USE_REGISTERED_RING;
        let at = User::<u8>::of((&raw mut entry).cast());
        let _ = sysring_engine::register(self.fd.raw() as u32, nr, at, 1);
        // The mappings are left: a test is short.
    }
}
