//! A ring: its queues, and the ways to reach it.

use std::sync::atomic::{AtomicU32, Ordering};

use sysring_sys::User;
use sysring_sys::abi::io_uring::{
    self as uring, Cqe, GeteventsArg, Params, RsrcUpdate, Sqe, cqe_flags, register, setup,
};

use super::Backend;

/// The lowest number a ring descriptor is given, so that what a program opens is numbered alike
/// whoever serves it.
const RING_FLOOR: i32 = 960;

/// One mapping of a ring, or memory that it was lent.
struct Mapping {
    at: usize,
    len: usize,
    lent: bool,
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if !self.lent {
            // SAFETY: the mapping was made for this value alone.
            unsafe { libc::munmap(self.at as *mut libc::c_void, self.len) };
        }
    }
}

/// Memory to lend a ring: where its queues are to be, and its SQEs.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    pub queues: u64,
    pub sqes: u64,
}

/// A ring and its mappings.
pub struct Ring<'a> {
    pub backend: &'a dyn Backend,
    /// -1 if it has an index only.
    pub fd: i32,
    pub params: Params,
    /// Its place among the registered rings: calls go there then.
    index: Option<u32>,
    queues: Mapping,
    sqes: Mapping,
    tail: u32,
}

impl<'a> Ring<'a> {
    /// Makes a ring; the errno, negated, if there is none.
    ///
    /// # Errors
    /// What `io_uring_setup` or `mmap` answered.
    pub fn new(backend: &'a dyn Backend, entries: u32, params: Params) -> Result<Ring<'a>, i64> {
        Ring::lent(backend, entries, params, None)
    }

    /// The same, in memory that is lent to it if it asks for that (`NO_MMAP`) and there is some.
    ///
    /// # Errors
    /// As [`Ring::new`].
    pub fn lent(
        backend: &'a dyn Backend,
        entries: u32,
        mut params: Params,
        memory: Option<Memory>,
    ) -> Result<Ring<'a>, i64> {
        let memory = memory.filter(|_| params.flags & setup::NO_MMAP != 0);
        if let Some(memory) = memory {
            params.cq_off.user_addr = memory.queues;
            params.sq_off.user_addr = memory.sqes;
        }
        let name = backend.setup(entries, User::of(&raw mut params));
        if name < 0 {
            return Err(name);
        }
        let only_index = params.flags & setup::REGISTERED_FD_ONLY != 0;
        let (fd, index) =
            if only_index { (-1, Some(name as u32)) } else { (lift(name as i32), None) };
        let (queues, sqes) = match map(backend, fd, &params, memory) {
            Ok(both) => both,
            Err(e) => {
                backend.close(fd);
                return Err(e);
            }
        };
        let mut ring = Ring { backend, fd, params, index, queues, sqes, tail: 0 };
        ring.tail = ring.sq_word(params.sq_off.tail).load(Ordering::Relaxed);
        Ok(ring)
    }

    /// Registers the ring among the registered ones, and calls it by its index from now on.
    pub fn call_by_index(&mut self) -> i64 {
        let mut update =
            RsrcUpdate { offset: u32::MAX, data: self.fd as u64, ..Default::default() };
        let answer = self.register(register::RING_FDS, (&raw mut update) as u64, 1);
        if answer == 1 {
            self.index = Some(update.offset);
        }
        answer
    }

    /// `RESIZE_RINGS`: the queues are mapped anew.
    pub fn resize(&mut self, params: Params) -> i64 {
        let mut given = params;
        let answer = self.register(register::RESIZE_RINGS, (&raw mut given) as u64, 1);
        if answer < 0 {
            return answer;
        }
        let flags = self.params.flags;
        self.params = Params { flags, ..given };
        let map_anew = || map(self.backend, self.fd, &self.params, None);
        // The old ones are of no use any more: where calls fail at random it is tried again.
        let mut mapped = map_anew();
        for _ in 0..100 {
            if mapped.is_ok() || !self.backend.fails_at_random() {
                break;
            }
            mapped = map_anew();
        }
        match mapped {
            Ok((queues, sqes)) => (self.queues, self.sqes) = (queues, sqes),
            Err(e) => return e,
        }
        self.tail = self.sq_word(self.params.sq_off.tail).load(Ordering::Relaxed);
        answer
    }

