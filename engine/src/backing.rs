//! What lies behind memory that is to be registered.
//!
//! The kernel does not hold on to pages of a file for long if the file's file system must hear of
//! every write to them: a shared, writable mapping of anything but memory. Here nothing is held on
//! to, and such buffers would do; they are refused because they are refused there.

use core::ffi::CStr;
use core::ops::Range;

use sysring_sys::call;
use sysring_sys::raw::general as g;
use sysring_sys::{Fd, Result, User};

use crate::memory;

/// Mappings that were found to be in order, of which the next buffer may be part.
#[derive(Debug, Default)]
pub struct Known(Range<usize>);

impl Known {
    /// Whether whole pages are, in part at least, such a mapping. Where there is nothing to tell by
    /// (a process without /proc), they are not.
    pub fn is_tracked_file(&mut self, pages: Range<usize>) -> bool {
        let is_known = self.0.start <= pages.start && pages.end <= self.0.end;
        // The table is read only where there is no shorter way to tell.
        let is_private = || memory::can_be_mapped_twice() && !memory::is_shared(pages.start);
        if is_known || is_private() {
            return false;
        }
        let Some(mapping) = Mapping::at(pages.start) else { return false };
        if mapping.shared && mapping.writable && is_of_a_disk(mapping.device) {
            return true;
        }
        self.0 = mapping.range;
        false
    }
}

/// A line of `/proc/self/maps`.
struct Mapping {
    range: Range<usize>,
    writable: bool,
    shared: bool,
    /// Major and minor number.
    device: [u64; 2],
}

impl Mapping {
    /// The mapping that has an address.
    fn at(address: usize) -> Option<Mapping> {
        let mut here = Mapping { range: 0..0, writable: false, shared: false, device: [0; 2] };
        let mut found = false;
        read_fields(c"/proc/self/maps", |column, field| {
            match column {
                0 => {
                    let [start, end] = numbers(field, b'-', 16);
                    here.range = start as usize..end as usize;
                }
                1 => {
                    here.writable = field.get(1) == Some(&b'w');
                    here.shared = field.get(3) == Some(&b's');
                }
                3 => {
                    here.device = numbers(field, b':', 16);
                    found = here.range.contains(&address);
                }
                _ => {}
            }
            !found
        })
        .ok()?;
        found.then_some(here)
    }
}

/// Whether a device is a file system that is mounted, and not one of memory.
fn is_of_a_disk(device: [u64; 2]) -> bool {
    const OF_MEMORY: [&[u8]; 4] = [b"tmpfs", b"ramfs", b"hugetlbfs", b"devtmpfs"];
    let (mut this, mut after_dash, mut of_a_disk) = (false, false, false);
    let read = read_fields(c"/proc/self/mountinfo", |column, field| {
        if column == 0 {
            after_dash = false;
        } else if column == 2 {
            this = numbers(field, b':', 10) == device;
        } else if after_dash {
            after_dash = false;
            of_a_disk = this && !OF_MEMORY.contains(&field);
        } else {
            after_dash = field == b"-";
        }
        !of_a_disk
    });
    read.is_ok() && of_a_disk
}

/// Reads a table, a line at a time: each field with its column, until `each` has enough. What is
/// longer than any field that matters is cut off.
fn read_fields(path: &CStr, mut each: impl FnMut(usize, &[u8]) -> bool) -> Result<()> {
    let path = User::of(path.as_ptr().cast::<u8>());
    let file = call::openat(Fd::CWD, path, g::O_RDONLY | g::O_CLOEXEC, 0)?;
    let mut block = [0u8; 512];
    let (mut field, mut len, mut column) = ([0u8; 48], 0, 0);
    let mut goes_on = true;
    while let Ok(n @ 1..) = call::read_into(file, &mut block)
        && goes_on
    {
        for &byte in &block[..n] {
            if byte != b' ' && byte != b'\n' {
                if let Some(place) = field.get_mut(len) {
                    *place = byte;
                    len += 1;
                }
                continue;
            }
            // Several spaces stand before a path.
            if len != 0 && goes_on {
                goes_on = each(column, &field[..len]);
                column += 1;
            }
            len = 0;
            if byte == b'\n' {
                column = 0;
            }
        }
    }
    call::close(file)
}

/// Two numbers with a sign between them.
fn numbers(field: &[u8], between: u8, radix: u32) -> [u64; 2] {
    let mut numbers = [0u64; 2];
    let mut which = 0;
    for &byte in field {
        match char::from(byte).to_digit(radix) {
            Some(digit) => {
                let number = &mut numbers[which];
                *number = number.wrapping_mul(radix.into()).wrapping_add(digit.into());
            }
            None if byte == between => which = 1,
            None => break,
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::PAGE;

    #[test]
    fn shared_files_of_a_disk_are_told_from_memory() {
        use std::os::fd::AsRawFd;
        let map = |fd, flags| {
            // SAFETY: a new mapping where the kernel chooses.
            let at = unsafe { libc::mmap(std::ptr::null_mut(), 2 * PAGE, 3, flags, fd, 0) };
            at as usize
        };
        let tracked = |at: usize| Known::default().is_tracked_file(at..at + 2 * PAGE);
        let anonymous = map(-1, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        assert!(!tracked(anonymous));
        assert!(!tracked(map(-1, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS)));
        let path = std::env::temp_dir().join(format!("sysring-backing-{}", std::process::id()));
        let mut options = std::fs::File::options();
        let file = options.read(true).write(true).create_new(true).open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        file.set_len(2 * PAGE as u64).unwrap();
        const EXT4: i64 = 0xef53;
        const XFS: i64 = 0x5846_5342;
        // SAFETY: room for the answer.
        let kind = unsafe {
            let mut about = std::mem::zeroed::<libc::statfs>();
            libc::fstatfs(file.as_raw_fd(), &raw mut about);
            about.f_type
        };
        if [EXT4, XFS].contains(&kind) {
            assert!(tracked(map(file.as_raw_fd(), libc::MAP_SHARED)));
        } else {
            println!("skipped: temporary files do not lie on a disk here");
        }
        assert!(!tracked(map(file.as_raw_fd(), libc::MAP_PRIVATE)));
        // SAFETY: the name is a C string.
        let memory = unsafe { libc::memfd_create(c"memory".as_ptr(), 0) };
        // SAFETY: takes numbers.
        unsafe { libc::ftruncate(memory, 2 * PAGE as i64) };
        assert!(!tracked(map(memory, libc::MAP_SHARED)));
        let program = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
        // Not writable, so that nothing is to be heard of.
        // SAFETY: a new mapping where the kernel chooses.
        let at = unsafe {
            let (flags, fd) = (libc::MAP_SHARED, program.as_raw_fd());
            libc::mmap(std::ptr::null_mut(), 2 * PAGE, libc::PROT_READ, flags, fd, 0)
        } as usize;
        assert!(!tracked(at));
        assert_eq!(Mapping::at(at).unwrap().range.start, at);
    }

    #[test]
    fn numbers_are_read_as_they_are_written() {
        assert_eq!(numbers(b"7f00-ff", b'-', 16), [0x7f00, 0xff]);
        assert_eq!(numbers(b"254:16", b':', 10), [254, 16]);
    }
}
