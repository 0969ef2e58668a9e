//! What `stat(2)` says. (`statx` says more, for which the kernel clears and copies more.)

use std::ffi::CStr;

use sysring_sys::raw::general as g;
use sysring_sys::{Fd, Result, User, call};

use crate::dirent::Kind;

/// The status of a file.
pub struct Status(g::stat);

/// A point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Seconds since 1970.
    pub seconds: i64,
    /// And nanoseconds.
    pub nanoseconds: u32,
}

impl Status {
    /// Of nothing yet.
    pub(crate) fn new() -> Status {
        // SAFETY: a structure of numbers, for which zeros are values.
        Status(unsafe { std::mem::zeroed() })
    }

    /// Becomes that of `name` in `dir`; of a link that of what it points to, if it is to be followed.
    pub(crate) fn ask(&mut self, dir: Fd, name: &CStr, follow: bool) -> Result<()> {
        let flags = if follow { 0 } else { g::AT_SYMLINK_NOFOLLOW };
        call::newfstatat(dir, User::of(name.as_ptr().cast()), &mut self.0, flags)
    }

    /// Becomes that of an open file.
    pub(crate) fn ask_open(&mut self, fd: Fd) -> Result<()> {
        call::fstat(fd, &mut self.0)
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        Kind::of_mode(self.mode())
    }

    /// Type and permissions (`st_mode`).
    #[must_use]
    pub fn mode(&self) -> u32 {
        self.0.st_mode
    }

    /// Length in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.0.st_size as u64
    }

    /// Room on the disk, in units of 512 bytes.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        self.0.st_blocks as u64
    }

    /// How many names it has.
    #[must_use]
    pub fn links(&self) -> u32 {
        self.0.st_nlink as u32
    }

    /// The number of its inode.
    #[must_use]
    pub fn inode(&self) -> u64 {
        self.0.st_ino
    }

    /// The file system it lies on: a number that no other has.
    #[must_use]
    pub fn device(&self) -> u64 {
        self.0.st_dev
    }

    /// The device that it is: major and minor number.
    #[must_use]
    pub fn special(&self) -> (u32, u32) {
        parts(self.0.st_rdev as u32)
    }

    /// Whose it is: user and group.
    #[must_use]
    pub fn owner(&self) -> (u32, u32) {
        (self.0.st_uid, self.0.st_gid)
    }

    /// When it was written.
    #[must_use]
    pub fn modified(&self) -> Time {
        Time { seconds: self.0.st_mtime as i64, nanoseconds: self.0.st_mtime_nsec as u32 }
    }

    /// When it was read.
    #[must_use]
    pub fn accessed(&self) -> Time {
        Time { seconds: self.0.st_atime as i64, nanoseconds: self.0.st_atime_nsec as u32 }
    }

    /// When it, or what is said of it here, was changed.
    #[must_use]
    pub fn changed(&self) -> Time {
        Time { seconds: self.0.st_ctime as i64, nanoseconds: self.0.st_ctime_nsec as u32 }
    }
}

/// Major and minor number of a device, of which the kernel gives out 12 and 20 bits: the minor number's
/// upper twelve lie above the major one.
fn parts(device: u32) -> (u32, u32) {
    (device >> 8 & 0xFFF, device >> 12 & 0xF_FF00 | device & 0xFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_two_numbers() {
        assert_eq!(parts(0x0801), (8, 1));
        assert_eq!(parts(0xFFFF_FFFF), (0xFFF, 0xF_FFFF));
        assert_eq!(parts(0xABC1_23DE), (0x123, 0xABCDE));
        let mut null = Status::new();
        null.ask(Fd::CWD, c"/dev/null", false).unwrap();
        assert_eq!((null.kind(), null.special()), (Kind::Special, (1, 3)));
    }
}