    fn word(&self, offset: u32) -> &AtomicU32 {
        let at = self.queues.at + offset as usize;
        // SAFETY: inside the mapping, which lives as long as `self`; the other side of the ring
        // writes it too, hence an atomic.
        unsafe { &*(at as *const AtomicU32) }
    }

    /// A word of the submission side, by its offset in the parameters.
    #[must_use]
    pub fn sq_word(&self, offset: u32) -> &AtomicU32 {
        self.word(offset)
    }

    /// A word of the completion side, by its offset in the parameters.
    #[must_use]
    pub fn cq_word(&self, offset: u32) -> &AtomicU32 {
        self.word(offset)
    }

    /// The whole memory of the queues, to be spoilt.
    #[must_use]
    pub fn queue_memory(&self) -> (*mut u8, usize) {
        (self.queues.at as *mut u8, self.queues.len)
    }

    /// The whole memory of the SQEs, to be spoilt.
    #[must_use]
    pub fn sqe_memory(&self) -> (*mut u8, usize) {
        (self.sqes.at as *mut u8, self.sqes.len)
    }

    /// Puts one SQE in the queue; it is seen with the next [`Ring::publish`]. `index` is what the
    /// SQ array says in place of the right index.
    pub fn push(&mut self, sqe: Sqe, index: Option<u32>) {
        let place = self.tail & (self.params.sq_entries - 1);
        let size = sqe_size(self.params.flags) as usize;
        let at = self.sqes.at + size * place as usize;
        // SAFETY: `place` is below the number of entries mapped; the rest of a wide one is zeroed.
        unsafe {
            (at as *mut Sqe).write_volatile(sqe);
            ((at + size_of::<Sqe>()) as *mut u8).write_bytes(0, size - size_of::<Sqe>());
        }
        if self.params.flags & setup::NO_SQARRAY == 0 {
            let array = self.params.sq_off.array + 4 * place;
            self.word(array).store(index.unwrap_or(place), Ordering::Relaxed);
        }
        self.tail = self.tail.wrapping_add(1);
    }

    /// Shows the other side what was pushed.
    pub fn publish(&self) {
        self.word(self.params.sq_off.tail).store(self.tail, Ordering::Release);
    }

    /// Entries pushed that the other side has not consumed.
    #[must_use]
    pub fn unconsumed(&self) -> u32 {
        self.tail.wrapping_sub(self.word(self.params.sq_off.head).load(Ordering::Acquire))
    }

    /// Takes back what was not consumed.
    pub fn take_back(&mut self) {
        self.tail = self.word(self.params.sq_off.head).load(Ordering::Acquire);
        self.publish();
    }

    pub fn enter(&self, submit: u32, min: u32, flags: u32) -> i64 {
        self.enter_with(submit, min, flags, 0, 0)
    }

    /// `enter` with an argument.
    pub fn enter_with(&self, submit: u32, min: u32, flags: u32, arg: u64, size: usize) -> i64 {
        let by_index = uring::enter::REGISTERED_RING;
        let (name, flags) =
            self.index.map_or((self.fd, flags), |index| (index as i32, flags | by_index));
        self.backend.enter(name, submit, min, flags, arg, size)
    }

    /// Waits for `min` completions, at most `nanoseconds`.
    pub fn wait(&self, min: u32, nanoseconds: u64) -> i64 {
        let time = [nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000];
        let arg = GeteventsArg { ts: time.as_ptr() as u64, ..GeteventsArg::default() };
        let flags = uring::enter::GETEVENTS | uring::enter::EXT_ARG;
        self.enter_with(0, min, flags, (&raw const arg) as u64, size_of::<GeteventsArg>())
    }

    pub fn register(&self, opcode: u32, arg: u64, count: u32) -> i64 {
        let by_index = register::USE_REGISTERED_RING;
        let (name, opcode) =
            self.index.map_or((self.fd, opcode), |index| (index as i32, opcode | by_index));
        self.backend.register(name, opcode, arg, count)
    }

    /// The next completion, taken off the queue.
    pub fn take(&mut self) -> Option<Cqe> {
        self.take_wide().map(|(cqe, _)| cqe)
    }

