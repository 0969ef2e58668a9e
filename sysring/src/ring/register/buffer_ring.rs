//! Rings of buffers: groups that operations take their buffers from, and programs give back to, by
//! shared memory.

use core::cell::Cell;
use core::fmt;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use core::slice;
use core::sync::atomic::AtomicU16;
use core::sync::atomic::Ordering::Release;

use sysring_sys::Errno;
use sysring_sys::abi::io_uring::{BufEntry, BufReg, BufStatus, register};

use super::Register;
use crate::ring::memory::Private;
use crate::ring::{CqEntry, Cqe};

/// The most buffers that a ring of them can have.
const MOST: u16 = 1 << 15;

/// A group of buffers of one size: [`Register::buffer_ring`].
///
/// An operation that selects from the group ([`op::Recv::buffer_group`](crate::op::Recv::buffer_group)
/// and its kin) takes a buffer when there is something to put into it. Its completion is exchanged
/// for a [`Buffer`] ([`take`](BufferRing::take)), which is the program's until it is dropped, and the
/// group's again then: none is in use on both sides.
///
/// ```
/// use std::io::Write;
/// use sysring::{Ring, op};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut ring = Ring::new(8)?;
/// let buffers = ring.register().buffer_ring(0, 4, 1024)?;
/// let (receiver, mut sender) = std::os::unix::net::UnixStream::pair()?;
/// let receive = op::Recv::multishot(&receiver, buffers.group());
/// // SAFETY: the buffers outlive the operation, which ends when the sender has gone.
/// unsafe { ring.push(receive)? };
/// for _ in 0..10 {
///     sender.write_all(b"again")?;
///     ring.submit_and_wait(1)?;
///     let completion = ring.completion().unwrap();
///     // SAFETY: of an operation that selects from this group, and taken once.
///     let buffer = unsafe { buffers.take(&completion) }.unwrap();
///     assert_eq!(&*buffer, b"again");
/// }
/// # drop(sender); ring.submit_and_wait(1)?; assert!(!ring.completion().unwrap().more());
/// # Ok(()) }
/// ```
///
/// # Dropping
/// The memory goes. Nothing may be under way that selects from the group, nor begin after: that is
/// among what the caller of [`Ring::push`](crate::Ring::push) answers for. The id is free again after
/// [`unregister`](BufferRing::unregister), or when the ring is dropped.
pub struct BufferRing {
    entries: Private,
    buffers: Private,
    /// For each buffer, whether the program has it.
    taken: Private,
    /// For each buffer, the one that was given after it, as the other side takes them: so it stays
    /// until it is given again.
    next: Private,
    /// The one that was given last.
    last: Cell<u16>,
    tail: Cell<u16>,
    mask: u16,
    group: u16,
    len: u32,
}

