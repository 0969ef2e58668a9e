//! Registered buffers: ranges of the application's memory, checked once.
//!
//! The kernel pins them; here they are only remembered. Access follows the address, so memory
//! that is unmapped afterwards yields `EFAULT` where the kernel would still reach its pages.

use core::ops::Range;

use sysring_sys::abi::Iovec;
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Result, User, call};

use crate::backing::Known;
use crate::locked::Locked;
use crate::memory::{self, PAGE};
use crate::op::{MAX_RW_COUNT, check_range};
use crate::slots::Slots;
use crate::tag::Tag;
use crate::user;

/// The most buffers a ring may register, and the largest of them.
const MAX_BUFFERS: u32 = 1 << 14;
const MAX_LEN: usize = 1 << 30;

/// One buffer; `len` 0 is an empty slot.
#[derive(Clone, Copy, Debug)]
pub struct Buffer {
    pub address: u64,
    pub len: usize,
    pub tag: Tag,
}

const EMPTY: Buffer = Buffer { address: 0, len: 0, tag: Tag::NONE };

/// The table.
#[derive(Debug)]
pub struct BufferTable {
    slots: Slots<Buffer>,
}

impl BufferTable {
    pub const NONE: BufferTable = BufferTable { slots: Slots::NONE };

    #[must_use]
    pub fn is_registered(&self) -> bool {
        !self.slots.is_empty()
    }

    #[must_use]
    pub fn slots_count(&self) -> u32 {
        self.slots.len() as u32
    }

    /// An empty table.
    ///
    /// # Errors
    /// `EBUSY`, `EINVAL`, `ENOMEM`.
    pub fn create(&mut self, len: u32) -> Result<()> {
        if self.is_registered() {
            return Err(Errno::EBUSY);
        }
        if len == 0 || len > MAX_BUFFERS {
            return Err(Errno::EINVAL);
        }
        self.slots = Slots::new(len, EMPTY)?;
        Ok(())
    }

    /// A buffer by its index.
    ///
    /// # Errors
    /// `EFAULT`.
    #[inline]
    pub fn get(&self, index: u16) -> Result<Buffer> {
        match self.slots.get(usize::from(index)) {
            Some(buffer) if buffer.len != 0 => Ok(*buffer),
            _ => Err(Errno::EFAULT),
        }
    }

    /// The buffer that a range lies in.
    ///
    /// # Errors
    /// `EFAULT`.
    #[inline]
    pub fn find(&self, index: u16, address: u64, len: u64) -> Result<Buffer> {
        let buffer = self.get(index)?;
        let end = address.checked_add(len).ok_or(Errno::EFAULT)?;
        if address < buffer.address || end > buffer.address + buffer.len as u64 {
            return Err(Errno::EFAULT);
        }
        Ok(buffer)
    }

    /// Copies buffers, without their tags, over a range that both tables have.
    pub fn copy_from(&mut self, other: &BufferTable, from: u32, to: u32, count: u32) {
        for i in 0..count {
            let buffer = other.slots[(from + i) as usize];
            self.slots[(to + i) as usize] = Buffer { tag: Tag::NONE, ..buffer };
        }
    }

    /// The buffer that a vector lies in.
    ///
    /// # Errors
    /// `EFAULT`, also for an empty segment; `EOVERFLOW`; `EINVAL` for more than one call moves.
    pub fn check_vector(&self, index: u16, vector: &[Iovec]) -> Result<Buffer> {
        let buffer = self.get(index)?;
        // The kernel counts pages before it looks at ranges.
        let pages = |entry: &Iovec| (entry.iov_len >> PAGE.ilog2()) + 2;
        if vector.iter().map(pages).sum::<u64>() > i32::MAX as u64 {
            return Err(Errno::EOVERFLOW);
        }
        let mut total = 0usize;
        for entry in vector {
            let (at, len) = (entry.iov_base as usize as u64, entry.iov_len as usize);
            self.find(index, at, len as u64)?;
            if len == 0 {
                return Err(Errno::EFAULT);
            }
            total = total.checked_add(len).ok_or(Errno::EOVERFLOW)?;
        }
        if total > MAX_RW_COUNT { Err(Errno::EINVAL) } else { Ok(buffer) }
    }

    /// Forgets the table.
    pub fn clear(&mut self) {
        for buffer in self.slots.iter() {
            buffer.tag.free();
        }
        *self = BufferTable::NONE;
    }
}

/// `REGISTER_BUFFERS`: the whole table at once.
pub fn register(
    ring: &mut Locked<'_>,
    buffers: User<Iovec>,
    tags: User<u64>,
    len: u32,
) -> Result<usize> {
    ring.buffers.create(len)?;
    let mut known = Known::default();
    let filled = (0..len).try_for_each(|i| fill(ring, i, buffers, tags, i, &mut known));
    if let Err(e) = filled {
        ring.buffers.clear();
        return Err(e);
    }
    Ok(0)
}

