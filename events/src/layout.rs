//! Where things are in the memory file. What is said here is said to other languages, too, in
//! `docs/events.md`: offsets never change within a version.

use sysring_sys::{Errno, Result};

use crate::atomic::{AtomicU32, AtomicU64};
use crate::kept::Kept;

/// `SYSRINGE`, read as a little-endian number.
pub const MAGIC: u64 = u64::from_le_bytes(*b"SYSRINGE");
pub const VERSION: u32 = 2;

/// Several processes use it.
pub const SHARED: u32 = 1;
/// All flags of this version: a header with others was written by who knows more than we do.
pub const FLAGS: u32 = SHARED;

/// Where the ring's bytes begin: the largest page of any Linux, so that they can be mapped alone.
pub const DATA: usize = 65536;
/// The sizes of ring and overflow area: powers of two.
pub const SMALLEST: usize = 65536;
pub const LARGEST: usize = 1 << 30;

/// Bits of [`Shared::state`].
pub const OVERFLOWING: u32 = 1;

/// What is written once, before anybody else sees the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Header {
    pub magic: u64,
    pub version: u32,
    pub flags: u32,
    /// Bytes of the ring.
    pub size: u32,
    /// Bytes of the overflow area, which lies behind the ring; 0: there is none.
    pub overflow: u32,
    /// In which namespaces process ids and start times mean the same to all users.
    pub world: u64,
}

/// The memory file's first page.
#[repr(C)]
pub struct Page {
    pub header: Header,
    _1: [u64; 4],
    pub shared: Shared,
}

/// What changes. Consumers write the first line, producers the others.
#[cfg_attr(not(loom), repr(C))]
pub struct Shared {
    /// How many bytes were taken out of the ring, in the low half, and how many times somebody took
    /// any, in the high half: who compares both cannot be fooled by a count that has gone round.
    pub head: AtomicU64,
    /// The same of the overflow area.
    pub overflow_head: AtomicU64,
    pub _1: [u64; 6],
    /// How many bytes were put into the ring.
    pub tail: AtomicU32,
    pub overflow_tail: AtomicU32,
    pub state: AtomicU32,
    pub _2: u32,
    pub _3: [u64; 6],
    /// See [`crate::lock`].
    pub lock: AtomicU64,
    /// Where consumers sleep; changes before they are woken.
    pub signal: AtomicU32,
    pub _4: u32,
    pub _5: [u64; 6],
    /// Of the ring, and of the overflow area.
    pub kept: [Kept; 2],
}

#[cfg(not(loom))]
const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<Header>() == 32);
    assert!(offset_of!(Page, shared) == 64);
    assert!(offset_of!(Shared, tail) == 64);
    assert!(offset_of!(Shared, lock) == 128);
    assert!(offset_of!(Shared, signal) == 136);
    assert!(offset_of!(Shared, kept) == 192);
    assert!(size_of::<Kept>() == 32);
};

impl Header {
    /// Whether it is one of ours, of a version and with flags that we know.
    ///
    /// # Errors
    /// `EINVAL`: not a ring's. `EPROTONOSUPPORT`: of another version. `EOPNOTSUPP`: with flags that
    /// this version does not have.
    pub fn check(&self) -> Result<()> {
        if self.magic != MAGIC {
            return Err(Errno::EINVAL);
        }
        if self.version != VERSION {
            return Err(Errno::EPROTONOSUPPORT);
        }
        if self.flags & !FLAGS != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        let overflow = self.overflow == 0 || valid(self.overflow as usize);
        if valid(self.size as usize) && overflow { Ok(()) } else { Err(Errno::EINVAL) }
    }

    /// Bytes of the whole file.
    pub fn file_len(&self) -> usize {
        DATA + self.size as usize + self.overflow as usize
    }
}

/// Whether a ring or an overflow area may have so many bytes.
pub fn valid(size: usize) -> bool {
    size.is_power_of_two() && (SMALLEST..=LARGEST).contains(&size)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const GOOD: Header =
        Header { magic: MAGIC, version: VERSION, flags: 0, size: 65536, overflow: 0, world: 0 };

    #[test]
    fn what_we_do_not_know_is_refused() {
        assert_eq!(GOOD.check(), Ok(()));
        assert_eq!(Header { flags: SHARED, ..GOOD }.check(), Ok(()));
        assert_eq!(Header { magic: 1, ..GOOD }.check(), Err(Errno::EINVAL));
        assert_eq!(Header { version: 0, ..GOOD }.check(), Err(Errno::EPROTONOSUPPORT));
        assert_eq!(Header { version: 1, ..GOOD }.check(), Err(Errno::EPROTONOSUPPORT));
        assert_eq!(Header { version: 3, ..GOOD }.check(), Err(Errno::EPROTONOSUPPORT));
        for bit in 1..32 {
            assert_eq!(Header { flags: 1 << bit, ..GOOD }.check(), Err(Errno::EOPNOTSUPP));
        }
        for size in [0, 1, 4096, 65535, 65537, 3 << 16, 1 << 31, u32::MAX] {
            assert_eq!(Header { size, ..GOOD }.check(), Err(Errno::EINVAL));
            if size != 0 {
                assert_eq!(Header { overflow: size, ..GOOD }.check(), Err(Errno::EINVAL));
            }
        }
    }
}
