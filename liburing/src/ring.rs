//! `struct io_uring`, bit for bit: inline functions compiled into programs use its fields.
//!
//! The addresses in it were set by `queue` and lead into the ring's mapping, which stays
//! until `io_uring_queue_exit`. Programs may use one ring from several threads at once if they keep
//! submission and completion apart, so a ring is always a shared reference, and what changes is in
//! cells.

use core::cell::Cell;
use core::ptr::NonNull;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{Acquire, Relaxed};

use sysring_sys::Fd;
use sysring_sys::abi::io_uring::{Cqe, Sqe, feat, setup, sq_flags};

/// A word in the memory that is shared with the other side; none before the ring was made.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Word(pub Option<NonNull<AtomicU32>>);

impl Word {
    /// The word `offset` bytes into a mapping.
    ///
    /// # Safety
    /// The mapping must be that large, and stay as long as the word is used.
    pub unsafe fn at(mapping: *mut u8, offset: u32) -> Word {
        // SAFETY: by the caller's word.
        Word(NonNull::new(unsafe { mapping.add(offset as usize) }.cast()))
    }

    #[inline(always)]
    pub fn get(&self) -> &AtomicU32 {
        // SAFETY: a ring that was made has all of its words, mapped until it is taken apart; one
        // that was not may not be passed to any function but those that make one.
        unsafe { self.0.unwrap_unchecked().as_ref() }
    }
}

#[repr(C)]
pub struct Sq {
    pub head: Word,
    pub tail: Word,
    pub mask_word: Word,
    pub entries_word: Word,
    pub flags: Word,
    pub dropped: Word,
    pub array: *mut u32,
    pub sqes: Cell<*mut Sqe>,
    pub sqe_head: Cell<u32>,
    pub sqe_tail: Cell<u32>,
    pub size: usize,
    pub memory: *mut u8,
    pub mask: u32,
    pub entries: u32,
    pub sqes_size: u32,
    pub pad: u32,
}

#[repr(C)]
pub struct Cq {
    pub head: Word,
    pub tail: Word,
    pub mask_word: Word,
    pub entries_word: Word,
    pub flags: Word,
    pub overflow: Word,
    pub cqes: *mut Cqe,
    pub size: usize,
    pub memory: *mut u8,
    pub mask: u32,
    pub entries: u32,
    pub pad: [u32; 2],
}

#[repr(C)]
pub struct IoUring {
    pub sq: Sq,
    pub cq: Cq,
    pub flags: u32,
    pub ring_fd: Cell<i32>,
    pub features: u32,
    pub enter_ring_fd: Cell<i32>,
    /// [`own`]: no inline function looks at them.
    pub own: Cell<u8>,
    pub pad: [u8; 3],
    pub pad2: u32,
}

/// The library's own flags of a ring. Those that `enter` is called with have its values.
pub mod own {
    use sysring_sys::abi::io_uring::enter;

    /// `register` names the ring by its registered index.
    pub const REGISTERED_REGISTER: u8 = 1 << 0;
    /// The memory is the application's.
    pub const APP_MEMORY: u8 = 1 << 1;
    /// Completions appear only in `enter`.
    pub const POLLED: u8 = 1 << 2;
    /// The engine in this process serves the ring.
    pub const USER: u8 = 1 << 3;
    /// `enter` names the ring by its registered index.
    pub const REGISTERED: u8 = enter::REGISTERED_RING as u8;
    /// Waiting is not to be counted as waiting for I/O.
    pub const NO_IOWAIT: u8 = enter::NO_IOWAIT as u8;

    /// What `enter` is always told.
    pub const ENTER: u8 = REGISTERED | NO_IOWAIT;
    const _: () = assert!(enter::REGISTERED_RING | enter::NO_IOWAIT == ENTER as u32);
}

