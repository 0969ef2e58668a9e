//! The operations: a builder for each, which makes an [`Sqe`](crate::Sqe).
//!
//! What an operation cannot do without is an argument of `new`; the rest is chained; `build` gives
//! the entry, which can be told what is the same for all of them ([`Sqe::user_data`](crate::Sqe::user_data),
//! [`Sqe::link`](crate::Sqe::link), …). `CODE` is the operation's number, to ask for
//! ([`Builder::require`](crate::Builder::require), [`Operations::has`](crate::Operations::has)).
//!
//! ```
//! use sysring::{Fixed, op};
//!
//! let mut buffer = [0u8; 4096];
//! let read = op::Read::new(Fixed(3), buffer.as_mut_ptr(), 4096).offset(8192).build().link();
//! # let _ = read;
//! ```
//!
//! # What they work on
//! A [`Target`] is an ordinary descriptor (`&File`, `&OwnedFd`, `BorrowedFd`, or a number,
//! [`Fd`]), or the index of a registered file, [`Fixed`].
//!
//! # Errors
//! Each operation lists its own. Any of them may answer
//! - `EBADF`: the descriptor is not open, or the index has no file;
//! - `EINVAL`: the operation is not known here, or a combination of its options is not;
//! - `EFAULT`: an address is not the program's;
//! - `ECANCELED`: it was cancelled, or an earlier one in its [link](crate::Sqe::link) failed;
//! - `EINTR`: it was cancelled while a worker thread was at it;
//! - `ENOMEM`: out of memory; `EAGAIN`: out of requests;
//! - `EACCES`: the ring's restrictions forbid it.

mod cancel;
mod command;
mod epoll;
mod files;
mod fs;
mod futex;
mod groups;
mod message;
mod net;
mod nop;
mod open;
mod poll;
mod process;
mod received;
mod rw;
mod socket;
mod splice;
mod sync;
mod timeout;
mod xattr;

use core::fmt;

use sysring_sys::Fd;
use sysring_sys::abi::io_uring::{self as abi, sqe_flags};

pub use cancel::AsyncCancel;
pub use command::{UringCmd, UringCmd80, UringCmd128};
pub use epoll::{EpollCtl, EpollWait};
pub use files::FilesUpdate;
pub use fs::{LinkAt, MkdirAt, RenameAt, Statx, StatxBuffer, SymlinkAt, UnlinkAt};
pub use futex::{FutexWait, FutexWaitV, FutexWake};
pub use groups::{ProvideBuffers, RemoveBuffers};
pub use message::MsgRing;
pub use net::{Recv, RecvMsg, RecvZc, Send, SendMsg, SendMsgZc, SendZc};
pub use nop::{Nop, Nop128};
pub use open::{Close, FixedFdInstall, OpenAt, OpenAt2, OpenHow, Pipe};
pub use poll::{PollAdd, PollRemove};
pub use process::{SigInfo, WaitId};
pub use received::ReceivedMessage;
pub use rw::{
    Read, ReadFixed, ReadMultishot, ReadV, ReadVFixed, Write, WriteFixed, WriteV, WriteVFixed,
};
pub use socket::{Accept, Bind, Connect, Listen, Shutdown, Socket};
pub use splice::{Splice, Tee};
pub use sync::{Fadvise, Fallocate, Fsync, Ftruncate, Madvise, SyncFileRange};
pub use timeout::{LinkTimeout, Timeout, TimeoutRemove};
pub use xattr::{FgetXattr, FsetXattr, GetXattr, SetXattr};

/// The index of a registered file ([`Register::files`](crate::Register::files)): no look-up in the
/// process's table of descriptors.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Fixed(pub u32);

/// Where an operation that opens a file puts it, in the ring's table of registered files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Slot {
    /// At this index. A file that is there already is taken out.
    At(u32),
    /// At a free index, which is the operation's value (Linux 5.19).
    Free,
}

impl Slot {
    /// As the kernel has it: one more than the index.
    #[inline]
    const fn to_raw(self) -> u32 {
        match self {
            Slot::At(index) => index.wrapping_add(1),
            Slot::Free => abi::FILE_INDEX_ALLOC,
        }
    }
}

/// An ordinary descriptor: [`Fd`], and with `std` whatever has one.
pub trait Descriptor {
    #[doc(hidden)]
    fn number(self) -> i32;
}

impl Descriptor for Fd {
    #[inline(always)]
    fn number(self) -> i32 {
        self.raw()
    }
}

#[cfg(feature = "std")]
impl Descriptor for std::os::fd::BorrowedFd<'_> {
    #[inline(always)]
    fn number(self) -> i32 {
        std::os::fd::AsRawFd::as_raw_fd(&self)
    }
}

