//! Names in directories, and what is known of the files behind them.
//!
//! Paths end with a zero byte. They are copied when the entry is taken, and need not stay longer.

use core::ffi::c_char;

use super::open::path_errors;
use super::{Descriptor, abi, address, at, operation};

/// What [`Statx`] fills (`struct statx`).
pub use sysring_sys::raw::general::statx as StatxBuffer;

macro_rules! change_errors {
    () => {
        "- `EPERM`: the file system has no such thing, or the file is immutable.\n\
         - `ENOSPC`, `EDQUOT`: the disk is full.\n\
         - `EINVAL`: flags that are not known."
    };
}

/// Flags, where an operation has some.
macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident::$flags:ident;)*) => {$(
        impl $name {
            $(#[$doc])*
            #[inline]
            pub fn $flags(mut self, flags: u32) -> $name {
                self.0.op_flags = flags;
                self
            }
        }
    )*};
}

flags! {
    /// `AT_EMPTY_PATH`, `AT_SYMLINK_NOFOLLOW`, `AT_STATX_*`.
    Statx::at_flags;
    /// `RENAME_*`.
    RenameAt::rename_flags;
    /// `AT_REMOVEDIR`.
    UnlinkAt::at_flags;
    /// `AT_EMPTY_PATH`, `AT_SYMLINK_FOLLOW`.
    LinkAt::at_flags;
}

/// An entry for a name in one directory, and one in another.
#[inline]
fn from_to(
    code: u8,
    (from, old): (impl Descriptor, *const c_char),
    (to, new): (impl Descriptor, *const c_char),
) -> abi::Sqe {
    let len = to.number() as u32;
    abi::Sqe { addr: address(old), off: address(new), len, ..at(code, from) }
}

operation! {
    /// Tells what a file is, as `statx(2)` (Linux 5.6).
    ///
    /// The value is 0.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::mem::MaybeUninit;
    /// use sysring::{Fd, Ring, op};
    ///
    /// let mut about = MaybeUninit::<op::StatxBuffer>::zeroed();
    /// let mut ring = Ring::new(8)?;
    /// // SAFETY: path and buffer stay until the completion.
    /// unsafe { ring.push(op::Statx::new(Fd::CWD, c"/".as_ptr(), about.as_mut_ptr()))? };
    /// ring.submit_and_wait(1)?;
    /// ring.completion().unwrap().result()?;
    /// // SAFETY: it was filled, and zeroes would be values, too.
    /// let about = unsafe { about.assume_init() };
    /// assert_eq!(u32::from(about.stx_mode) & libc::S_IFMT, libc::S_IFDIR);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    #[doc = path_errors!()]
    /// - `EINVAL`: flags or a mask that are not known.
    Statx = STATX
}

impl Statx {
    /// The file of this name, from this directory, into `buffer`: the basic fields.
    #[inline]
    pub fn new(directory: impl Descriptor, path: *const c_char, buffer: *mut StatxBuffer) -> Statx {
        /// `STATX_BASIC_STATS`.
        const BASIC: u32 = 0x7ff;
        let mut entry = at(Statx::CODE, directory);
        (entry.addr, entry.off, entry.len) = (address(path), address(buffer), BASIC);
        Statx(entry)
    }

    /// The fields that are wanted: `STATX_*`.
    #[inline]
    pub fn mask(mut self, mask: u32) -> Statx {
        self.0.len = mask;
        self
    }
}

operation! {
    /// Renames a file, as `renameat2(2)` (Linux 5.11).
    ///
    /// The value is 0.
    ///
    /// # Errors
    #[doc = path_errors!()]
    #[doc = change_errors!()]
    /// - `EXDEV`: to another file system.
    /// - `EEXIST`: the new name exists, and `RENAME_NOREPLACE` is given; `ENOTEMPTY`: it is a
    ///   directory with something in it.
    /// - `EISDIR`: the new name is a directory, the old one is not.
    /// - `EINVAL`: a directory into itself; `EBUSY`: a directory that is in use.
    RenameAt = RENAMEAT
}

impl RenameAt {
    /// From a name in one directory to one in another.
    #[inline]
    pub fn new(
        old_directory: impl Descriptor,
        old: *const c_char,
        new_directory: impl Descriptor,
        new: *const c_char,
    ) -> RenameAt {
        RenameAt(from_to(RenameAt::CODE, (old_directory, old), (new_directory, new)))
    }
}

operation! {
    /// Removes a name, as `unlinkat(2)` (Linux 5.11).
    ///
    /// The value is 0.
    ///
    /// # Errors
    #[doc = path_errors!()]
    #[doc = change_errors!()]
    /// - `EISDIR`: a directory, without `AT_REMOVEDIR`; `ENOTEMPTY`: one with something in it.
    /// - `EBUSY`: it is in use.
    UnlinkAt = UNLINKAT
}

impl UnlinkAt {
    /// This name in this directory.
    #[inline]
    pub fn new(directory: impl Descriptor, path: *const c_char) -> UnlinkAt {
        let mut entry = at(UnlinkAt::CODE, directory);
        entry.addr = address(path);
        UnlinkAt(entry)
    }
}

operation! {
    /// Makes a directory, as `mkdirat(2)` (Linux 5.15).
    ///
    /// The value is 0.
    ///
    /// # Errors
    #[doc = path_errors!()]
    #[doc = change_errors!()]
    /// - `EEXIST`: the name exists; `EMLINK`: too many in the directory.
    MkdirAt = MKDIRAT
}

impl MkdirAt {
    /// Of this name in this directory, with these permissions.
    #[inline]
    pub fn new(directory: impl Descriptor, path: *const c_char, mode: u32) -> MkdirAt {
        let mut entry = at(MkdirAt::CODE, directory);
        (entry.addr, entry.len) = (address(path), mode);
        MkdirAt(entry)
    }
}

operation! {
    /// Makes a symbolic link, as `symlinkat(2)` (Linux 5.15).
    ///
    /// The value is 0.
    ///
    /// # Errors
    #[doc = path_errors!()]
    #[doc = change_errors!()]
    /// - `EEXIST`: the name exists.
    SymlinkAt = SYMLINKAT
}

impl SymlinkAt {
    /// To `target`, of this name in this directory.
    #[inline]
    pub fn new(
        target: *const c_char,
        directory: impl Descriptor,
        path: *const c_char,
    ) -> SymlinkAt {
        let mut entry = at(SymlinkAt::CODE, directory);
        (entry.addr, entry.off) = (address(target), address(path));
        SymlinkAt(entry)
    }
}

operation! {
    /// Gives a file one more name, as `linkat(2)` (Linux 5.15).
    ///
    /// The value is 0.
    ///
    /// # Errors
    #[doc = path_errors!()]
    #[doc = change_errors!()]
    /// - `EEXIST`: the new name exists; `EXDEV`: on another file system; `EMLINK`: too many names.
    LinkAt = LINKAT
}

impl LinkAt {
    /// The file of a name in one directory is known by one in another, too.
    #[inline]
    pub fn new(
        old_directory: impl Descriptor,
        old: *const c_char,
        new_directory: impl Descriptor,
        new: *const c_char,
    ) -> LinkAt {
        LinkAt(from_to(LinkAt::CODE, (old_directory, old), (new_directory, new)))
    }
}
