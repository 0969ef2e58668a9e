//! What operations work on: a descriptor, or a slot of a ring's table of direct descriptors.

use std::fmt;
use std::fs::File;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::sync::{Arc, Weak};

use super::ring::Ring;
use super::turn::Shared;
use crate::op::{Fixed, Target};

/// A file, socket or whatever else a descriptor stands for, shared with the operations on it.
///
/// Every operation under way holds a clone: the file stays open until the last one has ended,
/// and no operation meets another file that happens to have got the same number. Dropping the last
/// clone closes it.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use sysring::owned::Handle;
///
/// let file: Handle = std::fs::File::open("/dev/null")?.into();
/// let again = file.clone(); // the same file, the same descriptor
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Handle(Arc<Inner>);

enum Inner {
    Owned(OwnedFd),
    Static(BorrowedFd<'static>),
    Direct { ring: Weak<Shared>, slot: u32 },
}

/// What an entry says of a [`Handle`], to be given to the builders in [`op`](crate::op). It is no
/// claim on the file: keep the handle beside it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    number: i32,
    flags: u8,
}

impl Target for Place {
    fn place(self) -> (i32, u8) {
        (self.number, self.flags)
    }
}

impl Handle {
    /// A descriptor that is never closed, as those of standard input and output.
    #[must_use]
    pub fn from_static(fd: BorrowedFd<'static>) -> Handle {
        Handle(Arc::new(Inner::Static(fd)))
    }

    /// Standard input.
    #[must_use]
    pub fn stdin() -> Handle {
        // SAFETY: number 0 is standard input for as long as the process goes on; whoever closes it
        // breaks what std promises for `std::io::stdin().as_fd()`.
        Handle::from_static(unsafe { BorrowedFd::borrow_raw(0) })
    }

    /// Standard output.
    #[must_use]
    pub fn stdout() -> Handle {
        // SAFETY: as for `stdin`.
        Handle::from_static(unsafe { BorrowedFd::borrow_raw(1) })
    }

    pub(super) fn direct(ring: Weak<Shared>, slot: u32) -> Handle {
        Handle(Arc::new(Inner::Direct { ring, slot }))
    }

    /// The descriptor; none if this is a slot of a ring's table.
    #[must_use]
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        match &*self.0 {
            Inner::Owned(fd) => Some(fd.as_fd()),
            Inner::Static(fd) => Some(*fd),
            Inner::Direct { .. } => None,
        }
    }

    /// Whether this is a slot of a ring's table of direct descriptors.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        matches!(*self.0, Inner::Direct { .. })
    }

    /// Whether its last clone closes a descriptor.
    pub(super) fn owns(&self) -> bool {
        matches!(*self.0, Inner::Owned(_))
    }

    /// Gives the descriptor up, if this is the only clone of it and it owns one.
    ///
    /// # Errors
    /// The handle, unchanged: an operation is under way, another clone exists, or it is a slot or
    /// static.
    pub fn into_fd(self) -> Result<OwnedFd, Handle> {
        if !self.owns() {
            return Err(self);
        }
        let inner = Arc::try_unwrap(self.0).map_err(Handle)?;
        match &mut *std::mem::ManuallyDrop::new(inner) {
            // SAFETY: nothing else of it is dropped, and it is not used again.
            Inner::Owned(fd) => Ok(unsafe { std::ptr::read(fd) }),
            _ => unreachable!("it owns a descriptor"),
        }
    }

    /// What an entry of `ring` says for this handle. A slot of another ring is answered `EBADF` by
    /// the kernel.
    #[must_use]
    pub fn place(&self, ring: &Ring) -> Place {
        let (number, flags) = match &*self.0 {
            Inner::Owned(fd) => (fd.as_raw_fd(), 0),
            Inner::Static(fd) => (fd.as_raw_fd(), 0),
            Inner::Direct { ring: of, slot } if ring.is(of) => Fixed(*slot).place(),
            Inner::Direct { .. } => (-1, 0),
        };
        Place { number, flags }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Inner::Direct { ring, slot } = self
            && let Some(ring) = ring.upgrade()
        {
            ring.close_direct(*slot);
        }
    }
}

impl From<OwnedFd> for Handle {
    fn from(fd: OwnedFd) -> Handle {
        Handle(Arc::new(Inner::Owned(fd)))
    }
}

macro_rules! from_std {
    ($($type:ty)*) => {
        $(
            impl From<$type> for Handle {
                fn from(file: $type) -> Handle {
                    OwnedFd::from(file).into()
                }
            }
        )*
    };
}

from_std!(File TcpListener TcpStream UdpSocket UnixDatagram UnixListener UnixStream);

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Inner::Owned(fd) => write!(f, "Handle(fd {})", fd.as_raw_fd()),
            Inner::Static(fd) => write!(f, "Handle(static fd {})", fd.as_raw_fd()),
            Inner::Direct { slot, .. } => write!(f, "Handle(slot {slot})"),
        }
    }
}