/// `REGISTER_BUFFERS_UPDATE`: replaces slots from `offset` on; how many were done.
pub fn update(
    ring: &mut Locked<'_>,
    offset: u32,
    buffers: User<Iovec>,
    tags: User<u64>,
    count: u32,
) -> Result<usize> {
    let end = offset.checked_add(count).ok_or(Errno::EOVERFLOW)?;
    if !ring.buffers.is_registered() {
        return Err(Errno::ENXIO);
    }
    if end > ring.buffers.slots_count() {
        return Err(Errno::EINVAL);
    }
    if buffers.is_null() {
        // Without an array there is an empty table, but nothing to replace slots by.
        return Err(Errno::EFAULT);
    }
    let mut known = Known::default();
    for i in 0..count {
        if let Err(e) = fill(ring, offset + i, buffers, tags, i, &mut known) {
            return if i == 0 { Err(e) } else { Ok(i as usize) };
        }
    }
    Ok(count as usize)
}

fn fill(
    ring: &mut Locked<'_>,
    index: u32,
    buffers: User<Iovec>,
    tags: User<u64>,
    i: u32,
    known: &mut Known,
) -> Result<()> {
    let tag = if tags.is_null() { 0 } else { user::read(tags.add(i as usize))? };
    let buffer = match buffers.is_null() {
        true => EMPTY,
        false => check(user::read(buffers.add(i as usize))?, known)?,
    };
    if buffer.len == 0 && tag != 0 {
        return Err(Errno::EINVAL);
    }
    let new = Buffer { tag: Tag::new(tag)?, ..buffer };
    let old = core::mem::replace(&mut ring.buffers.slots[index as usize], new);
    ring.put_tag(old.tag);
    Ok(())
}

/// What pinning would have found: a null buffer is an empty slot, anything else must be memory.
fn check(iovec: Iovec, known: &mut Known) -> Result<Buffer> {
    let (address, len) = (iovec.iov_base as usize as u64, iovec.iov_len as usize);
    if address == 0 {
        return if len == 0 { Ok(EMPTY) } else { Err(Errno::EFAULT) };
    }
    if len == 0 || len > MAX_LEN {
        return Err(Errno::EFAULT);
    }
    check_range(User::new(address), len).map_err(|_| Errno::EOVERFLOW)?;
    let first = address as usize & !(PAGE - 1);
    let pages = memory::pages(address as usize + len - first);
    populate(first, pages)?;
    if known.is_tracked_file(first..first + pages) {
        return Err(Errno::EFAULT);
    }
    Ok(Buffer { address, len, tag: Tag::NONE })
}

/// Makes sure that whole pages are there to be written.
///
/// # Errors
/// `EFAULT`.
pub fn populate(first: usize, len: usize) -> Result<()> {
    // SAFETY: populates pages of the application's as an access to each would; nothing changes.
    match unsafe { call::madvise(first, len, g::MADV_POPULATE_WRITE) } {
        Ok(()) => Ok(()),
        Err(Errno::EINVAL) if !knows_to_populate() => touch(first, len),
        Err(_) => Err(Errno::EFAULT),
    }
}

/// Whether the kernel has the advice at all: `EINVAL` is also what it says of pages that must not
/// be written. Asked of one that can be: of none at all gVisor takes any advice.
fn knows_to_populate() -> bool {
    let here = 0u8;
    let page = (&raw const here) as usize & !(PAGE - 1);
    // SAFETY: a page of this stack, which is in use.
    unsafe { call::madvise(page, PAGE, g::MADV_POPULATE_WRITE) }.is_ok()
}

/// Before Linux 5.14 there is no advice that asks; a read of each page does half of it.
fn touch(first: usize, len: usize) -> Result<()> {
    for page in (first..first + len).step_by(PAGE) {
        user::read::<u8>(User::new(page as u64))?;
    }
    Ok(())
}

/// Makes `table` the ring's: `range` of it is new, the rest is what the ring has there now.
///
/// # Errors
/// `EBUSY`: the ring has buffers, and is not to give them up.
pub fn take_over(
    ring: &mut Locked<'_>,
    table: &mut BufferTable,
    range: &Range<u32>,
    replaces: bool,
) -> Result<()> {
    if ring.buffers.is_registered() && !replaces {
        return Err(Errno::EBUSY);
    }
    for index in (0..ring.buffers.slots_count()).rev() {
        let old = core::mem::replace(&mut ring.buffers.slots[index as usize], EMPTY);
        if index < table.slots_count() && !range.contains(&index) {
            table.slots[index as usize] = old;
        } else {
            ring.put_tag(old.tag);
        }
    }
    core::mem::swap(&mut ring.buffers, table);
    Ok(())
}

/// `UNREGISTER_BUFFERS`.
pub fn unregister(ring: &mut Locked<'_>) -> Result<usize> {
    if !ring.buffers.is_registered() {
        return Err(Errno::ENXIO);
    }
    // From the end, as the kernel tells their tags.
    for index in (0..ring.buffers.slots_count() as usize).rev() {
        let old = core::mem::replace(&mut ring.buffers.slots[index], EMPTY);
        ring.put_tag(old.tag);
    }
    ring.buffers.clear();
    Ok(0)
}
