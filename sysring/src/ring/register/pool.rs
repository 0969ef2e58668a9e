//! Registered buffers that the crate keeps, handed out one at a time.

use core::cell::Cell;
use core::fmt;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use core::slice;

use sysring_sys::Errno;
use sysring_sys::abi::Iovec;

use super::Register;
use crate::op::{ReadFixed, Target, WriteFixed};
use crate::ring::memory::Private;

/// Registered buffers of one size: [`Register::buffer_pool`].
///
/// Each is handed out ([`take`](BufferPool::take)) to one owner at a time, who reads into it and
/// writes from it with operations that need not map its memory anew.
///
/// ```
/// use sysring::Ring;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut ring = Ring::new(8)?;
/// let pool = ring.register().buffer_pool(4, 4096)?;
/// let zero = std::fs::File::open("/dev/zero")?;
///
/// let mut buffer = pool.take().unwrap();
/// buffer.fill(1);
/// let read = buffer.read(&zero, 100).offset(0);
/// // SAFETY: the buffer is not touched until the completion is taken.
/// unsafe { ring.push(read)? };
/// ring.submit_and_wait(1)?;
/// assert_eq!(ring.completion().unwrap().result()?, 100);
/// assert_eq!((buffer[99], buffer[100]), (0, 1));
/// # Ok(()) }
/// ```
///
/// # Dropping
/// The memory goes. Nothing may be under way that uses it.
pub struct BufferPool {
    buffers: Private,
    /// For each buffer, whether it is handed out.
    taken: Private,
    next: Cell<u16>,
    count: u16,
    len: u32,
}

impl Register<'_> {
    /// Makes a table of `count` registered buffers (at most 16,384), each of `len` bytes
    /// (`IORING_REGISTER_BUFFERS`, Linux 5.1; piece by piece, Linux 5.19).
    ///
    /// # Errors
    /// As [`buffers`](Register::buffers).
    pub fn buffer_pool(&self, count: u16, len: u32) -> Result<BufferPool, Errno> {
        if count == 0 || len == 0 {
            return Err(Errno::EINVAL);
        }
        let bytes = usize::from(count).checked_mul(len as usize).ok_or(Errno::ENOMEM)?;
        let pool = BufferPool {
            buffers: Private::new(bytes)?,
            taken: Private::new(usize::from(count))?,
            next: Cell::new(0),
            count,
            len,
        };
        self.buffers_sparse(u32::from(count))?;
        /// So many at a time: there is no allocator, and stacks are small.
        const CHUNK: usize = 32;
        let mut first = 0;
        while first < count {
            let rest = usize::from(count - first).min(CHUNK);
            let pieces: [Iovec; CHUNK] = core::array::from_fn(|i| Iovec {
                // Those beyond the rest are not looked at.
                iov_base: pool.start(first.wrapping_add(i as u16) % count).as_ptr().cast(),
                iov_len: len.into(),
            });
            // SAFETY: the memory is the pool's, which outlives the operations that use it.
            let done = unsafe { self.update_buffers(first.into(), &pieces[..rest], None) };
            if let Err(error) = done {
                let _ = self.unregister_buffers();
                return Err(error);
            }
            first += rest as u16;
        }
        Ok(pool)
    }
}

impl BufferPool {
    /// How many buffers there are.
    #[must_use]
    pub fn count(&self) -> u16 {
        self.count
    }

    /// The length of each.
    #[must_use]
    pub fn buffer_len(&self) -> u32 {
        self.len
    }

    /// A buffer that nobody has; none if all are handed out. Its contents are what was there before.
    pub fn take(&self) -> Option<PoolBuffer<'_>> {
        for _ in 0..self.count {
            let index = self.next.get();
            self.next.set((index + 1) % self.count);
            if !self.taken(index).replace(true) {
                return Some(PoolBuffer { pool: self, index });
            }
        }
        None
    }

    fn taken(&self, index: u16) -> &Cell<bool> {
        // SAFETY: a byte for each buffer, zero (which is `false`) at first and written as `bool` only.
        unsafe { self.taken.at().add(usize::from(index)).cast::<Cell<bool>>().as_ref() }
    }

    fn start(&self, index: u16) -> NonNull<u8> {
        // SAFETY: the memory has so many buffers.
        unsafe { self.buffers.at().add(usize::from(index) * self.len as usize) }
    }
}

// SAFETY: the memory is the pool's own, and goes with it.
unsafe impl Send for BufferPool {}

impl fmt::Debug for BufferPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferPool")
            .field("count", &self.count)
            .field("buffer_len", &self.len)
            .finish_non_exhaustive()
    }
}

/// A registered buffer that is handed out: [`BufferPool::take`]. Dropped, it is free again.
pub struct PoolBuffer<'a> {
    pool: &'a BufferPool,
    index: u16,
}

impl PoolBuffer<'_> {
    /// Its index in the ring's table.
    #[must_use]
    pub fn index(&self) -> u16 {
        self.index
    }

    /// Reads up to `len` bytes into it, not more than it has.
    pub fn read(&mut self, target: impl Target, len: u32) -> ReadFixed {
        let start = self.pool.start(self.index).as_ptr();
        ReadFixed::new(target, start, len.min(self.pool.len), self.index)
    }

    /// Writes its first `len` bytes, not more than it has.
    pub fn write(&self, target: impl Target, len: u32) -> WriteFixed {
        let start = self.pool.start(self.index).as_ptr();
        WriteFixed::new(target, start, len.min(self.pool.len), self.index)
    }
}

impl Deref for PoolBuffer<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let start = self.pool.start(self.index).as_ptr();
        // SAFETY: its owner's alone until it is dropped.
        unsafe { slice::from_raw_parts(start, self.pool.len as usize) }
    }
}

impl DerefMut for PoolBuffer<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        let start = self.pool.start(self.index).as_ptr();
        // SAFETY: its owner's alone until it is dropped, and the owner is borrowed mutably.
        unsafe { slice::from_raw_parts_mut(start, self.pool.len as usize) }
    }
}

impl Drop for PoolBuffer<'_> {
    fn drop(&mut self) {
        self.pool.taken(self.index).set(false);
    }
}

impl fmt::Debug for PoolBuffer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolBuffer").field("index", &self.index).finish_non_exhaustive()
    }
}
