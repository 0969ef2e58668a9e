//! What is mapped where, as the kernel tells in `/proc/self/maps`.

use core::ffi::CStr;
use core::ops::Range;

use sysring_sys::call;
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, User};

use crate::array::Array;

/// Files that are larger are not read.
const LARGEST: usize = 16 << 20;

/// A whole file of unknown size, in memory of its own.
#[derive(Debug)]
pub struct Text {
    memory: Array<u8>,
    len: usize,
}

impl Text {
    /// Reads a file to its end.
    ///
    /// # Errors
    /// The kernel's, from `open` and `read`; `E2BIG` for a very large file.
    pub fn read(path: &CStr) -> Result<Text> {
        let path = User::of(path.as_ptr().cast());
        let file = call::openat(Fd::CWD, path, g::O_RDONLY | g::O_CLOEXEC, 0)?;
        let text = Text::read_open(file);
        let _ = call::close(file);
        text
    }

    fn read_open(file: Fd) -> Result<Text> {
        let mut text = Text::with_room(64 * 1024)?;
        loop {
            if text.len == text.memory.len() {
                let mut larger = Text::with_room(text.len * 4)?;
                larger.memory[..text.len].copy_from_slice(text.bytes());
                larger.len = text.len;
                text = larger;
            }
            match call::read_into(file, &mut text.memory[text.len..]) {
                Ok(0) => return Ok(text),
                Ok(n) => text.len += n,
                Err(Errno::EINTR) => {}
                Err(e) => return Err(e),
            }
        }
    }

    fn with_room(room: usize) -> Result<Text> {
        if room > LARGEST {
            return Err(Errno::E2BIG);
        }
        Ok(Text { memory: Array::new(room)?, len: 0 })
    }

    /// What was read.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.memory[..self.len]
    }

    /// What was read, for good: the memory is never given back.
    #[must_use]
    pub fn leak(self) -> &'static [u8] {
        let text = core::mem::ManuallyDrop::new(self);
        // SAFETY: mapped and initialised, and nothing unmaps it any more.
        unsafe { core::slice::from_raw_parts(text.memory.as_ptr(), text.len) }
    }
}

/// One line of `/proc/self/maps`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mapping<'t> {
    /// The addresses.
    pub range: Range<usize>,
    /// Whether its code can run.
    pub executable: bool,
    /// `rwxp`, or `s` in place of `p` where it is shared; `-` for what is not allowed.
    pub permissions: &'t [u8],
    /// The file's path, a name in brackets, or nothing.
    pub name: &'t [u8],
}

/// The mappings in the text of `/proc/self/maps`.
pub fn mappings(text: &[u8]) -> impl Iterator<Item = Mapping<'_>> {
    text.split(|&b| b == b'\n').filter_map(parse)
}

/// `start-end perms offset device inode    name`
fn parse(line: &[u8]) -> Option<Mapping<'_>> {
    let mut rest = line;
    let mut field = |end: u8| {
        let at = rest.iter().position(|&b| b == end)?;
        let field = &rest[..at];
        rest = &rest[at + 1..];
        Some(field)
    };
    let start = hexadecimal(field(b'-')?)?;
    let end = hexadecimal(field(b' ')?)?;
    let permissions = field(b' ')?;
    let (_offset, _device) = (field(b' ')?, field(b' ')?);
    // The inode, and blanks up to the name.
    let name = rest.iter().position(|&b| b == b' ').map_or(&[][..], |at| rest[at..].trim_ascii());
    let executable = permissions.get(2) == Some(&b'x');
    Some(Mapping { range: start..end, executable, permissions, name })
}

fn hexadecimal(digits: &[u8]) -> Option<usize> {
    digits
        .iter()
        .try_fold(0usize, |n, &digit| Some(n << 4 | (digit as char).to_digit(16)? as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        let text = b"\
7f0000001000-7f0000002000 r-xp 00001000 08:01 123                        /lib/a b.so\n\
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n\
10000-20000 rw-p 00000000 00:00 0 \n\
nonsense\n";
        let all: Vec<_> = mappings(text).collect();
        assert_eq!(all.len(), 3);
        assert_eq!(all[0].range, 0x7f00_0000_1000..0x7f00_0000_2000);
        assert!(all[0].executable);
        assert_eq!(all[0].permissions, b"r-xp");
        assert_eq!(all[0].name, b"/lib/a b.so");
        assert_eq!(all[1].name, b"[vsyscall]");
        assert!(!all[2].executable);
        assert_eq!(all[2].name, b"");
    }

    #[test]
    fn this_function_is_mapped() {
        let text = Text::read(c"/proc/self/maps").unwrap();
        let here = lines_are_read as *const () as usize;
        let mapping = mappings(text.bytes()).find(|m| m.range.contains(&here)).unwrap();
        assert!(mapping.executable);
        assert_eq!(mapping.name, std::env::current_exe().unwrap().to_str().unwrap().as_bytes());
    }

    #[test]
    fn files_larger_than_the_first_guess_are_read_whole() {
        let path = std::env::temp_dir().join(format!("sysring-maps-{}", std::process::id()));
        let contents: Vec<u8> = (0..300_000u32).map(|i| (i % 251) as u8).collect();
        std::fs::write(&path, &contents).unwrap();
        let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        let text = Text::read(&name).unwrap();
        std::fs::remove_file(path).unwrap();
        assert!(text.bytes() == contents);
        assert!(text.leak() == contents);
    }
}
