//! Making a ring, and taking it apart.

use core::ffi::c_int;

use sysring_sys::abi::io_uring::{
    Cqe, OFF_CQ_RING, OFF_SQ_RING, OFF_SQES, Params, Sqe, feat, setup,
};
use sysring_sys::raw::general::MADV_DONTFORK;
use sysring_sys::{Errno, Fd, Result, User, call};

use crate::app_memory::{self, Given};
use crate::choice::{Engine, engine};
use crate::door::{self, fold, fold_unit};
use crate::ring::{Cq, IoUring, Sq, Word, own};
use crate::ring_fd;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_uring_queue_init(
    entries: u32,
    ring: *mut IoUring,
    flags: u32,
) -> c_int {
    let mut params = Params { flags, ..Params::default() };
    // SAFETY: by the caller's word; the parameters are ours.
    unsafe { io_uring_queue_init_params(entries, ring, &mut params) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_uring_queue_init_params(
    entries: u32,
    ring: *mut IoUring,
    params: &mut Params,
) -> c_int {
    // SAFETY: by the caller's word.
    fold(unsafe { init(entries, ring, params, None) }.map(|_| 0))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_uring_queue_init_mem(
    entries: u32,
    ring: *mut IoUring,
    params: &mut Params,
    memory: *mut u8,
    size: usize,
) -> c_int {
    params.flags |= setup::NO_MMAP;
    // SAFETY: by the caller's word.
    fold(unsafe { init(entries, ring, params, Given::at(memory, size)) })
}

/// Makes a ring without an index array if the other side can do without, with one otherwise; how
/// much of the given memory it took.
unsafe fn init(
    entries: u32,
    ring: *mut IoUring,
    params: &mut Params,
    given: Option<Given>,
) -> Result<usize> {
    let flags = params.flags;
    params.flags |= setup::NO_SQARRAY;
    // SAFETY: by the caller's word.
    match unsafe { init_as_told(entries, ring, params, given) } {
        Err(Errno::EINVAL) if flags & setup::NO_SQARRAY == 0 => {
            params.flags = flags;
            // SAFETY: by the caller's word; the first attempt was refused before it took anything.
            unsafe { init_as_told(entries, ring, params, given) }
        }
        result => result,
    }
}

unsafe fn init_as_told(
    entries: u32,
    ring: *mut IoUring,
    params: &mut Params,
    given: Option<Given>,
) -> Result<usize> {
    // SAFETY: the caller gave a structure to fill.
    let ring = unsafe {
        ring.write(IoUring::blank());
        &mut *ring
    };
    let has = |flag| params.flags & flag != 0;
    if has(setup::REGISTERED_FD_ONLY) && !has(setup::NO_MMAP) {
        return Err(Errno::EINVAL);
    }
    let engine = engine();
    let mut memory = None;
    if has(setup::NO_MMAP) {
        let provided = app_memory::provide(entries, params, given)?;
        params.sq_off.user_addr = provided.sqes as u64;
        params.cq_off.user_addr = provided.queues as u64;
        memory = Some(provided);
    }
    let fd = match door::setup(engine, entries, User::of(&raw mut *params)) {
        Ok(fd) => fd as i32,
        Err(e) => {
            if let Some(memory) = memory {
                memory.free();
            }
            return Err(e);
        }
    };
    let used = match &memory {
        Some(memory) => {
            // SAFETY: the memory was made for a ring of this size.
            unsafe { ring.place(params, memory.queues, memory.queues, memory.sqes) };
            memory.describe(ring);
            memory.used
        }
        None => {
            if let Err(e) = ring.map(engine, Fd::new(fd), params, params.features) {
                let _ = door::close(engine, Fd::new(fd));
                return Err(e);
            }
            0
        }
    };
    ring.features = params.features;
    ring.adopt(engine, fd, params.flags);
    Ok(used)
}

/// As the two before, but exactly with the flags given; only in the static libraries, as liburing's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __io_uring_queue_init_params(
    entries: u32,
    ring: *mut IoUring,
    params: &mut Params,
    memory: *mut u8,
    size: usize,
) -> c_int {
    // SAFETY: by the caller's word.
    fold(unsafe { init_as_told(entries, ring, params, Given::at(memory, size)) })
}

/// Takes the mappings of a ring's queues down; only in the static libraries, as liburing's.
#[unsafe(no_mangle)]
pub extern "C" fn io_uring_unmap_rings(sq: &Sq, cq: &Cq) {
    free(sq.memory, sq.size);
    if cq.memory != sq.memory {
        free(cq.memory, cq.size);
    }
}

/// Maps a ring that the program itself has made with `io_uring_setup`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_uring_queue_mmap(
    fd: c_int,
    params: &Params,
    ring: *mut IoUring,
) -> c_int {
    // SAFETY: the caller gave a structure to fill.
    let ring = unsafe {
        ring.write(IoUring::blank());
        &mut *ring
    };
    let engine = engine();
    let mapped = ring.map(engine, Fd::new(fd), params, params.features);
    if mapped.is_ok() {
        ring.features = params.features;
        ring.adopt(engine, fd, params.flags);
    }
    fold_unit(mapped)
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_queue_exit(ring: &mut IoUring) {
    if !ring.is(own::APP_MEMORY) {
        ring.unmap();
    }
    if ring.is(own::REGISTERED) {
        ring_fd::io_uring_unregister_ring_fd(ring);
    }
    if ring.ring_fd.get() != -1 {
        let _ = door::close(ring.engine(), ring.fd());
    }
}

/// Children of `fork` will not have the ring's memory.
#[unsafe(no_mangle)]
pub extern "C" fn io_uring_ring_dontfork(ring: &IoUring) -> c_int {
    let sqes = ring.sq.sqes.get().cast::<u8>();
    if ring.sq.memory.is_null() || sqes.is_null() || ring.cq.memory.is_null() {
        return fold_unit(Err(Errno::EINVAL));
    }
    let sqes_size = ring.sq.entries as usize * sqe_size(ring.flags);
    let mut ranges =
        [(sqes, sqes_size), (ring.sq.memory, ring.sq.size), (core::ptr::null_mut(), 0)];
    if ring.cq.memory != ring.sq.memory {
        ranges[2] = (ring.cq.memory, ring.cq.size);
    }
    for (at, len) in ranges.into_iter().filter(|(at, _)| !at.is_null()) {
        // SAFETY: the advice concerns children alone.
        if let Err(e) = unsafe { call::madvise(at as usize, len, MADV_DONTFORK) } {
            return fold_unit(Err(e));
        }
    }
    0
}

/// The size of one submission entry.
pub fn sqe_size(flags: u32) -> usize {
    size_of::<Sqe>() << u32::from(flags & setup::SQE128 != 0)
}

/// The size of one completion entry.
pub fn cqe_size(flags: u32) -> usize {
    size_of::<Cqe>() << u32::from(flags & setup::CQE32 != 0)
}

impl IoUring {
    #[inline(always)]
    pub fn engine(&self) -> Engine {
        IoUring::engine_of(self.own.get())
    }

    /// Which engine serves a ring with these flags of the library's.
    #[inline(always)]
    pub fn engine_of(own: u8) -> Engine {
        if own & own::USER != 0 { Engine::User } else { Engine::Kernel }
    }

    /// Notes whose ring this is, and how it is named.
    fn adopt(&mut self, engine: Engine, fd: i32, flags: u32) {
        self.flags = flags;
        self.ring_fd.set(fd);
        self.enter_ring_fd.set(fd);
        if engine == Engine::User {
            self.set_own(own::USER);
        }
        // With a polling thread, completions appear by themselves.
        if flags & (setup::IOPOLL | setup::SQPOLL) == setup::IOPOLL {
            self.set_own(own::POLLED);
        }
        if flags & setup::REGISTERED_FD_ONLY != 0 {
            self.ring_fd.set(-1);
            self.set_own(own::REGISTERED | own::REGISTERED_REGISTER);
        }
    }

    /// Maps the queues and the entries, and finds the words in them.
    pub fn map(&mut self, engine: Engine, fd: Fd, params: &Params, features: u32) -> Result<()> {
        let sq_size = params.sq_off.array as usize + params.sq_entries as usize * size_of::<u32>();
        let cqes_size = params.cq_entries as usize * cqe_size(params.flags);
        let cq_size = params.cq_off.cqes as usize + cqes_size;
        let one = features & feat::SINGLE_MMAP != 0;
        let larger = sq_size.max(cq_size);
        let (sq_size, cq_size) = if one { (larger, larger) } else { (sq_size, cq_size) };

        let sq = door::mmap(engine, fd, sq_size, OFF_SQ_RING)?;
        (self.sq.memory, self.sq.size) = (sq, sq_size);
        let cq = if one { Ok(sq) } else { door::mmap(engine, fd, cq_size, OFF_CQ_RING) };
        let sqes_size = params.sq_entries as usize * sqe_size(params.flags);
        let result = cq.and_then(|cq| {
            (self.cq.memory, self.cq.size) = (cq, cq_size);
            let sqes = door::mmap(engine, fd, sqes_size, OFF_SQES)?;
            // SAFETY: mappings of the sizes that the parameters ask for.
            unsafe { self.place(params, sq, cq, sqes) };
            self.sq.sqes_size = sqes_size as u32;
            Ok(())
        });
        if result.is_err() {
            self.unmap();
        }
        result
    }

    /// Finds everything in the memory of a new ring.
    ///
    /// # Safety
    /// The memory must be that of the ring that `params` describes.
    unsafe fn place(&mut self, params: &Params, sq: *mut u8, cq: *mut u8, sqes: *mut u8) {
        // SAFETY: by the caller's word.
        unsafe {
            let off = &params.sq_off;
            self.sq.head = Word::at(sq, off.head);
            self.sq.tail = Word::at(sq, off.tail);
            self.sq.mask_word = Word::at(sq, off.ring_mask);
            self.sq.entries_word = Word::at(sq, off.ring_entries);
            self.sq.flags = Word::at(sq, off.flags);
            self.sq.dropped = Word::at(sq, off.dropped);
            self.sq.sqes.set(sqes.cast());
            let off = &params.cq_off;
            self.cq.head = Word::at(cq, off.head);
            self.cq.tail = Word::at(cq, off.tail);
            self.cq.mask_word = Word::at(cq, off.ring_mask);
            self.cq.entries_word = Word::at(cq, off.ring_entries);
            self.cq.overflow = Word::at(cq, off.overflow);
            self.cq.cqes = cq.add(off.cqes as usize).cast();
            if off.flags != 0 {
                self.cq.flags = Word::at(cq, off.flags);
            }
        }
        use core::sync::atomic::Ordering::Relaxed;
        self.sq.memory = sq;
        self.cq.memory = cq;
        self.sq.mask = self.sq.mask_word.get().load(Relaxed);
        self.sq.entries = self.sq.entries_word.get().load(Relaxed);
        self.cq.mask = self.cq.mask_word.get().load(Relaxed);
        self.cq.entries = self.cq.entries_word.get().load(Relaxed);
        if params.flags & setup::NO_SQARRAY == 0 {
            // SAFETY: the mapping has room for an index for each entry. Entries are used in
            // order, so each index is its own.
            unsafe {
                self.sq.array = sq.add(params.sq_off.array as usize).cast();
                for i in 0..self.sq.entries {
                    self.sq.array.add(i as usize).write(i);
                }
            }
        }
    }

    pub fn unmap(&self) {
        let sqes = self.sq.sqes.get().cast::<u8>();
        free(sqes, self.sq.sqes_size as usize);
        io_uring_unmap_rings(&self.sq, &self.cq);
    }
}

/// Gives memory of a ring back.
pub fn free(at: *mut u8, len: usize) {
    if !at.is_null() && len != 0 {
        // SAFETY: a mapping of the ring's, which nobody may use any more.
        let _ = unsafe { call::munmap(at as usize, len) };
    }
}
