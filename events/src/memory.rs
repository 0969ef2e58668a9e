//! The memory file, mapped: its header once, ring and overflow area twice each, back to back.

use sysring_sys::call;
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, User};

use crate::atomic::AtomicU64;
use crate::band::Words;
use crate::layout::{DATA, Header, Page, Shared};

const SEALS: u32 = g::F_SEAL_SHRINK | g::F_SEAL_GROW | g::F_SEAL_SEAL;

/// The mapping. What it knows of sizes is its own copy, which nobody else can change.
#[derive(Debug)]
pub(crate) struct Memory {
    start: *mut u8,
    len: usize,
    header: Header,
}

// SAFETY: the shared memory is reached through atomics only.
unsafe impl Send for Memory {}
// SAFETY: atomics only, as said for `Send`.
unsafe impl Sync for Memory {}

/// A new file for such a ring, sealed so that nobody can make it shorter below the others' feet.
pub(crate) fn create(header: &Header) -> Result<Fd> {
    let file = call::memfd_create(c"sysring-events", g::MFD_CLOEXEC | g::MFD_ALLOW_SEALING)?;
    let made = call::ftruncate(file, header.file_len() as i64)
        .and_then(|()| call::fcntl(file, g::F_ADD_SEALS, SEALS as usize))
        .and_then(|_| write(file, header));
    if let Err(error) = made {
        let _ = call::close(file);
        return Err(error);
    }
    Ok(file)
}

fn write(file: Fd, header: &Header) -> Result<()> {
    let address = User::of(core::ptr::from_ref(header)).cast();
    let buffer = call::Buffer { address, len: size_of::<Header>() };
    call::whole(call::pwrite(file, buffer, call::Offset(0)), buffer.len)
}

/// The header of a file that somebody else made.
///
/// # Errors
/// What [`Header::check`] finds; `EINVAL`: the file is not sealed, or shorter than the header says.
pub(crate) fn look(file: Fd) -> Result<Header> {
    let seals = call::fcntl(file, g::F_GET_SEALS, 0)? as u32;
    if seals & g::F_SEAL_SHRINK == 0 {
        return Err(Errno::EINVAL);
    }
    let mut header = Header { magic: 0, version: 0, flags: 0, size: 0, overflow: 0, world: 0 };
    let address = User::of(&raw mut header).cast();
    let buffer = call::Buffer { address, len: size_of::<Header>() };
    // SAFETY: a structure of ours, of integers: any bytes make one.
    let read = unsafe { call::pread(file, buffer, call::Offset(0)) };
    call::whole(read, buffer.len).map_err(|_| Errno::EINVAL)?;
    header.check()?;
    let last = header.file_len() as i64 - 1;
    let there = call::pread_into(file, &mut [0], call::Offset(last));
    call::whole(there, 1).map_err(|_| Errno::EINVAL)?;
    Ok(header)
}

impl Memory {
    /// # Errors
    /// `ENOMEM`.
    pub fn map(file: Fd, header: Header) -> Result<Memory> {
        let (size, overflow) = (header.size as usize, header.overflow as usize);
        let len = DATA + 2 * size + 2 * overflow;
        let flags = g::MAP_PRIVATE | g::MAP_ANONYMOUS | g::MAP_NORESERVE;
        // SAFETY: no address is asked for; this only reserves a range for what follows.
        let start = unsafe { call::mmap(0, len, g::PROT_NONE, flags, Fd::NONE, 0) }? as *mut u8;
        let memory = Memory { start, len, header };
        let first = DATA;
        let second = DATA + 2 * size;
        memory.place(file, 0, DATA, 0)?;
        for copy in [0, size] {
            memory.place(file, first + copy, size, DATA)?;
        }
        for copy in [0, overflow] {
            memory.place(file, second + copy, overflow, DATA + size)?;
        }
        Ok(memory)
    }

    fn place(&self, file: Fd, at: usize, len: usize, offset: usize) -> Result<()> {
        if len == 0 {
            return Ok(());
        }
        let (protection, flags) = (g::PROT_READ | g::PROT_WRITE, g::MAP_SHARED | g::MAP_FIXED);
        // SAFETY: the range was reserved by `map`, for this.
        unsafe { call::mmap(self.start as usize + at, len, protection, flags, file, offset as u64) }
            .map(drop)
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    #[inline(always)]
    pub fn shared(&self) -> &Shared {
        // SAFETY: the header's page is mapped as long as we are, and `Shared` is all atomics.
        unsafe { &(*self.start.cast::<Page>()).shared }
    }

    #[inline(always)]
    pub fn ring(&self) -> Doubled<'_> {
        Doubled { start: self.start.wrapping_add(DATA).cast(), memory: self }
    }

    #[inline(always)]
    pub fn overflow(&self) -> Doubled<'_> {
        let at = DATA + 2 * self.header.size as usize;
        Doubled { start: self.start.wrapping_add(at).cast(), memory: self }
    }

    /// Gives the pages of the overflow area back; it reads as zeros then.
    pub fn reclaim(&self) {
        let at = self.overflow().start as usize;
        // SAFETY: the range is ours and holds nothing any more.
        let _ = unsafe { call::madvise(at, self.header.overflow as usize, g::MADV_REMOVE) };
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the range is ours.
        let _ = unsafe { call::munmap(self.start as usize, self.len) };
    }
}

/// Words that are mapped twice in a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Doubled<'a> {
    start: *const AtomicU64,
    memory: &'a Memory,
}

impl Words for Doubled<'_> {
    #[inline(always)]
    fn word(&self, index: usize) -> &AtomicU64 {
        debug_assert!(
            self.start.wrapping_add(index) < self.memory.start.wrapping_add(self.memory.len).cast()
        );
        // SAFETY: a band's index is below its size, plus the longest event's length, which is
        // below its size, too; both copies together are twice the size.
        unsafe { &*self.start.add(index) }
    }
}
