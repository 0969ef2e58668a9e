//! Registered files: a table of duplicates of the application's descriptors.

use sysring_sys::abi::io_uring::{FILE_INDEX_ALLOC, REGISTER_FILES_SKIP};
use sysring_sys::raw::general::RLIMIT_NOFILE;
use sysring_sys::{Errno, Fd, Result, User, call};

use crate::descriptors;
use crate::locked::Locked;
use crate::slots::Slots;
use crate::tag::Tag;
use crate::user;

/// The most files a ring may register.
const MAX_FILES: u32 = 1 << 20;

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// -1: empty.
    fd: i32,
    tag: Tag,
}

const EMPTY: Slot = Slot { fd: -1, tag: Tag::NONE };

/// The table.
#[derive(Debug)]
pub struct FileTable {
    slots: Slots<Slot>,
    /// Where the engine may choose slots, and where it looks first.
    alloc_from: u32,
    alloc_to: u32,
    hint: u32,
}

impl FileTable {
    pub const NONE: FileTable =
        FileTable { slots: Slots::NONE, alloc_from: 0, alloc_to: 0, hint: 0 };

    #[must_use]
    pub fn is_registered(&self) -> bool {
        !self.slots.is_empty()
    }

    #[must_use]
    pub fn slots_count(&self) -> u32 {
        self.slots.len() as u32
    }

    /// An empty table of `len` slots.
    ///
    /// # Errors
    /// `EBUSY`: there is one. `EINVAL`, `EMFILE`: size. `ENOMEM`.
    pub fn create(&mut self, len: u32) -> Result<()> {
        if self.is_registered() {
            return Err(Errno::EBUSY);
        }
        if len == 0 {
            return Err(Errno::EINVAL);
        }
        if len > MAX_FILES || u64::from(len) > call::soft_limit(RLIMIT_NOFILE) {
            return Err(Errno::EMFILE);
        }
        let slots = Slots::new(len, EMPTY)?;
        *self = FileTable { slots, alloc_from: 0, alloc_to: len, hint: 0 };
        Ok(())
    }

    /// The file in a slot.
    ///
    /// # Errors
    /// `EBADF`.
    #[inline]
    pub fn get(&self, index: u32) -> Result<Fd> {
        self.find(index).map(|(fd, _)| fd)
    }

    /// The same, with the slot's tag.
    ///
    /// # Errors
    /// `EBADF`.
    #[inline]
    pub fn find(&self, index: u32) -> Result<(Fd, Tag)> {
        match self.slots.get(index as usize) {
            Some(&Slot { fd, tag }) if fd != -1 => Ok((Fd::new(fd), tag)),
            _ => Err(Errno::EBADF),
        }
    }

    fn place_for(&mut self, wanted: u32) -> Result<u32> {
        if !self.is_registered() {
            return Err(if wanted == FILE_INDEX_ALLOC { Errno::ENFILE } else { Errno::ENXIO });
        }
        if wanted == FILE_INDEX_ALLOC {
            return self.find_free();
        }
        if wanted == 0 || wanted > self.slots_count() {
            return Err(Errno::EINVAL);
        }
        Ok(wanted - 1)
    }

    fn find_free(&mut self) -> Result<u32> {
        let (from, to) = (self.alloc_from, self.alloc_to);
        let hint = self.hint.clamp(from, to);
        for range in [hint..to, from..hint] {
            for index in range {
                if self.slots[index as usize].fd == -1 {
                    return Ok(index);
                }
            }
        }
        Err(Errno::ENFILE)
    }

    /// Restricts where slots are chosen.
    ///
    /// # Errors
    /// `EINVAL`: outside the table.
    pub fn set_range(&mut self, from: u32, len: u32) -> Result<()> {
        let to = from.checked_add(len).ok_or(Errno::EOVERFLOW)?;
        if to > self.slots_count() {
            return Err(Errno::EINVAL);
        }
        (self.alloc_from, self.alloc_to, self.hint) = (from, to, from);
        Ok(())
    }

    /// Fills a slot with a descriptor of ours (or -1); the tag of what was there.
    fn replace(&mut self, index: u32, fd: i32, tag: Tag) -> Tag {
        let slot = &mut self.slots[index as usize];
        let old = core::mem::replace(slot, Slot { fd, tag });
        if old.fd >= 0 {
            descriptors::let_go_of_file(Fd::new(old.fd));
        }
        // Where the kernel looks next: behind what was filled last, or at what was emptied.
        if fd >= 0 {
            self.hint = index + 1;
        } else if old.fd >= 0 {
            self.hint = index;
        }
        old.tag
    }

    /// Empties and forgets the table.
    pub fn clear(&mut self) {
        for index in 0..self.slots_count() {
            self.replace(index, -1, Tag::NONE).free();
        }
        *self = FileTable::NONE;
    }
}

/// `REGISTER_FILES`: a table with these descriptors (-1 for an empty slot) and tags.
pub fn register(ring: &mut Locked<'_>, fds: User<i32>, tags: User<u64>, len: u32) -> Result<usize> {
    ring.files.create(len)?;
    let filled = (0..len).try_for_each(|i| fill(ring, i, fds, tags, i, true));
    if let Err(e) = filled {
        ring.files.clear();
        return Err(e);
    }
    Ok(0)
}