    /// The same, with the second half of one of 32 bytes. What only fills the queue's end is left
    /// out.
    pub fn take_wide(&mut self) -> Option<(Cqe, [u64; 2])> {
        let off = self.params.cq_off;
        loop {
            let head = self.word(off.head).load(Ordering::Relaxed);
            if head == self.word(off.tail).load(Ordering::Acquire) {
                return None;
            }
            let place = head & (self.params.cq_entries - 1);
            let size = cqe_size(self.params.flags);
            let at = self.queues.at + off.cqes as usize + (size * place) as usize;
            // SAFETY: `place` is below the number of entries mapped.
            let cqe = unsafe { (at as *const Cqe).read_volatile() };
            let mixed = self.params.flags & setup::CQE_MIXED != 0;
            let wide = mixed && cqe.flags & cqe_flags::CQE32 != 0;
            let extra = if size == 32 || wide {
                // SAFETY: there are 16 bytes more: a wide one never begins in the last place.
                unsafe { ((at + size_of::<Cqe>()) as *const [u64; 2]).read_volatile() }
            } else {
                [0; 2]
            };
            let places = if wide { 2 } else { 1 };
            self.word(off.head).store(head.wrapping_add(places), Ordering::Release);
            if !mixed || cqe.flags & cqe_flags::SKIP == 0 {
                return Some((cqe, extra));
            }
        }
    }

    /// Completions in the queue.
    #[must_use]
    pub fn ready(&self) -> u32 {
        let off = self.params.cq_off;
        let tail = self.word(off.tail).load(Ordering::Acquire);
        tail.wrapping_sub(self.word(off.head).load(Ordering::Relaxed))
    }
}

impl Drop for Ring<'_> {
    fn drop(&mut self) {
        if let Some(index) = self.index {
            let update = RsrcUpdate { offset: index, ..RsrcUpdate::default() };
            let empty =
                || self.register(register::UNREGISTER_RING_FDS, (&raw const update) as u64, 1);
            // Where calls fail at random this one may, too, and the ring would never be gone.
            let _ = (0..100).find(|_| empty() == 1 || !self.backend.fails_at_random());
        }
        if self.fd >= 0 {
            self.backend.close(self.fd);
        }
    }
}

/// The two parts of a ring's memory: mapped, or what it was lent.
fn map(
    backend: &dyn Backend,
    fd: i32,
    params: &Params,
    memory: Option<Memory>,
) -> Result<(Mapping, Mapping), i64> {
    let sq_len = match params.flags & setup::NO_SQARRAY {
        0 => params.sq_off.array + 4 * params.sq_entries,
        _ => 0,
    };
    let cq_len = params.cq_off.cqes + cqe_size(params.flags) * params.cq_entries;
    let queues_len = sq_len.max(cq_len) as usize;
    let sqes_len = (sqe_size(params.flags) * params.sq_entries) as usize;
    let map = |len: usize, offset, memory: Option<u64>| {
        let at = memory.map_or_else(|| backend.mmap(fd, len, offset), |at| at as i64);
        if at < 0 && at > -4096 {
            return Err(at);
        }
        Ok(Mapping { at: at as usize, len, lent: memory.is_some() })
    };
    let queues = map(queues_len, uring::OFF_SQ_RING, memory.map(|memory| memory.queues))?;
    let sqes = map(sqes_len, uring::OFF_SQES, memory.map(|memory| memory.sqes))?;
    Ok((queues, sqes))
}

/// Bytes of an SQE on a ring with these flags.
fn sqe_size(flags: u32) -> u32 {
    if flags & setup::SQE128 != 0 { 128 } else { 64 }
}

/// Bytes of a CQE.
fn cqe_size(flags: u32) -> u32 {
    if flags & setup::CQE32 != 0 { 32 } else { 16 }
}

/// Moves a ring descriptor out of the way of the numbers programs count on.
fn lift(fd: i32) -> i32 {
    if fd >= RING_FLOOR {
        return fd;
    }
    // SAFETY: takes numbers only.
    let high = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, RING_FLOOR) };
    if high < 0 {
        return fd;
    }
    // SAFETY: `fd` is ours and has just been duplicated.
    unsafe { libc::close(fd) };
    high
}
