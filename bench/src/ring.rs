//! The least an io_uring client can be, over either of two doors: the kernel's three calls, or the
//! engine's three functions. Everything but the door is the same code.

use std::io;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, Ordering};

use sysring_engine::Caller;
use sysring_sys::abi::io_uring::{Cqe, OFF_SQ_RING, OFF_SQES, Params, Sqe, enter};
use sysring_sys::{Fd, User};

/// How a ring is made, entered and mapped.
pub trait Door {
    fn setup(entries: u32, params: &mut Params) -> io::Result<i32>;
    fn enter(fd: i32, submit: u32, wait: u32, flags: u32) -> io::Result<u32>;
    fn map(fd: i32, len: usize, offset: u64) -> io::Result<*mut u8>;
    fn close(fd: i32);
}

/// The kernel's io_uring.
pub enum Kernel {}

/// The engine, called as a library: no trap on the way.
pub enum Engine {}

const PROTECTION: i32 = libc::PROT_READ | libc::PROT_WRITE;
const SHARED: i32 = libc::MAP_SHARED | libc::MAP_POPULATE;

impl Door for Kernel {
    fn setup(entries: u32, params: &mut Params) -> io::Result<i32> {
        // SAFETY: the kernel reads and fills `params`, which is laid out as it expects.
        let fd = unsafe { libc::syscall(libc::SYS_io_uring_setup, entries, &raw mut *params) };
        if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(fd as i32) }
    }

    fn enter(fd: i32, submit: u32, wait: u32, flags: u32) -> io::Result<u32> {
        // SAFETY: numbers; no signal mask is given.
        let n = unsafe {
            libc::syscall(libc::SYS_io_uring_enter, fd, submit, wait, flags, 0usize, 0usize)
        };
        if n < 0 { Err(io::Error::last_os_error()) } else { Ok(n as u32) }
    }

    fn map(fd: i32, len: usize, offset: u64) -> io::Result<*mut u8> {
        // SAFETY: a new mapping where the kernel likes.
        let at = unsafe {
            libc::mmap(std::ptr::null_mut(), len, PROTECTION, SHARED, fd, offset as libc::off_t)
        };
        if at == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(at.cast()) }
    }

    fn close(fd: i32) {
        // SAFETY: the descriptor is the ring's own and used no more.
        unsafe { libc::close(fd) };
    }
}

impl Door for Engine {
    fn setup(entries: u32, params: &mut Params) -> io::Result<i32> {
        answer(sysring_engine::setup(entries, User::of(params))).map(|fd| fd as i32)
    }

    fn enter(fd: i32, submit: u32, wait: u32, flags: u32) -> io::Result<u32> {
        let caller = Caller::default();
        answer(sysring_engine::enter(fd as u32, submit, wait, flags, User::NULL, 0, &caller))
            .map(|n| n as u32)
    }

    fn map(fd: i32, len: usize, offset: u64) -> io::Result<*mut u8> {
        let (fd, protection, flags) = (Fd::new(fd), PROTECTION as u32, SHARED as u32);
        sysring_engine::descriptors::mmap(fd, 0, len, protection, flags, offset)
            .ok_or_else(|| io::Error::other("the engine does not know its own ring"))
            .and_then(answer)
            .map(|address| address as *mut u8)
    }

    fn close(fd: i32) {
        let _ = sysring_engine::descriptors::close(Fd::new(fd));
    }
}

fn answer<T>(result: sysring_sys::Result<T>) -> io::Result<T> {
    result.map_err(|errno| io::Error::from_raw_os_error(errno.raw()))
}

struct Mapping {
    at: *mut u8,
    len: usize,
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `Door::map` with this length, and the ring is going.
        unsafe { libc::munmap(self.at.cast(), self.len) };
    }
}

/// A ring of plain configuration, used by one thread.
pub struct Ring<D: Door> {
    fd: i32,
    params: Params,
    queues: Mapping,
    sqes: Mapping,
    door: PhantomData<D>,
}

impl<D: Door> Ring<D> {
    pub fn new(entries: u32) -> io::Result<Ring<D>> {
        let mut params = Params::default();
        let fd = D::setup(entries, &mut params)?;
        let sq = params.sq_off.array as usize + params.sq_entries as usize * 4;
        let cq = params.cq_off.cqes as usize + params.cq_entries as usize * size_of::<Cqe>();
        let len = sq.max(cq);
        let queues = Mapping { at: D::map(fd, len, OFF_SQ_RING)?, len };
        let len = params.sq_entries as usize * size_of::<Sqe>();
        let sqes = Mapping { at: D::map(fd, len, OFF_SQES)?, len };
        let ring = Ring { fd, params, queues, sqes, door: PhantomData };
        for i in 0..ring.params.sq_entries {
            // SAFETY: the array has `sq_entries` slots; nobody reads them before the tail moves.
            unsafe { ring.at(ring.params.sq_off.array).cast::<u32>().add(i as usize).write(i) };
        }
        Ok(ring)
    }

    fn at(&self, offset: u32) -> *mut u8 {
        // SAFETY: offsets come from setup and lie within the mapping it sized.
        unsafe { self.queues.at.add(offset as usize) }
    }

    fn word(&self, offset: u32) -> &AtomicU32 {
        // SAFETY: as `at`, and the offsets of the words are multiples of four.
        unsafe { &*self.at(offset).cast::<AtomicU32>() }
    }

    /// Queues one entry; the caller keeps within the ring's size.
    #[inline]
    pub fn push(&mut self, sqe: Sqe) {
        let tail = self.word(self.params.sq_off.tail);
        let next = tail.load(Ordering::Relaxed);
        let slot = (next & (self.params.sq_entries - 1)) as usize;
        // SAFETY: the slot is within the mapping, and its last entry has been consumed.
        unsafe { self.sqes.at.cast::<Sqe>().add(slot).write(sqe) };
        tail.store(next.wrapping_add(1), Ordering::Release);
    }

    /// Submits what was queued and waits until `wait` completions lie in the queue.
    #[inline]
    pub fn enter(&mut self, submit: u32, wait: u32) -> io::Result<u32> {
        D::enter(self.fd, submit, wait, if wait > 0 { enter::GETEVENTS } else { 0 })
    }

    /// Takes one completion.
    #[inline]
    pub fn pop(&mut self) -> Option<Cqe> {
        let head = self.word(self.params.cq_off.head);
        let next = head.load(Ordering::Relaxed);
        if next == self.word(self.params.cq_off.tail).load(Ordering::Acquire) {
            return None;
        }
        let slot = (next & (self.params.cq_entries - 1)) as usize;
        // SAFETY: the slot is within the mapping, and the tail says it was written.
        let cqe = unsafe { self.at(self.params.cq_off.cqes).cast::<Cqe>().add(slot).read() };
        head.store(next.wrapping_add(1), Ordering::Release);
        Some(cqe)
    }
}

impl<D: Door> Drop for Ring<D> {
    fn drop(&mut self) {
        D::close(self.fd);
    }
}
