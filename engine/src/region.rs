//! Memory of a ring that the application sees, too: the engine's own, or the application's.
//!
//! What the application lends (`NO_MMAP`) the engine sees at an address of its own, so that nothing
//! the application does to its mappings makes the engine fault; the kernel holds on to the pages for
//! the same reason. Shared memory is simply mapped a second time. Private memory and huge pages
//! cannot be, so a memory file with the same contents takes their place, and becomes private memory
//! when the ring closes.

use core::sync::atomic::AtomicI32;
use core::sync::atomic::Ordering::Relaxed;

use sysring_sys::call::{self, Buffer, Offset};
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, User};

use crate::memory::{self, Mapping, PAGE};
use crate::{descriptors, process, user};

/// The size of a huge page: such memory is mapped in no smaller pieces.
const HUGE: usize = 2 << 20;

#[derive(Debug)]
pub struct Region {
    mapping: Mapping,
    /// Where the region begins in the mapping.
    offset: usize,
    len: usize,
    /// Where the application has it, if it is the application's.
    theirs: u64,
    /// The memory file behind it, if there is one, or -1: it took the place of private memory, or
    /// nothing else can be mapped twice here, or the application is to map it.
    file: AtomicI32,
    /// Where the mapping begins in that file.
    file_offset: u64,
}

impl Region {
    /// Memory of the engine's, in whole pages, which a child of `fork` shares.
    ///
    /// # Errors
    /// `ENOMEM`; `EMFILE` where it takes a file.
    pub fn own(len: usize) -> Result<Region> {
        let len = memory::pages(len);
        if memory::can_be_mapped_twice() {
            return Mapping::shared(len).map(|mapping| Region::of(mapping, 0, len, 0));
        }
        Region::in_a_file(len, 0)
    }

    /// The same, for an application that maps it at `offset` of the ring's descriptor: a file has
    /// it in that place, if nobody will say when it is mapped.
    ///
    /// # Errors
    /// As `own`.
    pub fn to_map(len: usize, offset: u64) -> Result<Region> {
        // What is longer than a file may be is answered with a signal.
        let may_be_long = || call::soft_limit(g::RLIMIT_FSIZE) >= offset + len as u64;
        if process::is_unheard() && may_be_long() {
            return Region::in_a_file(memory::pages(len), offset);
        }
        Region::own(len)
    }

    /// Whole pages at an offset of a memory file.
    fn in_a_file(len: usize, offset: u64) -> Result<Region> {
        let file = memory_file()?;
        let made = call::ftruncate(file, (offset + len as u64) as i64).and_then(|()| {
            let start = map(file, offset, 0, len, g::MAP_SHARED)?;
            // SAFETY: just made, for us.
            let mapping = unsafe { Mapping::from_raw(start as *mut u8, len) };
            let mut region = Region::of(mapping, 0, len, 0);
            region.file_offset = offset;
            Ok(region)
        });
        keep_behind(file, made)
    }

    /// The file that has it where the application looks for it.
    #[must_use]
    pub fn file_to_map(&self) -> Option<Fd> {
        let file = Fd::new(self.file.load(Relaxed));
        (file.is_valid() && self.file_offset != 0).then_some(file)
    }

