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
}

const POSITION: usize = 8;
const LENGTH: usize = 16;
const KIND: usize = 18;
const NAME: usize = 19;
const WORD: usize = 8;
/// The length of a record with the shortest name.
pub const SHORTEST: usize = 24;

/// The records in `buffer`, but not `.` and `..`.
pub fn all(buffer: &[u8]) -> impl Iterator<Item = Dirent<'_>> {
    let mut next = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = buffer.get(next..)?;
            let record = rest.get(..length(rest)?)?;
            next += record.len();
            let dirent = read(record)?;
            if !matches!(dirent.name.to_bytes(), b"." | b"..") {
                return Some(dirent);
            }
        }
    })
}

/// Whether the directory has no more than these: behind the last of them lies the largest position there
/// is. So it is on ext4 and btrfs; on others it takes another call to know.
pub fn ends(buffer: &[u8]) -> bool {
    let mut rest = buffer;
    let mut position = None;
    while let Some(record) = length(rest).and_then(|length| rest.get(..length)) {
        position = record.get(POSITION..).and_then(<[u8]>::first_chunk);
        rest = &rest[record.len()..];
    }
    position.is_some_and(|position| i64::from_ne_bytes(*position) == i64::MAX)
}

fn read(record: &[u8]) -> Option<Dirent<'_>> {
    let inode = u64::from_ne_bytes(*record.first_chunk()?);
    let kind = Kind::of_dirent(*record.get(KIND)?);
    // Records are padded to whole words, so the name ends in the last one: there is no need to
    // search it from its start.
    let last = record.len().saturating_sub(WORD).max(NAME);
    let end = last + record.get(last..)?.iter().position(|&byte| byte == 0)?;
    let name = record.get(NAME..=end)?;
    // SAFETY: it ends with a zero byte, and the kernel puts none into a name.
    let name = unsafe { CStr::from_bytes_with_nul_unchecked(name) };
    Some(Dirent { inode, kind, name })
}

/// None for a record without length, which would never end.
fn length(record: &[u8]) -> Option<usize> {
    let length = u16::from_ne_bytes(*record.get(LENGTH..)?.first_chunk()?);
    (length > 0).then_some(usize::from(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records as the kernel writes them, with rubbish where it writes nothing.
    fn record(name: &str, kind: u32) -> Vec<u8> {
        let length = (NAME + name.len() + 1).next_multiple_of(WORD);
        let mut record = vec![0xAA; length];
        record[..8].copy_from_slice(&7u64.to_ne_bytes());
        record[LENGTH..KIND].copy_from_slice(&(length as u16).to_ne_bytes());
        record[KIND] = kind as u8;
        record[NAME..NAME + name.len()].copy_from_slice(name.as_bytes());
        record[NAME + name.len()] = 0;
        record
    }

    #[test]
    fn names_of_every_length_are_found() {
        let names: Vec<String> = (1..=255).map(|length| "n".repeat(length)).collect();
        let mut buffer = [record(".", g::DT_DIR), record("..", g::DT_DIR)].concat();
        for name in &names {
            // The type in front of a short name may be a zero byte.
            buffer.extend(record(name, g::DT_UNKNOWN));
        }
        let found: Vec<_> = all(&buffer).map(|d| d.name.to_str().unwrap().to_owned()).collect();
        assert_eq!(found, names);
        assert!(all(&buffer).all(|d| d.inode == 7 && d.kind == Kind::Unknown));
    }

    #[test]
    fn the_end_is_known_by_the_last_position() {
        let at = |position: i64| {
            let mut record = record("name", g::DT_REG);
            record[POSITION..LENGTH].copy_from_slice(&position.to_ne_bytes());
            record
        };
        assert!(ends(&[at(1), at(i64::MAX)].concat()));
        assert!(!ends(&[at(i64::MAX), at(1)].concat()));
        assert!(!ends(&[]));
        assert!(!ends(&at(i64::MAX)[..12]));
    }

    #[test]
    fn what_is_cut_off_ends_it() {
        let buffer = record("name", g::DT_REG);
        assert_eq!(all(&buffer[..buffer.len() - 1]).count(), 0);
        assert_eq!(all(&buffer[..10]).count(), 0);
        assert_eq!(all(&[]).count(), 0);
    }
}
