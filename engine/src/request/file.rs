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
    /// Others have it, too (`lent.rs`).
    pub lent: bool,
    /// It could not be duplicated, and is to be used after the submission.
    bare: bool,
}

/// The device and the inode by which a file is known again.
pub type Inode = (u64, u64);

impl File {
    /// No file.
    pub const NONE: File = File::named(Fd::NONE);

    /// One that the application has, for as long as its submission takes.
    #[inline(always)]
    pub const fn named(fd: Fd) -> File {
        File { fd, owned: false, lent: false, bare: false }
    }

    /// A descriptor of the engine's.
    pub const fn owned(fd: Fd) -> File {
        File { owned: true, ..File::named(fd) }
    }

    /// One that others may have, too.
    pub const fn lent(fd: Fd) -> File {
        File { lent: true, ..File::owned(fd) }
    }

    /// No file any more.
    #[inline(always)]
    pub fn forget(&mut self) {
        (self.fd, self.owned, self.lent, self.bare) = (Fd::NONE, false, false, false);
    }

    /// To be used after the submission: a duplicate, or where no descriptor is left the number, which
    /// the application may close, and get again for something else. What it is known by is noted then:
    /// held once, it is the same file or none whenever it is held again.
    ///
    /// # Errors
    /// `EBADF`, and what `fstat(2)` has against a file that cannot be duplicated.
    pub fn held(self, known_by: &mut Inode) -> Result<File> {
        if self.owned || !self.fd.is_valid() {
            return Ok(self);
        }
        match descriptors::duplicate_file(self.fd) {
            Ok(copy) if self.bare && call::inode(copy) != Ok(*known_by) => {
                descriptors::let_go_of_file(copy);
                Err(Errno::EBADF)
            }
            Ok(copy) => Ok(File::owned(copy)),
            Err(_) if self.bare && self.is_there(*known_by) => Ok(self),
            Err(_) if self.bare => Err(Errno::EBADF),
            Err(Errno::EBADF) => Err(Errno::EBADF),
            Err(_) => {
                *known_by = call::inode(self.fd)?;
                Ok(File { bare: true, ..self })
            }
        }
    }

    /// Whether a number is all that there is.
    #[inline(always)]
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.bare
    }

    /// Whether that leads to the same file still, as far as can be told: what has no inode of its own
    /// (an eventfd, a timer) looks like others of its kind.
    #[must_use]
    pub fn is_there(&self, known_by: Inode) -> bool {
        call::inode(self.fd) == Ok(known_by)
    }

    /// Whether it is to be used after the submission.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.owned || self.bare
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn a_bare_number_is_held_again_only_as_the_same_file() {
        let [this, other] = ["/dev/null", "/dev/zero"].map(|name| fs::File::open(name).unwrap());
        let fd = Fd::new(this.as_raw_fd());
        let bare = File { bare: true, ..File::named(fd) };
        let mut inode = call::inode(fd).unwrap();
        let held = bare.held(&mut inode).unwrap();
        assert!(held.owned && !held.is_bare());
        assert_eq!(call::inode(held.fd), Ok(inode));
        descriptors::let_go(held.fd);
        let astray = File { fd: Fd::new(other.as_raw_fd()), ..bare };
        assert_eq!(astray.held(&mut inode).err(), Some(Errno::EBADF));
    }
}