    /// A second mapping, for the application: where it says, in place of what is there, or
    /// anywhere.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn map_again(&self, len: usize, at: Option<usize>) -> Result<usize> {
        let file = Fd::new(self.file.load(Relaxed));
        if file.is_valid() {
            let fixed = if at.is_some() { g::MAP_FIXED } else { 0 };
            return map(file, self.file_offset, at.unwrap_or(0), len, g::MAP_SHARED | fixed);
        }
        let fixed = if at.is_some() { g::MREMAP_FIXED } else { 0 };
        let start = self.start() as usize;
        // SAFETY: with an old length of zero nothing moves; a fixed address replaces what the
        // application asked to be replaced.
        unsafe { call::mremap(start, 0, len, g::MREMAP_MAYMOVE | fixed, at.unwrap_or(0)) }
    }

    /// `len` bytes, in whole pages, of the application's.
    ///
    /// # Errors
    /// `EFAULT`: not there, or not writable. `EINVAL`: not at the start of a page. `EOVERFLOW`,
    /// `ENOMEM`, `EMFILE`.
    pub fn lent(address: User<u8>, len: usize) -> Result<Region> {
        let theirs = address.address();
        if theirs == 0 {
            return Err(Errno::EFAULT);
        }
        if !theirs.is_multiple_of(PAGE as u64) {
            return Err(Errno::EINVAL);
        }
        if theirs.checked_add(len as u64).is_none() {
            return Err(Errno::EOVERFLOW);
        }
        check_writable(address, len)?;
        match Region::alias(address, len) {
            Some(region) => Ok(region),
            // Part of a huge page cannot be replaced.
            None => Region::stand_in(address, len, PAGE)
                .or_else(|_| Region::stand_in(address, len, HUGE)),
        }
    }

    fn of(mapping: Mapping, offset: usize, len: usize, theirs: u64) -> Region {
        Region { mapping, offset, len, theirs, file: AtomicI32::new(-1), file_offset: 0 }
    }

    /// A second mapping of shared memory.
    fn alias(address: User<u8>, len: usize) -> Option<Region> {
        let theirs = address.address();
        // SAFETY: with an old length of zero nothing moves, and the kernel chooses the place.
        let start = unsafe { call::mremap(theirs as usize, 0, len, g::MREMAP_MAYMOVE, 0) }.ok()?;
        // SAFETY: the mapping was just made, for us.
        let mapping = unsafe { Mapping::from_raw(start as *mut u8, len) };
        let region = Region::of(mapping, 0, len, theirs);
        region.is_theirs().then_some(region)
    }

    /// A memory file in place of private memory, or of huge pages, in whole grains.
    fn stand_in(address: User<u8>, len: usize, grain: usize) -> Result<Region> {
        let theirs = address.address();
        let offset = theirs as usize % grain;
        let (start, whole) = (theirs as usize - offset, (offset + len).next_multiple_of(grain));
        let file = memory_file()?;
        let made = fill(file, User::new(start as u64), whole).and_then(|()| {
            let mapping = map(file, 0, 0, whole, g::MAP_SHARED)?;
            // SAFETY: just made, for us.
            let mapping = unsafe { Mapping::from_raw(mapping as *mut u8, whole) };
            map(file, 0, start, whole, g::MAP_SHARED | g::MAP_FIXED)?;
            Ok(Region::of(mapping, offset, len, theirs))
        });
        keep_behind(file, made)
    }

    #[inline(always)]
    #[must_use]
    pub fn start(&self) -> *mut u8 {
        // The offset was chosen so that the region lies in the mapping.
        self.mapping.start().wrapping_add(self.offset)
    }

    #[must_use]
    pub fn size(&self) -> usize {
        self.len
    }

    /// The ring has closed: private memory becomes private again, with what is in it. From here on
    /// the application may use it for something else.
    pub fn give_back(&self) {
        // Relaxed: a number, which one of those who give back gets; it tells of nothing else.
        let file = Fd::new(self.file.swap(-1, Relaxed));
        if !file.is_valid() {
            return;
        }
        // It may have been unmapped meanwhile, and something else be there.
        if self.theirs != 0 && self.is_theirs() {
            let start = self.theirs as usize - self.offset;
            let _ = map(file, 0, start, self.mapping.size(), g::MAP_PRIVATE | g::MAP_FIXED);
        }
        descriptors::let_go(file);
    }

    /// Whether what we change is seen where the application has it. The last byte is changed for a
    /// moment: where a shorter mapping ends, the last page is the one that differs.
    fn is_theirs(&self) -> bool {
        let last = self.len as u64 - 1;
        let ours = User::<u8>::of(self.start()).address() + last;
        let (ours, theirs) = (User::<u8>::new(ours), User::<u8>::new(self.theirs + last));
        let Ok(was) = user::read(ours) else { return false };
        let same = user::read(theirs) == Ok(was)
            && user::write(ours, &!was).is_ok()
            && user::read(theirs) == Ok(!was);
        let _ = user::write(ours, &was);
        same
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        self.give_back();
    }
}

fn memory_file() -> Result<Fd> {
    descriptors::keep(call::memfd_create(c"io_uring", g::MFD_CLOEXEC)?)
}

/// The file belongs to the region that was made of it, if it was.
fn keep_behind(file: Fd, made: Result<Region>) -> Result<Region> {
    match &made {
        Ok(region) => region.file.store(file.raw(), Relaxed),
        Err(_) => descriptors::let_go(file),
    }
    made
}

/// Touches every page for writing.
fn check_writable(address: User<u8>, len: usize) -> Result<()> {
    let start = address.address() as usize;
    // SAFETY: populating changes no contents.
    if unsafe { call::madvise(start, len, g::MADV_POPULATE_WRITE) }.is_ok() {
        return Ok(());
    }
    // Not all of it can be, or the kernel is older than 5.14.
    for page in (0..len).step_by(PAGE) {
        let at = address.add(page);
        let byte = user::read(at)?;
        user::write(at, &byte)?;
    }
    Ok(())
}

fn fill(file: Fd, address: User<u8>, len: usize) -> Result<()> {
    call::ftruncate(file, len as i64)?;
    call::whole(call::pwrite(file, Buffer { address, len }, Offset(0)), len)
}

/// Maps a memory file: in place of memory of the application's, or anywhere.
fn map(file: Fd, offset: u64, address: usize, len: usize, flags: u32) -> Result<usize> {
    // SAFETY: what is replaced has the same contents and was lent for this, or the application asked
    // for it to be replaced.
    unsafe { call::mmap(address, len, g::PROT_READ | g::PROT_WRITE, flags, file, offset) }
}
