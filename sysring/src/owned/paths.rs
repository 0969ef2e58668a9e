//! What is done to names: files made, renamed, removed, looked at.

use std::ffi::CString;
use std::path::Path;

use sysring_sys::raw::general as g;
use sysring_sys::{Fd, Result};

use super::file::{c_path, invalid};
use super::operation::Operation;
use super::request::{Completion, Request};
use super::ring::Ring;
use crate::op;
use crate::op::StatxBuffer;
use crate::ring::Sqe;

/// Relative paths begin in the current directory; one with a zero byte inside is `EINVAL`. Dropping
/// an operation that was begun leaves open whether it was done.
impl Ring {
    /// Gives a file another name, as `rename(2)`. What has that name already is replaced.
    pub fn rename(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> Operation<Rename> {
        self.operation(Rename { from: c_path(from.as_ref()), to: c_path(to.as_ref()) })
    }

    /// Removes a file, as `unlink(2)`.
    pub fn remove_file(&self, path: impl AsRef<Path>) -> Operation<Remove> {
        self.operation(Remove { path: c_path(path.as_ref()), flags: 0 })
    }

    /// Removes an empty directory, as `rmdir(2)`.
    pub fn remove_dir(&self, path: impl AsRef<Path>) -> Operation<Remove> {
        self.operation(Remove { path: c_path(path.as_ref()), flags: g::AT_REMOVEDIR })
    }

    /// Makes a directory, as `mkdir(2)`, with the permissions 0o777 before the umask.
    pub fn create_dir(&self, path: impl AsRef<Path>) -> Operation<CreateDir> {
        self.operation(CreateDir { path: c_path(path.as_ref()) })
    }

    /// Makes a symbolic link at `path` that leads to `to`, as `symlink(2)`.
    pub fn symlink(&self, to: impl AsRef<Path>, path: impl AsRef<Path>) -> Operation<Symlink> {
        self.operation(Symlink { to: c_path(to.as_ref()), path: c_path(path.as_ref()) })
    }

    /// Gives a file one more name, as `link(2)`.
    pub fn hard_link(&self, file: impl AsRef<Path>, path: impl AsRef<Path>) -> Operation<HardLink> {
        self.operation(HardLink { file: c_path(file.as_ref()), path: c_path(path.as_ref()) })
    }

    /// What there is to know of a file, as `statx(2)` with `STATX_BASIC_STATS | STATX_BTIME`. Symbolic
    /// links are followed.
    pub fn statx(&self, path: impl AsRef<Path>) -> Operation<Statx> {
        self.operation(Statx { path: c_path(path.as_ref()), buffer: zeroed() })
    }
}

fn zeroed() -> StatxBuffer {
    // SAFETY: the structure is numbers alone.
    unsafe { std::mem::zeroed() }
}

/// Requests that own two paths, and bring nothing.
macro_rules! two_paths {
    ($($(#[$doc:meta])* $name:ident($first:ident, $second:ident) = $make:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name {
            $first: Option<CString>,
            $second: Option<CString>,
        }

        // SAFETY: the entry has the addresses of the paths, which are owned.
        unsafe impl Request for $name {
            type Output = Result<()>;

            fn entry(&mut self) -> Sqe {
                let (Some(first), Some(second)) = (&self.$first, &self.$second) else {
                    return invalid();
                };
                $make(first.as_ptr(), second.as_ptr()).into()
            }

            fn finish(self, completion: Completion) -> Result<()> {
                completion.result.map(drop)
            }
        }
    )*};
}

two_paths! {
    /// See [`Ring::rename`].
    Rename(from, to) = |from, to| op::RenameAt::new(Fd::CWD, from, Fd::CWD, to);
    /// See [`Ring::symlink`].
    Symlink(to, path) = |to, path| op::SymlinkAt::new(to, Fd::CWD, path);
    /// See [`Ring::hard_link`].
    HardLink(file, path) = |file, path| op::LinkAt::new(Fd::CWD, file, Fd::CWD, path);
}

/// See [`Ring::remove_file`] and [`Ring::remove_dir`].
#[derive(Debug)]
pub struct Remove {
    path: Option<CString>,
    flags: u32,
}

// SAFETY: the entry has the address of the path, which is owned.
unsafe impl Request for Remove {
    type Output = Result<()>;

    fn entry(&mut self) -> Sqe {
        let Some(path) = &self.path else { return invalid() };
        op::UnlinkAt::new(Fd::CWD, path.as_ptr()).at_flags(self.flags).build()
    }

    fn finish(self, completion: Completion) -> Result<()> {
        completion.result.map(drop)
    }
}

/// See [`Ring::create_dir`].
#[derive(Debug)]
pub struct CreateDir {
    path: Option<CString>,
}

// SAFETY: the entry has the address of the path, which is owned.
unsafe impl Request for CreateDir {
    type Output = Result<()>;

    fn entry(&mut self) -> Sqe {
        let Some(path) = &self.path else { return invalid() };
        op::MkdirAt::new(Fd::CWD, path.as_ptr(), 0o777).build()
    }

    fn finish(self, completion: Completion) -> Result<()> {
        completion.result.map(drop)
    }
}

/// See [`Ring::statx`].
#[derive(Debug)]
pub struct Statx {
    path: Option<CString>,
    buffer: StatxBuffer,
}

// SAFETY: the entry has the addresses of path and buffer, which are owned.
unsafe impl Request for Statx {
    type Output = Result<StatxBuffer>;

    fn entry(&mut self) -> Sqe {
        let Some(path) = &self.path else { return invalid() };
        op::Statx::new(Fd::CWD, path.as_ptr(), &raw mut self.buffer)
            .mask(g::STATX_BASIC_STATS | g::STATX_BTIME)
            .build()
    }

    fn finish(self, completion: Completion) -> Result<StatxBuffer> {
        completion.result.map(|_| self.buffer)
    }
}