impl Register<'_> {
    /// Makes a group of `count` buffers (a power of two, at most 32,768), each of `len` bytes, under
    /// this id (`IORING_REGISTER_PBUF_RING`, Linux 5.19).
    ///
    /// # Errors
    /// - `EINVAL`: another count, or no bytes.
    /// - `EEXIST`: there is a group of this id.
    /// - `ENOMEM`: out of memory.
    pub fn buffer_ring(&self, group: u16, count: u16, len: u32) -> Result<BufferRing, Errno> {
        if !count.is_power_of_two() || count > MOST || len == 0 {
            return Err(Errno::EINVAL);
        }
        let places = usize::from(count);
        let bytes = places.checked_mul(len as usize).ok_or(Errno::ENOMEM)?;
        let ring = BufferRing {
            entries: Private::new(places * size_of::<BufEntry>())?,
            buffers: Private::new(bytes)?,
            taken: Private::new(places)?,
            next: Private::new(places * size_of::<u16>())?,
            last: Cell::new(0),
            tail: Cell::new(0),
            mask: count - 1,
            group,
            len,
        };
        (0..count).for_each(|id| ring.give(id));
        let mut argument = BufReg {
            ring_addr: ring.entries.at().as_ptr() as u64,
            ring_entries: u32::from(count),
            bgid: group,
            ..BufReg::default()
        };
        self.one(register::PBUF_RING, &mut argument, 1)?;
        Ok(ring)
    }

    /// How many buffers of this group have been taken from it so far, modulo 65,536
    /// (`IORING_REGISTER_PBUF_STATUS`, Linux 6.8).
    ///
    /// # Errors
    /// - `ENOENT`: there is no such group.
    /// - `EINVAL`: it is not a ring of buffers.
    pub fn buffer_ring_head(&self, group: u16) -> Result<u16, Errno> {
        let mut argument = BufStatus { buf_group: u32::from(group), ..BufStatus::default() };
        self.one(register::PBUF_STATUS, &mut argument, 1)?;
        Ok(argument.head as u16)
    }

    /// Makes a group of memory that the program keeps itself: all that the kernel can be told, as
    /// buffers that are consumed in parts (`IORING_REGISTER_PBUF_RING`, Linux 5.19).
    ///
    /// # Safety
    /// The ring that is described must stay until it is unregistered.
    ///
    /// # Errors
    /// As [`buffer_ring`](Register::buffer_ring), and `EFAULT`: the memory is not the program's.
    pub unsafe fn raw_buffer_ring(&self, description: &mut BufReg) -> Result<(), Errno> {
        self.one(register::PBUF_RING, description, 1).map(drop)
    }

    /// Ends such a group (`IORING_UNREGISTER_PBUF_RING`, Linux 5.19).
    ///
    /// # Errors
    /// - `ENOENT`: there is no such group.
    /// - `EINVAL`: it is not a ring of buffers.
    pub fn unregister_buffer_ring(&self, group: u16) -> Result<(), Errno> {
        let mut argument = BufReg { bgid: group, ..BufReg::default() };
        self.one(register::UNREGISTER_PBUF_RING, &mut argument, 1).map(drop)
    }
}

impl BufferRing {
    /// The id of the group.
    #[must_use]
    pub fn group(&self) -> u16 {
        self.group
    }

    /// How many buffers there are.
    #[must_use]
    pub fn count(&self) -> u16 {
        self.mask + 1
    }

    /// The length of each.
    #[must_use]
    pub fn buffer_len(&self) -> u32 {
        self.len
    }

    /// The buffer that a completion brings, as long as it says; none if it brings none.
    ///
    /// # Safety
    /// The completion must be of an operation that selected from this group of the ring that the
    /// group was made for, and not have been taken before.
    #[inline]
    pub unsafe fn take<'a>(&'a self, completion: &impl CqEntry) -> Option<Buffer<'a>> {
        let completion: &Cqe = completion.as_ref();
        let id = completion.buffer_id()?;
        self.take_id(id, completion.result().unwrap_or(0))
    }

    #[inline]
    fn take_id(&self, id: u16, len: u32) -> Option<Buffer<'_>> {
        if id > self.mask || self.taken(id).replace(true) {
            return None;
        }
        Some(Buffer { ring: self, id, len: len.min(self.len) })
    }

    /// The buffers that a completion of a [bundle](crate::op::Recv::bundle) brings, in the order of the
    /// data: all full but the last. Those that are not looked at are given back.
    ///
    /// ```
    /// use std::io::Write;
    /// use sysring::{Errno, Ring, op};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut ring = Ring::new(8)?;
    /// let buffers = ring.register().buffer_ring(0, 8, 4)?;
    /// let (receiver, mut sender) = std::os::unix::net::UnixStream::pair()?;
    /// sender.write_all(b"pieces")?;
    /// let receive = op::Recv::new(&receiver, std::ptr::null_mut(), 0);
    /// // SAFETY: the buffers outlive the operation, which is waited for.
    /// unsafe { ring.push(receive.buffer_group(buffers.group()).bundle())? };
    /// ring.submit_and_wait(1)?;
    /// let completion = ring.completion().unwrap();
    /// if completion.result() != Err(Errno::EINVAL) { // before Linux 6.10
    ///     // SAFETY: of an operation that selects from this group, and taken once.
    ///     let pieces = unsafe { buffers.take_bundle(&completion) };
    ///     assert_eq!(pieces.map(|piece| piece.len()).sum::<usize>() as u32, completion.result()?);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Safety
    /// As for [`take`](BufferRing::take), and the operation was a bundle.
    pub unsafe fn take_bundle<'a>(&'a self, completion: &impl CqEntry) -> Bundle<'a> {
        let completion: &Cqe = completion.as_ref();
        let left = completion.result().unwrap_or(0);
        Bundle { ring: self, id: completion.buffer_id(), left }
    }

    /// Takes the memory back: the id is free again.
    ///
    /// # Errors
    /// `ENOENT`: it is not this ring's.
    pub fn unregister(self, from: Register<'_>) -> Result<(), Errno> {
        from.unregister_buffer_ring(self.group)
    }

    fn taken(&self, id: u16) -> &Cell<bool> {
        // SAFETY: a byte for each buffer, zero (which is `false`) at first and written as `bool` only.
        unsafe { self.taken.at().add(usize::from(id)).cast::<Cell<bool>>().as_ref() }
    }

    fn next(&self, id: u16) -> &Cell<u16> {
        // SAFETY: a word for each buffer.
        unsafe { self.next.at().cast::<Cell<u16>>().add(usize::from(id)).as_ref() }
    }

    fn start(&self, id: u16) -> NonNull<u8> {
        // SAFETY: the memory has so many buffers.
        unsafe { self.buffers.at().add(usize::from(id) * self.len as usize) }
    }

    /// Puts a buffer into the group.
    fn give(&self, id: u16) {
        self.next(self.last.replace(id)).set(id);
        let tail = self.tail.get();
        let entries = self.entries.at().cast::<BufEntry>();
        // SAFETY: masked, so within the memory; the other side is through with the place, for there
        // are as many places as buffers. The last two bytes of the first entry are the tail, and not
        // written here.
        unsafe {
            let place = entries.add(usize::from(tail & self.mask)).as_ptr();
            (&raw mut (*place).addr).write(self.start(id).as_ptr() as u64);
            (&raw mut (*place).len).write(self.len);
            (&raw mut (*place).bid).write(id);
        }
        self.tail.set(tail.wrapping_add(1));
        // SAFETY: the first entry has it; it is aligned, and written by us alone.
        let shared = unsafe { AtomicU16::from_ptr(&raw mut (*entries.as_ptr()).resv) };
        // Release pairs with the other side's Acquire of the tail: the entry is written, and we are
        // through with the buffer.
        shared.store(self.tail.get(), Release);
    }
}

