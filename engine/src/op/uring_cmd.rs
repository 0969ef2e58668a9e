//! Commands to files: what sockets, block devices and the null device answer. All of it can be had
//! by system calls; what other drivers take by no other way cannot.

use sysring_sys::abi::io_uring::{setup, socket_op, uring_cmd};
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, User, call};

use super::{must_be_zero, socket, timestamp};
use crate::issue::Issued;
use crate::locked::Locked;
use crate::request::{Req, flag};

/// `BLOCK_URING_CMD_DISCARD`, and the `ioctl(2)` that does the same.
const DISCARD: u32 = 0x1200;
const BLKDISCARD: u32 = 0x1277;

pub fn prepare(_: &mut Locked<'_>, req: Req) -> Result<()> {
    let known = uring_cmd::FIXED | uring_cmd::MULTISHOT;
    let flags = req.sqe.op_flags;
    // Several answers in buffers of a group: no file here gives them.
    if req.sqe.off >> 32 != 0
        || flags & !known != 0
        || flags & uring_cmd::MULTISHOT != 0
        || req.has(flag::BUFFER_SELECT)
    {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

pub fn issue(ring: &mut Locked<'_>, req: Req) -> Issued {
    let fd = req.file.fd;
    let kind = match open_type(req) {
        Ok(kind) if !ring.ring.shape().has(setup::IOPOLL) => kind,
        Ok(_) => return Issued::Done(Errno::EOPNOTSUPP.to_res()),
        Err(e) => return Issued::Done(e.to_res()),
    };
    match kind {
        g::S_IFSOCK => to_socket(ring, req),
        g::S_IFBLK => to_disk(req),
        g::S_IFCHR if is_null(fd) => Issued::Done(0),
        _ => Issued::Done(Errno::EOPNOTSUPP.to_res()),
    }
}

/// The kind of a file that is open for commands. One that is only named by its descriptor is not: as a
/// registered one it is found, and knows none.
fn open_type(req: Req) -> Result<u32> {
    let kind = call::file_type(req.file.fd)?;
    match call::file_flags(req.file.fd)? & g::O_PATH {
        0 => Ok(kind),
        _ if req.has(flag::FIXED_FILE) => Err(Errno::EOPNOTSUPP),
        _ => Err(Errno::EBADF),
    }
}

/// Whether it is the null device, which takes every command and does nothing.
fn is_null(fd: Fd) -> bool {
    call::device(fd) == Ok((1, 3))
}

fn to_disk(req: Req) -> Issued {
    let sqe = &req.sqe;
    let read_otherwise = sqe.len != 0 || sqe.op_flags != 0 || sqe.file_index != 0;
    if read_otherwise || sqe.off as u32 != DISCARD {
        return Issued::Done(Errno::EINVAL.to_res());
    }
    Issued::Work
}

/// On a worker: a discard.
pub fn work(req: Req) -> i32 {
    let mut range = [req.sqe.addr, req.sqe.addr3];
    // SAFETY: the call reads the range, and writes nothing.
    match unsafe { call::ioctl(req.file.fd, BLKDISCARD, User::of(&raw mut range).cast()) } {
        Ok(_) => 0,
        Err(e) => e.to_res(),
    }
}

fn to_socket(ring: &mut Locked<'_>, req: Req) -> Issued {
    let fd = req.file.fd;
    let (level, name) = (req.sqe.addr as i32, (req.sqe.addr >> 32) as i32);
    let (value, len) = (User::<u8>::new(req.sqe.addr3), req.sqe.file_index);
    match req.sqe.off as u32 {
        socket_op::SIOCINQ => Issued::Done(ask(fd, socket::INQ)),
        socket_op::SIOCOUTQ => Issued::Done(ask(fd, socket::OUTQ)),
        socket_op::GETSOCKOPT => Issued::Done(option(fd, level, name, value, len)),
        socket_op::SETSOCKOPT => {
            Issued::of(call::setsockopt(fd, level, name, value, len as i32 as usize))
        }
        socket_op::TX_TIMESTAMP => timestamp::issue(ring, req),
        socket_op::GETSOCKNAME => Issued::of(socket_name(req)),
        _ => Issued::Done(Errno::EOPNOTSUPP.to_res()),
    }
}

/// A number of bytes; protocols of IP know it.
fn ask(fd: Fd, which: u32) -> i32 {
    match socket::amount(fd, which) {
        Ok(_) | Err(Errno::EINVAL) if !socket::is_inet(fd) => Errno::EOPNOTSUPP.to_res(),
        Ok(bytes) => bytes,
        Err(Errno::ENOTTY) => Errno::EOPNOTSUPP.to_res(),
        Err(e) => e.to_res(),
    }
}

/// An option of sockets in general; its length is the result.
fn option(fd: Fd, level: i32, name: i32, value: User<u8>, len: u32) -> i32 {
    const SOL_SOCKET: i32 = 1;
    if level != SOL_SOCKET {
        return Errno::EOPNOTSUPP.to_res();
    }
    let mut len = len;
    // SAFETY: the length is ours, and the value the application's, which asked for it.
    match unsafe { call::getsockopt(fd, level, name, value, User::of(&raw mut len)) } {
        Ok(()) => len as i32,
        Err(e) => e.to_res(),
    }
}

/// The socket's own address, or its peer's.
fn socket_name(req: Req) -> Result<()> {
    must_be_zero!(req, len, op_flags);
    let (address, len) = (User::new(req.sqe.addr), User::new(req.sqe.addr3));
    match req.sqe.file_index {
        // SAFETY: both addresses are the application's, which asked for it.
        0 => unsafe { call::getsockname(req.file.fd, address, len) },
        // SAFETY: so they are here.
        1 => unsafe { call::getpeername(req.file.fd, address, len) },
        _ => Err(Errno::EINVAL),
    }
}
