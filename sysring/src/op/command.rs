//! Commands to drivers and sockets.

use sysring_sys::abi::io_uring::{socket_op, uring_cmd};

use super::{Target, abi, address, on, operation};
use crate::ring::{Sqe, Sqe128};

macro_rules! command_errors {
    () => {
        "- `EBADF`: not open.\n\
         - `EOPNOTSUPP`: the file takes no commands, or the socket not this one.\n\
         - `EINVAL`: the command or one of its options is not known; or the driver wants entries, or \
           completions, of the other size.\n\
         - `EACCES`, `EPERM`: a security module, or the driver, does not permit it.\n\
         - otherwise what the driver answers."
    };
}

operation! {
    /// Gives a command to the driver of a file, with 16 bytes of its own (Linux 5.19).
    ///
    /// The value is the driver's.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::io::Write;
    /// use sysring::{Ring, op};
    ///
    /// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// let mut here = std::net::TcpStream::connect(listener.local_addr()?)?;
    /// let (there, _) = listener.accept()?;
    /// here.write_all(b"ping")?;
    /// let mut ring = Ring::new(8)?;
    /// // SAFETY: the socket is open until it is done.
    /// unsafe { ring.push(op::UringCmd::bytes_received(&there))? };
    /// ring.submit_and_wait(1)?;
    /// assert_eq!(ring.completion().unwrap().result()?, 4);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    #[doc = command_errors!()]
    UringCmd = URING_CMD
}

impl UringCmd {
    /// This command, with what it reads.
    #[inline]
    pub fn new(target: impl Target, command: u32, payload: [u64; 2]) -> UringCmd {
        let mut entry = on(UringCmd::CODE, target);
        entry.off = u64::from(command);
        [entry.addr3, entry.pad2] = payload;
        UringCmd(entry)
    }

    /// With a [registered buffer](crate::Register::buffers) (Linux 6.1).
    #[inline]
    pub fn fixed(mut self, index: u16) -> UringCmd {
        self.0.op_flags |= uring_cmd::FIXED;
        self.0.buf_index = index;
        self
    }
}

/// What sockets take as commands: `ioctl(2)`, `getsockopt(2)` and their kin.
impl UringCmd {
    fn to_socket(target: impl Target, command: u32) -> abi::Sqe {
        abi::Sqe { off: u64::from(command), ..on(UringCmd::CODE, target) }
    }

    /// The value is the number of bytes that wait to be received (`SIOCINQ`, Linux 6.5).
    #[inline]
    pub fn bytes_received(target: impl Target) -> UringCmd {
        UringCmd(UringCmd::to_socket(target, socket_op::SIOCINQ))
    }

    /// The value is the number of bytes that wait to be sent (`SIOCOUTQ`, Linux 6.5).
    #[inline]
    pub fn bytes_unsent(target: impl Target) -> UringCmd {
        UringCmd(UringCmd::to_socket(target, socket_op::SIOCOUTQ))
    }

    /// Reads a socket option of `SOL_SOCKET`; the value is its length (Linux 6.7).
    #[inline]
    pub fn get_option(
        target: impl Target,
        level: u32,
        name: u32,
        value: *mut u8,
        len: u32,
    ) -> UringCmd {
        UringCmd(UringCmd::option(target, socket_op::GETSOCKOPT, (level, name), (value, len)))
    }

    /// Sets a socket option (Linux 6.7).
    #[inline]
    pub fn set_option(
        target: impl Target,
        level: u32,
        name: u32,
        value: *const u8,
        len: u32,
    ) -> UringCmd {
        UringCmd(UringCmd::option(target, socket_op::SETSOCKOPT, (level, name), (value, len)))
    }

    fn option(
        target: impl Target,
        command: u32,
        (level, name): (u32, u32),
        (value, len): (*const u8, u32),
    ) -> abi::Sqe {
        let mut entry = UringCmd::to_socket(target, command);
        // Level and name are two words, one after the other, in the place of the address.
        let [a, b, c, d] = level.to_ne_bytes();
        let [e, f, g, h] = name.to_ne_bytes();
        entry.addr = u64::from_ne_bytes([a, b, c, d, e, f, g, h]);
        entry.file_index = len;
        entry.addr3 = address(value);
        entry
    }
}

/// Gives a command to the driver of a file, with 80 bytes of its own, in an entry of 128 bytes: so
/// do NVMe disks take them (Linux 5.19).
///
/// # Errors
#[doc = command_errors!()]
#[derive(Clone, Copy, Debug)]
#[must_use = "a builder does nothing until its entry is pushed"]
pub struct UringCmd80(UringCmd, [u64; 8]);

impl UringCmd80 {
    /// The operation's number: `IORING_OP_URING_CMD`.
    pub const CODE: u8 = UringCmd::CODE;

    /// This command, with what it reads.
    #[inline]
    pub fn new(target: impl Target, command: u32, payload: [u64; 10]) -> UringCmd80 {
        let [a, b, rest @ ..] = payload;
        UringCmd80(UringCmd::new(target, command, [a, b]), rest)
    }

    /// With a [registered buffer](crate::Register::buffers) (Linux 6.1).
    #[inline]
    pub fn fixed(mut self, index: u16) -> UringCmd80 {
        self.0 = self.0.fixed(index);
        self
    }

    /// The entry.
    #[inline]
    pub fn build(self) -> Sqe128 {
        Sqe128::new(self.0.build(), self.1)
    }
}

impl From<UringCmd80> for Sqe128 {
    fn from(builder: UringCmd80) -> Sqe128 {
        builder.build()
    }
}

/// As [`UringCmd80`], on rings that mix entries of both sizes (Linux 6.19).
///
/// # Errors
#[doc = command_errors!()]
#[derive(Clone, Copy, Debug)]
#[must_use = "a builder does nothing until its entry is pushed"]
pub struct UringCmd128(UringCmd80);

impl UringCmd128 {
    /// The operation's number: `IORING_OP_URING_CMD128`.
    pub const CODE: u8 = abi::op::URING_CMD128;

    /// This command, with what it reads.
    #[inline]
    pub fn new(target: impl Target, command: u32, payload: [u64; 10]) -> UringCmd128 {
        UringCmd128(UringCmd80::new(target, command, payload))
    }

    /// With a [registered buffer](crate::Register::buffers).
    #[inline]
    pub fn fixed(self, index: u16) -> UringCmd128 {
        UringCmd128(self.0.fixed(index))
    }

    /// The entry.
    #[inline]
    pub fn build(self) -> Sqe128 {
        let UringCmd80(first, second) = self.0;
        let entry = abi::Sqe { opcode: UringCmd128::CODE, ..first.0 };
        Sqe128::new(Sqe::from_raw(entry), second)
    }
}

impl From<UringCmd128> for Sqe128 {
    fn from(builder: UringCmd128) -> Sqe128 {
        builder.build()
    }
}
