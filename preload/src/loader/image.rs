//! An ELF file in memory, as the kernel's loader would have put it there.

use sysring_sys::abi::PATH_MAX;
use sysring_sys::call::{self, Buffer, Offset};
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, User};

const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;
const PT_LOAD: u32 = 1;
const PT_INTERP: u32 = 3;
const PF_X: u32 = 1;
const PF_W: u32 = 2;
const PF_R: u32 = 4;

/// The ELF header. Any bytes make one.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Header {
    ident: [u8; 16],
    kind: u16,
    machine: u16,
    version: u32,
    entry: u64,
    headers: u64,
    sections: u64,
    flags: u32,
    size: u16,
    header_size: u16,
    header_count: u16,
    rest: [u16; 3],
}

/// A program header. Any bytes make one.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Segment {
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    physical: u64,
    file_len: u64,
    len: u64,
    align: u64,
}

const MOST: usize = 64;

/// A mapped program.
pub struct Image {
    /// What was added to the file's addresses.
    pub base: usize,
    /// Where it starts.
    pub entry: usize,
    /// Where its program headers lie.
    pub headers: usize,
    /// How many there are.
    pub header_count: usize,
    segments: [Segment; MOST],
}

impl Image {
    /// Maps the file's segments.
    pub fn map(file: Fd, page: usize) -> Result<Image> {
        let mut header = Header::default();
        // SAFETY: any bytes make a header.
        unsafe { read(file, 0, (&raw mut header).cast(), size_of::<Header>()) }?;
        let count = usize::from(header.header_count);
        if !header.ident.starts_with(b"\x7fELF")
            || !matches!(header.kind, ET_EXEC | ET_DYN)
            || usize::from(header.header_size) != size_of::<Segment>()
            || count > MOST
        {
            return Err(Errno::ENOEXEC);
        }
        let mut segments = [Segment::default(); MOST];
        let len = count * size_of::<Segment>();
        // SAFETY: any bytes make segments, and there are `MOST` of them.
        unsafe { read(file, header.headers, segments.as_mut_ptr().cast(), len) }?;

        let base = reserve(&segments, header.kind == ET_EXEC, page)?;
        let mut headers = 0;
        for segment in segments.iter().filter(|s| s.kind == PT_LOAD) {
            // SAFETY: within what was just reserved.
            unsafe { segment.map(file, base, page) }?;
            let inside = header.headers.wrapping_sub(segment.offset);
            if inside < segment.file_len {
                headers = base.wrapping_add((segment.address + inside) as usize);
            }
        }
        let entry = base.wrapping_add(header.entry as usize);
        Ok(Image { base, entry, headers, header_count: count, segments })
    }

    /// Reads the path of the dynamic linker, zero-ended, if the program wants one.
    pub fn linker_path(&self, file: Fd, path: &mut [u8; PATH_MAX]) -> Result<bool> {
        let Some(segment) = self.segments.iter().find(|s| s.kind == PT_INTERP) else {
            return Ok(false);
        };
        let len = segment.file_len as usize;
        if len >= path.len() {
            return Err(Errno::ENAMETOOLONG);
        }
        // SAFETY: `len` bytes of the array.
        unsafe { read(file, segment.offset, path.as_mut_ptr(), len) }?;
        Ok(true)
    }
}

/// Address space for all segments; what to add to their addresses.
fn reserve(segments: &[Segment; MOST], fixed: bool, page: usize) -> Result<usize> {
    let loads = || segments.iter().filter(|s| s.kind == PT_LOAD);
    let first = loads().map(|s| s.address as usize).min().ok_or(Errno::ENOEXEC)?;
    let last = loads().map(|s| (s.address.saturating_add(s.len)) as usize).max().unwrap_or(first);
    let start = first & !(page - 1);
    let len = last.checked_next_multiple_of(page).ok_or(Errno::ENOEXEC)? - start;
    let flags = g::MAP_PRIVATE | g::MAP_ANONYMOUS | g::MAP_NORESERVE;
    if fixed {
        let flags = flags | g::MAP_FIXED_NOREPLACE;
        // SAFETY: the flags promise that nothing is replaced.
        let at = unsafe { call::mmap(start, len, g::PROT_NONE, flags, Fd::NONE, 0) }?;
        return if at == start { Ok(0) } else { Err(Errno::EEXIST) };
    }
    let align = loads().map(|s| s.align as usize).max().unwrap_or(page).max(page);
    if !align.is_power_of_two() {
        return Err(Errno::ENOEXEC);
    }
    let room = len.checked_add(align).ok_or(Errno::ENOMEM)?;
    // SAFETY: no address is asked for.
    let at = unsafe { call::mmap(0, room, g::PROT_NONE, flags, Fd::NONE, 0) }?;
    let place = at.next_multiple_of(align);
    // SAFETY: both ends of the mapping just made, unused.
    unsafe {
        if place > at {
            call::munmap(at, place - at)?;
        }
        if at + room > place + len {
            call::munmap(place + len, at + room - place - len)?;
        }
    }
    Ok(place.wrapping_sub(start))
}

impl Segment {
    fn protection(&self) -> u32 {
        [(PF_R, g::PROT_READ), (PF_W, g::PROT_WRITE), (PF_X, g::PROT_EXEC)]
            .into_iter()
            .filter(|(flag, _)| self.flags & flag != 0)
            .fold(g::PROT_NONE, |all, (_, protection)| all | protection)
    }

    /// # Safety
    /// The segment's range, moved by `base`, must be this program's to replace.
    unsafe fn map(&self, file: Fd, base: usize, page: usize) -> Result<()> {
        let start = base.wrapping_add(self.address as usize);
        let file_end = start + self.file_len as usize;
        let end = (start + self.len as usize).next_multiple_of(page);
        let skew = start & (page - 1);
        let mut mapped = start - skew;
        // SAFETY: all ranges lie within the segment's pages, by the caller's word.
        unsafe {
            if self.file_len > 0 {
                let flags = g::MAP_PRIVATE | g::MAP_FIXED;
                let offset = self.offset.checked_sub(skew as u64).ok_or(Errno::ENOEXEC)?;
                call::mmap(mapped, file_end - mapped, self.protection(), flags, file, offset)?;
                mapped = file_end.next_multiple_of(page);
                if self.len > self.file_len && self.flags & PF_W != 0 {
                    core::ptr::write_bytes(file_end as *mut u8, 0, mapped - file_end);
                }
            }
            if end > mapped {
                let flags = g::MAP_PRIVATE | g::MAP_ANONYMOUS | g::MAP_FIXED;
                call::mmap(mapped, end - mapped, self.protection(), flags, Fd::NONE, 0)?;
            }
        }
        Ok(())
    }
}

/// Reads all of `len` bytes.
///
/// # Safety
/// `to` must be writable for `len` bytes, and hold any bytes afterwards.
unsafe fn read(file: Fd, at: u64, to: *mut u8, len: usize) -> Result<()> {
    let buffer = Buffer { address: User::of(to), len };
    // SAFETY: the caller's promise.
    match unsafe { call::pread(file, buffer, Offset(at as i64)) }? {
        n if n == len => Ok(()),
        _ => Err(Errno::ENOEXEC),
    }
}