#[cfg(target_pointer_width = "64")]
const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<IoUring>() == 216 && align_of::<IoUring>() == 8);
    assert!(size_of::<Sq>() == 104 && size_of::<Cq>() == 88);
    assert!(offset_of!(Sq, head) == 0 && offset_of!(Sq, tail) == 8);
    assert!(offset_of!(Sq, mask_word) == 16 && offset_of!(Sq, entries_word) == 24);
    assert!(offset_of!(Sq, flags) == 32 && offset_of!(Sq, dropped) == 40);
    assert!(offset_of!(Sq, array) == 48 && offset_of!(Sq, sqes) == 56);
    assert!(offset_of!(Sq, sqe_head) == 64 && offset_of!(Sq, sqe_tail) == 68);
    assert!(offset_of!(Sq, size) == 72 && offset_of!(Sq, memory) == 80);
    assert!(offset_of!(Sq, mask) == 88 && offset_of!(Sq, entries) == 92);
    assert!(offset_of!(Sq, sqes_size) == 96);
    assert!(offset_of!(Cq, head) == 0 && offset_of!(Cq, tail) == 8);
    assert!(offset_of!(Cq, mask_word) == 16 && offset_of!(Cq, entries_word) == 24);
    assert!(offset_of!(Cq, flags) == 32 && offset_of!(Cq, overflow) == 40);
    assert!(offset_of!(Cq, cqes) == 48 && offset_of!(Cq, size) == 56);
    assert!(offset_of!(Cq, memory) == 64);
    assert!(offset_of!(Cq, mask) == 72 && offset_of!(Cq, entries) == 76);
    assert!(offset_of!(IoUring, cq) == 104 && offset_of!(IoUring, flags) == 192);
    assert!(offset_of!(IoUring, ring_fd) == 196 && offset_of!(IoUring, features) == 200);
    assert!(offset_of!(IoUring, enter_ring_fd) == 204 && offset_of!(IoUring, own) == 208);
};

impl IoUring {
    /// All zero: what a ring is before it is made.
    pub const fn blank() -> IoUring {
        // SAFETY: null words, null pointers and zeroes are values of the fields.
        unsafe { core::mem::zeroed() }
    }

    #[inline(always)]
    pub fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    #[inline(always)]
    pub fn can(&self, feature: u32) -> bool {
        self.features & feature != 0
    }

    #[inline(always)]
    pub fn is(&self, own: u8) -> bool {
        self.own.get() & own != 0
    }

    pub fn set_own(&self, flags: u8) {
        self.own.set(self.own.get() | flags);
    }

    pub fn clear_own(&self, flags: u8) {
        self.own.set(self.own.get() & !flags);
    }

    pub fn fd(&self) -> Fd {
        Fd::new(self.ring_fd.get())
    }

    /// How far the other side has come with the submissions.
    #[inline(always)]
    pub fn sq_head(&self) -> u32 {
        // With a polling thread Acquire pairs with its Release: it has read the entries before.
        // Otherwise the entries are read in our own calls.
        self.sq.head.get().load(if self.has(setup::SQPOLL) { Acquire } else { Relaxed })
    }

    #[inline(always)]
    pub fn sq_flags(&self) -> u32 {
        self.sq.flags.get().load(Relaxed)
    }

    /// The CQ's head: only this side moves it.
    #[inline(always)]
    pub fn cq_head(&self) -> u32 {
        self.cq.head.get().load(Relaxed)
    }

    /// Completions that can be taken.
    #[inline(always)]
    pub fn cq_ready(&self) -> u32 {
        // Acquire pairs with the other side's Release: the entries are whole.
        self.cq.tail.get().load(Acquire).wrapping_sub(self.cq_head())
    }

    /// Where the completion with this index lies.
    #[inline(always)]
    pub fn cqe_at(&self, index: u32) -> *mut Cqe {
        let shift = u32::from(self.has(setup::CQE32));
        let place = (index & self.cq.mask) << shift;
        // SAFETY: masked, so in the mapping of the queue, whose entries are twice as large with
        // the flag.
        unsafe { self.cq.cqes.add(place as usize) }
    }

    /// The other side keeps completions back until it is entered.
    #[inline(always)]
    pub fn cq_is_held_back(&self) -> bool {
        self.sq_flags() & (sq_flags::CQ_OVERFLOW | sq_flags::TASKRUN) != 0
    }

    /// Completions may wait for an `enter` to appear.
    #[inline(always)]
    pub fn cq_needs_enter(&self) -> bool {
        self.is(own::POLLED) || self.cq_is_held_back()
    }

    pub fn can_wait_with_arguments(&self) -> bool {
        self.can(feat::EXT_ARG)
    }
}