/// `REGISTER_FILES_UPDATE`: replaces slots from `offset` on; how many were done.
pub fn update(
    ring: &mut Locked<'_>,
    offset: u32,
    fds: User<i32>,
    tags: User<u64>,
    count: u32,
) -> Result<usize> {
    let end = offset.checked_add(count).ok_or(Errno::EOVERFLOW)?;
    if !ring.files.is_registered() {
        return Err(Errno::ENXIO);
    }
    if end > ring.files.slots_count() {
        return Err(Errno::EINVAL);
    }
    for i in 0..count {
        if let Err(e) = fill(ring, offset + i, fds, tags, i, false) {
            return if i == 0 { Err(e) } else { Ok(i as usize) };
        }
    }
    Ok(count as usize)
}

/// Fills slot `index` with the `i`th descriptor and tag.
fn fill(
    ring: &mut Locked<'_>,
    index: u32,
    fds: User<i32>,
    tags: User<u64>,
    i: u32,
    fresh: bool,
) -> Result<()> {
    let tag = if tags.is_null() { 0 } else { user::read(tags.add(i as usize))? };
    let fd = if fds.is_null() && fresh { -1 } else { user::read(fds.add(i as usize))? };
    if fd == REGISTER_FILES_SKIP && !fresh {
        return if tag == 0 { Ok(()) } else { Err(Errno::EINVAL) };
    }
    if fd == -1 && tag != 0 {
        return Err(Errno::EINVAL);
    }
    // What was there goes first, even if nothing comes in its place.
    let left = ring.files.replace(index, -1, Tag::NONE);
    ring.put_tag(left);
    if fd != -1 {
        let kept = duplicate(Fd::new(fd))?;
        let tag = Tag::new(tag).inspect_err(|_| descriptors::let_go_of_file(kept))?;
        ring.files.replace(index, kept.raw(), tag);
    }
    Ok(())
}

impl Locked<'_> {
    /// Puts a new descriptor, which becomes the table's, into slot `wanted - 1`, or any free one
    /// for `FILE_INDEX_ALLOC`; the slot. On error the descriptor is closed.
    ///
    /// # Errors
    /// `ENXIO`: no table. `EINVAL`: no such slot. `ENFILE`: none free.
    pub fn install_file(&mut self, wanted: u32, fd: Fd) -> Result<u32> {
        let slot = self.files.place_for(wanted).inspect_err(|_| descriptors::let_go_of_file(fd))?;
        let kept = descriptors::keep_file(fd)?;
        let left = self.files.replace(slot, kept.raw(), Tag::NONE);
        self.put_tag(left);
        Ok(slot)
    }

    /// Empties a slot.
    ///
    /// # Errors
    /// `ENXIO`: no table. `EINVAL`: no such slot. `EBADF`: it is empty.
    pub fn remove_file(&mut self, index: u32) -> Result<()> {
        if !self.files.is_registered() {
            return Err(Errno::ENXIO);
        }
        if index >= self.files.slots_count() {
            return Err(Errno::EINVAL);
        }
        self.files.get(index)?;
        let left = self.files.replace(index, -1, Tag::NONE);
        self.put_tag(left);
        Ok(())
    }
}

/// A duplicate for the table; rings do not go into rings.
fn duplicate(fd: Fd) -> Result<Fd> {
    if descriptors::is_internal(fd) || descriptors::is_of_ring(fd) {
        return Err(Errno::EBADF);
    }
    // A slot can do with nothing less, even if it could not be found again.
    descriptors::duplicate_file(fd).or_else(|_| descriptors::duplicate(fd))
}

/// `FILES_UPDATE` with `FILE_INDEX_ALLOC`: each descriptor into a slot of the engine's choosing,
/// whose number replaces it in the array; how many were done.
pub fn install_many(ring: &mut Locked<'_>, fds: User<i32>, count: u32) -> Result<usize> {
    if !ring.files.is_registered() {
        return Err(Errno::ENXIO);
    }
    for i in 0..count {
        let at = fds.add(i as usize);
        let placed = user::read(at).and_then(|fd| {
            let copy = duplicate(Fd::new(fd))?;
            ring.install_file(FILE_INDEX_ALLOC, copy)
        });
        let written = placed.and_then(|slot| {
            user::write(at, &(slot as i32)).inspect_err(|_| {
                let _ = ring.remove_file(slot);
            })
        });
        if let Err(e) = written {
            return if i == 0 { Err(e) } else { Ok(i as usize) };
        }
    }
    Ok(count as usize)
}

/// `UNREGISTER_FILES`.
pub fn unregister(ring: &mut Locked<'_>) -> Result<usize> {
    if !ring.files.is_registered() {
        return Err(Errno::ENXIO);
    }
    // From the end, as the kernel tells their tags.
    for index in (0..ring.files.slots_count()).rev() {
        let left = ring.files.replace(index, -1, Tag::NONE);
        ring.put_tag(left);
    }
    ring.files.clear();
    Ok(0)
}
