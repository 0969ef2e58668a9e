//! Buffers that the kernel has mapped once and for all.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::{Arc, Weak};

use sysring_sys::abi::io_uring::register;

use super::buf::{Buf, BufMut};
use super::memory::Pages;
use super::ring::Ring;
use super::turn::Shared;
use crate::Errno;
use sysring_sys::Result;

/// A registered buffer: the kernel need not look up its pages for every operation. Used by
/// [`Ring::read_fixed`] and [`Ring::write_fixed`], and good for every other operation, too.
///
/// There is one way to it, this value: while an operation has it, nobody else does.
pub struct FixedBuf {
    ring: Weak<Shared>,
    pages: Arc<Pages>,
    index: u16,
    size: usize,
    len: usize,
}

/// `struct iovec`.
#[repr(C)]
struct Vector {
    at: *mut u8,
    len: usize,
}

impl Ring {
    /// Registers `count` new buffers of `size` bytes, zeroed (`IORING_REGISTER_BUFFERS`). They stay
    /// registered, and their memory pinned, while the ring is there.
    ///
    /// # Errors
    /// - `EBUSY`: it was done before; a ring has one set of them.
    /// - `EINVAL`: none, or more than 16,384, or empty ones.
    /// - `ENOMEM`: the limit on locked memory (`RLIMIT_MEMLOCK`) is too low, or memory is out.
    pub fn register_buffers(&self, count: u16, size: usize) -> Result<Vec<FixedBuf>> {
        let len = size.checked_mul(usize::from(count)).filter(|len| *len > 0);
        let pages = Arc::new(Pages::new(len.ok_or(Errno::EINVAL)?)?);
        let at = |index: u16| pages.at(usize::from(index) * size).as_ptr();
        let vectors: Vec<Vector> = (0..count).map(|i| Vector { at: at(i), len: size }).collect();
        // SAFETY: the kernel keeps the pages, whatever becomes of the mapping; the engine in
        // userspace hands the addresses to system calls alone, which answer `EFAULT` then.
        unsafe { self.shared.register(register::BUFFERS, vectors.as_ptr(), u32::from(count)) }?;
        let fixed = |index| FixedBuf {
            ring: self.downgrade(),
            pages: Arc::clone(&pages),
            index,
            size,
            len: size,
        };
        Ok((0..count).map(fixed).collect())
    }
}

impl FixedBuf {
    /// The bytes that lie before the length, which is that of what was read last.
    fn at(&self) -> NonNull<u8> {
        self.pages.at(usize::from(self.index) * self.size)
    }

    /// Which of the ring's buffers it is.
    pub(super) fn index(&self, ring: &Ring) -> Option<u16> {
        ring.is(&self.ring).then_some(self.index)
    }

    /// Makes it `len` bytes long.
    ///
    /// # Panics
    /// If it has not that many.
    pub fn set_len(&mut self, len: usize) {
        assert!(len <= self.size, "{len} of {} bytes", self.size);
        self.len = len;
    }
}

impl Deref for FixedBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the pages were zeroed, and no operation has them: it would own this value.
        unsafe { std::slice::from_raw_parts(self.at().as_ptr(), self.len) }
    }
}

impl DerefMut for FixedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: the pages were zeroed, and no operation has them: it would own this value.
        unsafe { std::slice::from_raw_parts_mut(self.at().as_ptr(), self.len) }
    }
}

// SAFETY: initialised bytes in pages that stay while this is there.
unsafe impl Buf for FixedBuf {
    fn ptr(&self) -> *const u8 {
        self.at().as_ptr()
    }

    fn len(&self) -> usize {
        self.len
    }
}

// SAFETY: initialised bytes in pages that stay while this is there, and nobody else's.
unsafe impl BufMut for FixedBuf {
    fn ptr_mut(&mut self) -> *mut u8 {
        self.at().as_ptr()
    }

    fn room(&self) -> usize {
        self.size
    }

    unsafe fn filled(&mut self, count: usize) {
        self.len = count;
    }
}

impl fmt::Debug for FixedBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FixedBuf").field("index", &self.index).field("len", &self.len).finish()
    }
}