// SAFETY: the memory is the group's own, and goes with it.
unsafe impl Send for BufferRing {}

impl fmt::Debug for BufferRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferRing")
            .field("group", &self.group)
            .field("count", &self.count())
            .field("buffer_len", &self.len)
            .finish_non_exhaustive()
    }
}

/// A buffer that an operation has filled: [`BufferRing::take`]. Dropped, it is the group's again.
pub struct Buffer<'a> {
    ring: &'a BufferRing,
    id: u16,
    len: u32,
}

impl Buffer<'_> {
    /// Its id in the group.
    #[must_use]
    pub fn id(&self) -> u16 {
        self.id
    }
}

impl Deref for Buffer<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the program's until it is dropped, and this is the only one of its id.
        unsafe { slice::from_raw_parts(self.ring.start(self.id).as_ptr(), self.len as usize) }
    }
}

impl DerefMut for Buffer<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: the program's until it is dropped, and the only one of its id, which is borrowed
        // mutably.
        unsafe { slice::from_raw_parts_mut(self.ring.start(self.id).as_ptr(), self.len as usize) }
    }
}

impl Drop for Buffer<'_> {
    fn drop(&mut self) {
        self.ring.taken(self.id).set(false);
        self.ring.give(self.id);
    }
}

/// The buffers of a bundle: [`BufferRing::take_bundle`].
pub struct Bundle<'a> {
    ring: &'a BufferRing,
    /// The next one.
    id: Option<u16>,
    /// How many bytes are in those that follow.
    left: u32,
}

impl<'a> Iterator for Bundle<'a> {
    type Item = Buffer<'a>;

    fn next(&mut self) -> Option<Buffer<'a>> {
        let id = self.id.take()?;
        let buffer = self.ring.take_id(id, self.left)?;
        self.left -= buffer.len;
        if self.left > 0 {
            self.id = Some(self.ring.next(id).get());
        }
        Some(buffer)
    }
}

impl Drop for Bundle<'_> {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}

impl fmt::Debug for Bundle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bundle").field("id", &self.id).field("left", &self.left).finish()
    }
}

impl fmt::Debug for Buffer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("id", &self.id).field("len", &self.len).finish()
    }
}
