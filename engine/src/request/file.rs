//! The open file of a request: what it was given, or a duplicate that the engine must close.

use sysring_sys::{Errno, Fd, Result, call};

use crate::descriptors;

/// The open file a request works on.
#[derive(Clone, Copy, Debug)]
pub struct File {
    /// The descriptor to use now.
    pub fd: Fd,
    /// It is a duplicate of the engine's, to be closed with the request.
    pub owned: bool,
    /// Of one that could not be duplicated: its device and inode, by which it is known again.
    inode: (u64, u64),
}

impl File {
    /// No file.
    pub const NONE: File = File::named(Fd::NONE);

    /// One that the application has, for as long as its submission takes.
    #[inline(always)]
    pub const fn named(fd: Fd) -> File {
        File { fd, owned: false, inode: (0, 0) }
    }

    /// A descriptor of the engine's.
    pub const fn owned(fd: Fd) -> File {
        File { fd, owned: true, inode: (0, 0) }
    }

    /// No file any more. What it was known by then counts no more, either.
    #[inline(always)]
    pub fn forget(&mut self) {
        (self.fd, self.owned) = (Fd::NONE, false);
    }

    /// To be used after the submission: a duplicate, or where no descriptor is left the number, which
    /// the application may close, and get again for something else.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn held(fd: Fd) -> Result<File> {
        match descriptors::duplicate(fd) {
            Ok(fd) => Ok(File::owned(fd)),
            Err(Errno::EBADF) => Err(Errno::EBADF),
            Err(_) => Ok(File { inode: call::inode(fd)?, ..File::named(fd) }),
        }
    }

    /// Whether a number is all that there is.
    #[inline(always)]
    #[must_use]
    pub fn is_bare(&self) -> bool {
        !self.owned && self.fd.is_valid()
    }

    /// Whether that leads to the same file still, as far as can be told: what has no inode of its own
    /// (an eventfd, a timer) looks like others of its kind.
    #[must_use]
    pub fn is_there(&self) -> bool {
        call::inode(self.fd) == Ok(self.inode)
    }
}
