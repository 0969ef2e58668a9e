//! What `statx(2)` says.

use std::ffi::CStr;

use sysring_sys::raw::general as g;
use sysring_sys::{Fd, Result, User, call};

use crate::dirent::Kind;

/// The status of a file, of which only what was asked for is filled in.
pub struct Status(g::statx);

/// A point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Seconds since 1970.
    pub seconds: i64,
    /// And nanoseconds.
    pub nanoseconds: u32,
}

impl Time {
    fn of(time: &g::statx_timestamp) -> Time {
        Time { seconds: time.tv_sec, nanoseconds: time.tv_nsec }
    }
}

/// What every survey gets. (The change time is left out because the kernel notes that it was
/// asked for it.)
const BRIEF: u32 =
    g::STATX_TYPE | g::STATX_MODE | g::STATX_NLINK | g::STATX_INO | g::STATX_SIZE | g::STATX_BLOCKS;

impl Status {
    /// Of nothing yet.
    pub(crate) fn new() -> Status {
        // SAFETY: a structure of numbers, for which zeros are values.
        Status(unsafe { std::mem::zeroed() })
    }

    /// Becomes that of `name` in `dir`; of a link that of what it points to, if it is to be followed.
    pub(crate) fn ask(&mut self, dir: Fd, name: &CStr, follow: bool, full: bool) -> Result<()> {
        let flags = if follow { 0 } else { g::AT_SYMLINK_NOFOLLOW };
        self.fill(dir, name, flags | g::AT_NO_AUTOMOUNT, full)
    }

    /// Becomes that of an open file.
    pub(crate) fn ask_open(&mut self, fd: Fd, full: bool) -> Result<()> {
        self.fill(fd, c"", g::AT_EMPTY_PATH, full)
    }

    fn fill(&mut self, dir: Fd, name: &CStr, flags: u32, full: bool) -> Result<()> {
        let mask = if full { g::STATX_BASIC_STATS } else { BRIEF };
        let out = User::of(&raw mut self.0).cast();
        // SAFETY: the structure is borrowed mutably.
        unsafe { call::statx(dir, User::of(name.as_ptr().cast()), flags, mask, out) }
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        Kind::of_mode(self.mode())
    }

    /// Type and permissions (`st_mode`).
    #[must_use]
    pub fn mode(&self) -> u32 {
        u32::from(self.0.stx_mode)
    }

    /// Length in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.0.stx_size
    }

    /// Room on the disk, in units of 512 bytes.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        self.0.stx_blocks
    }

    /// How many names it has.
    #[must_use]
    pub fn links(&self) -> u32 {
        self.0.stx_nlink
    }

    /// The number of its inode.
    #[must_use]
    pub fn inode(&self) -> u64 {
        self.0.stx_ino
    }

    /// The file system it lies on.
    #[must_use]
    pub fn device(&self) -> u64 {
        u64::from(self.0.stx_dev_major) << 32 | u64::from(self.0.stx_dev_minor)
    }

    /// The device that it is: major and minor number.
    #[must_use]
    pub fn special(&self) -> (u32, u32) {
        (self.0.stx_rdev_major, self.0.stx_rdev_minor)
    }

    /// Whose it is; with [`full_status`](crate::Options::full_status).
    #[must_use]
    pub fn owner(&self) -> (u32, u32) {
        (self.0.stx_uid, self.0.stx_gid)
    }

    /// When it was written; with [`full_status`](crate::Options::full_status).
    #[must_use]
    pub fn modified(&self) -> Time {
        Time::of(&self.0.stx_mtime)
    }

    /// When it was read; with [`full_status`](crate::Options::full_status).
    #[must_use]
    pub fn accessed(&self) -> Time {
        Time::of(&self.0.stx_atime)
    }

    /// When it, or what is said of it here, was changed; with
    /// [`full_status`](crate::Options::full_status).
    #[must_use]
    pub fn changed(&self) -> Time {
        Time::of(&self.0.stx_ctime)
    }
}
