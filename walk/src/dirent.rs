//! What `getdents64(2)` writes.

use std::ffi::CStr;

use sysring_sys::raw::general as g;

/// What a name stands for, as far as the directory says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A regular file.
    File,
    /// A device, a pipe or a socket.
    Special,
    /// The file system does not say.
    Unknown,
}

impl Kind {
    fn of_dirent(kind: u8) -> Kind {
        match u32::from(kind) {
            g::DT_DIR => Kind::Directory,
            g::DT_LNK => Kind::Link,
            g::DT_REG => Kind::File,
            g::DT_UNKNOWN => Kind::Unknown,
            _ => Kind::Special,
        }
    }

    pub(crate) fn of_mode(mode: u32) -> Kind {
        match mode & g::S_IFMT {
            g::S_IFDIR => Kind::Directory,
            g::S_IFLNK => Kind::Link,
            g::S_IFREG => Kind::File,
            _ => Kind::Special,
        }
    }
}

/// One record.
pub struct Dirent<'a> {
    pub inode: u64,
    pub kind: Kind,
    pub name: &'a CStr,
    /// Where in the buffer it starts.
    pub at: usize,
}

const LENGTH: usize = 16;
const KIND: usize = 18;
const NAME: usize = 19;

/// The records in `buffer`, but not `.` and `..`.
pub fn all(buffer: &[u8]) -> impl Iterator<Item = Dirent<'_>> {
    let mut next = 0;
    std::iter::from_fn(move || {
        loop {
            let dirent = at(buffer, next)?;
            next += length(&buffer[next..])?;
            if !matches!(dirent.name.to_bytes(), b"." | b"..") {
                return Some(dirent);
            }
        }
    })
}

/// The record at `at`.
pub fn at(buffer: &[u8], at: usize) -> Option<Dirent<'_>> {
    let rest = buffer.get(at..)?;
    let record = rest.get(..length(rest)?)?;
    Some(Dirent {
        inode: u64::from_ne_bytes(record.get(..8)?.try_into().ok()?),
        kind: Kind::of_dirent(*record.get(KIND)?),
        name: CStr::from_bytes_until_nul(record.get(NAME..)?).ok()?,
        at,
    })
}

fn length(record: &[u8]) -> Option<usize> {
    let length = u16::from_ne_bytes(record.get(LENGTH..LENGTH + 2)?.try_into().ok()?);
    Some(usize::from(length))
}