#[cfg(feature = "std")]
impl<T: std::os::fd::AsFd> Descriptor for &T {
    #[inline(always)]
    fn number(self) -> i32 {
        self.as_fd().number()
    }
}

/// What an operation works on: an ordinary [`Descriptor`], or a [`Fixed`] one.
pub trait Target {
    #[doc(hidden)]
    fn place(self) -> (i32, u8);
}

impl<T: Descriptor> Target for T {
    #[inline(always)]
    fn place(self) -> (i32, u8) {
        (self.number(), 0)
    }
}

impl Target for Fixed {
    #[inline(always)]
    fn place(self) -> (i32, u8) {
        (self.0 as i32, sqe_flags::FIXED_FILE)
    }
}

/// An entry for an operation on a file.
#[inline(always)]
fn on(code: u8, target: impl Target) -> abi::Sqe {
    let (fd, flags) = target.place();
    abi::Sqe { opcode: code, fd, flags, ..BLANK }
}

/// An entry for an operation on an ordinary descriptor.
#[inline(always)]
fn at(code: u8, descriptor: impl Descriptor) -> abi::Sqe {
    abi::Sqe { opcode: code, fd: descriptor.number(), ..BLANK }
}

/// An entry for an operation on no file.
#[inline(always)]
fn alone(code: u8) -> abi::Sqe {
    abi::Sqe { opcode: code, fd: -1, ..BLANK }
}

/// Has an entry take its buffer from a group.
#[inline(always)]
fn select(entry: &mut abi::Sqe, group: u16) {
    entry.buf_index = group;
    entry.flags |= sqe_flags::BUFFER_SELECT;
}

const BLANK: abi::Sqe = abi::Sqe {
    opcode: 0,
    flags: 0,
    ioprio: 0,
    fd: 0,
    off: 0,
    addr: 0,
    len: 0,
    op_flags: 0,
    user_data: 0,
    buf_index: 0,
    personality: 0,
    file_index: 0,
    addr3: 0,
    pad2: 0,
};

/// An address as entries carry it.
#[inline(always)]
fn address<T: ?Sized>(of: *const T) -> u64 {
    of.cast::<u8>() as usize as u64
}

/// Defines the type of a builder, which is the entry it makes.
macro_rules! operation {
    ($(#[$doc:meta])* $name:ident = $code:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        #[must_use = "a builder does nothing until its entry is pushed"]
        pub struct $name($crate::op::abi::Sqe);

        impl $name {
            #[doc = concat!("The operation's number: `IORING_OP_", stringify!($code), "`.")]
            pub const CODE: u8 = $crate::op::abi::op::$code;

            /// The entry.
            #[inline(always)]
            pub fn build(self) -> $crate::Sqe {
                $crate::Sqe::from_raw(self.0)
            }
        }

        impl From<$name> for $crate::Sqe {
            #[inline(always)]
            fn from(builder: $name) -> $crate::Sqe {
                builder.build()
            }
        }

        impl From<$name> for $crate::Sqe128 {
            #[inline(always)]
            fn from(builder: $name) -> $crate::Sqe128 {
                builder.build().into()
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.0).finish()
            }
        }
    };
}
use operation;

/// The name of an operation, as the kernel's headers have it.
macro_rules! names {
    ($($code:ident)*) => {
        /// The name of an operation: `READ` for 22.
        #[must_use]
        pub const fn name(code: u8) -> Name {
            Name(match code {
                $(abi::op::$code => stringify!($code),)*
                _ => "",
            }, code)
        }
    };
}

names! {
    NOP READV WRITEV FSYNC READ_FIXED WRITE_FIXED POLL_ADD POLL_REMOVE SYNC_FILE_RANGE SENDMSG
    RECVMSG TIMEOUT TIMEOUT_REMOVE ACCEPT ASYNC_CANCEL LINK_TIMEOUT CONNECT FALLOCATE OPENAT CLOSE
    FILES_UPDATE STATX READ WRITE FADVISE MADVISE SEND RECV OPENAT2 EPOLL_CTL SPLICE
    PROVIDE_BUFFERS REMOVE_BUFFERS TEE SHUTDOWN RENAMEAT UNLINKAT MKDIRAT SYMLINKAT LINKAT MSG_RING
    FSETXATTR SETXATTR FGETXATTR GETXATTR SOCKET URING_CMD SEND_ZC SENDMSG_ZC READ_MULTISHOT WAITID
    FUTEX_WAIT FUTEX_WAKE FUTEX_WAITV FIXED_FD_INSTALL FTRUNCATE BIND LISTEN RECV_ZC EPOLL_WAIT
    READV_FIXED WRITEV_FIXED PIPE NOP128 URING_CMD128
}

/// The name of an operation, or its number if this crate does not know it: [`name`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Name(&'static str, u8);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => write!(f, "operation {}", self.1),
            name => f.write_str(name),
        }
    }
}
