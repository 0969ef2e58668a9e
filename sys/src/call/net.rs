//! Sockets.

use super::io::Buffer;
use super::sys;
use crate::abi::Msghdr;
use crate::{Fd, Result, User};

/// `MSG_DONTWAIT`: `EAGAIN` rather than wait.
pub const MSG_DONTWAIT: u32 = 0x40;
/// `MSG_WAITALL`: the full length or end of stream.
pub const MSG_WAITALL: u32 = 0x100;
/// `MSG_EOR`: a record ends here.
pub const MSG_EOR: u32 = 0x80;
/// `MSG_NOSIGNAL`: `EPIPE` without SIGPIPE.
pub const MSG_NOSIGNAL: u32 = 0x4000;

/// `socket(2)`.
pub fn socket(domain: i32, kind: u32, protocol: i32) -> Result<Fd> {
    // SAFETY: numbers.
    unsafe { sys!(__NR_socket, domain as usize, kind as usize, protocol as usize) }
        .map(|n| Fd::new(n as i32))
}

/// `accept4(2)`.
///
/// # Safety
/// What is written to is memory of the caller's alone, or the application's, which asked for it.
pub unsafe fn accept4(fd: Fd, address: User<u8>, len: User<u32>, flags: u32) -> Result<Fd> {
    // SAFETY: the kernel checks both addresses; the caller vouches for what is written to.
    unsafe { sys!(__NR_accept4, fd.arg(), address.arg(), len.arg(), flags as usize) }
        .map(|n| Fd::new(n as i32))
}

/// `connect(2)`.
pub fn connect(fd: Fd, address: User<u8>, len: usize) -> Result<()> {
    // SAFETY: the kernel checks the address.
    unsafe { sys!(__NR_connect, fd.arg(), address.arg(), len) }.map(drop)
}

/// `bind(2)`.
pub fn bind(fd: Fd, address: User<u8>, len: usize) -> Result<()> {
    // SAFETY: the kernel checks the address.
    unsafe { sys!(__NR_bind, fd.arg(), address.arg(), len) }.map(drop)
}

/// `listen(2)`.
pub fn listen(fd: Fd, backlog: i32) -> Result<()> {
    // SAFETY: numbers.
    unsafe { sys!(__NR_listen, fd.arg(), backlog as usize) }.map(drop)
}

/// `shutdown(2)`.
pub fn shutdown(fd: Fd, how: u32) -> Result<()> {
    // SAFETY: numbers.
    unsafe { sys!(__NR_shutdown, fd.arg(), how as usize) }.map(drop)
}

/// `sendto(2)`.
pub fn sendto(fd: Fd, buf: Buffer, flags: u32, to: User<u8>, to_len: usize) -> Result<usize> {
    // SAFETY: the kernel checks both addresses.
    unsafe {
        sys!(__NR_sendto, fd.arg(), buf.address.arg(), buf.len, flags as usize, to.arg(), to_len)
    }
}

/// `recvfrom(2)` without an address.
///
/// # Safety
/// What is written to is memory of the caller's alone, or the application's, which asked for it.
pub unsafe fn recv(fd: Fd, buf: Buffer, flags: u32) -> Result<usize> {
    // SAFETY: the kernel checks the address; the caller vouches for what is written to.
    unsafe { sys!(__NR_recvfrom, fd.arg(), buf.address.arg(), buf.len, flags as usize, 0, 0) }
}

/// `sendmsg(2)`.
pub fn sendmsg(fd: Fd, msg: User<Msghdr>, flags: u32) -> Result<usize> {
    // SAFETY: the kernel checks the addresses.
    unsafe { sys!(__NR_sendmsg, fd.arg(), msg.arg(), flags as usize) }
}

/// `recvmsg(2)`.
///
/// # Safety
/// What is written to is memory of the caller's alone, or the application's, which asked for it.
pub unsafe fn recvmsg(fd: Fd, msg: User<Msghdr>, flags: u32) -> Result<usize> {
    // SAFETY: the kernel checks the addresses; the caller vouches for what is written to.
    unsafe { sys!(__NR_recvmsg, fd.arg(), msg.arg(), flags as usize) }
}

/// `getsockopt(2)`.
///
/// # Safety
/// What is written to is memory of the caller's alone, or the application's, which asked for it.
pub unsafe fn getsockopt(
    fd: Fd,
    level: i32,
    name: i32,
    value: User<u8>,
    len: User<u32>,
) -> Result<()> {
    // SAFETY: the kernel checks the addresses; the caller vouches for what is written to.
    unsafe {
        sys!(__NR_getsockopt, fd.arg(), level as usize, name as usize, value.arg(), len.arg())
    }
    .map(drop)
}

/// `setsockopt(2)`.
pub fn setsockopt(fd: Fd, level: i32, name: i32, value: User<u8>, len: usize) -> Result<()> {
    // SAFETY: the kernel checks the address.
    unsafe { sys!(__NR_setsockopt, fd.arg(), level as usize, name as usize, value.arg(), len) }
        .map(drop)
}

/// `getsockname(2)`.
///
/// # Safety
/// What is written to is memory of the caller's alone, or the application's, which asked for it.
pub unsafe fn getsockname(fd: Fd, address: User<u8>, len: User<u32>) -> Result<()> {
    // SAFETY: the kernel checks the addresses; the caller vouches for what is written to.
    unsafe { sys!(__NR_getsockname, fd.arg(), address.arg(), len.arg()) }.map(drop)
}

/// `getpeername(2)`.
///
/// # Safety
/// What is written to is memory of the caller's alone, or the application's, which asked for it.
pub unsafe fn getpeername(fd: Fd, address: User<u8>, len: User<u32>) -> Result<()> {
    // SAFETY: the kernel checks the addresses; the caller vouches for what is written to.
    unsafe { sys!(__NR_getpeername, fd.arg(), address.arg(), len.arg()) }.map(drop)
}

/// `socketpair(2)`.
///
/// # Safety
/// What is written to is memory of the caller's alone, or the application's, which asked for it.
pub unsafe fn socketpair(domain: i32, kind: u32, protocol: i32, fds: User<[i32; 2]>) -> Result<()> {
    // SAFETY: the kernel checks the address; the caller vouches for what is written to.
    unsafe { sys!(__NR_socketpair, domain as usize, kind as usize, protocol as usize, fds.arg()) }
        .map(drop)
}
