//! Sockets themselves: made, connected, accepted, shut down.
//!
//! `accept` and `connect` know no `MSG_DONTWAIT`: the socket is made non-blocking for the length of
//! the call where it is not, and an alarm ends one that sleeps all the same (`moment`).

use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::Relaxed;

use sysring_sys::abi::io_uring::{FILE_INDEX_ALLOC, accept, cqe_flags};
use sysring_sys::call;
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, User};

use super::moment::{is_nonblocking, without_blocking};
use super::{must_be_zero, open};
use crate::filter::Teller;
use crate::issue::Issued;
use crate::locked::Locked;
use crate::request::{Req, flag};
use crate::user;

const READABLE: u32 = g::EPOLLIN | g::EPOLLRDNORM;
const WRITABLE: u32 = g::EPOLLOUT | g::EPOLLWRNORM;

const SOCK_CLOEXEC: u32 = g::O_CLOEXEC;
const SOCK_NONBLOCK: u32 = g::O_NONBLOCK;
const SOCK_TYPE_MASK: u32 = 0xf;

pub const STREAM: u32 = 1;
pub const SEQPACKET: u32 = 5;

/// A socket's type; 0 for what is none.
#[must_use]
pub fn kind(fd: Fd) -> u32 {
    const SO_TYPE: i32 = 3;
    option(fd, SO_TYPE).unwrap_or(0)
}

/// Whether a socket is of one of the families of IP.
#[must_use]
pub fn is_inet(fd: Fd) -> bool {
    const SO_DOMAIN: i32 = 39;
    const INET: [u32; 2] = [2, 10];
    option(fd, SO_DOMAIN).is_ok_and(|domain| INET.contains(&domain))
}

/// An option of sockets in general that is a number.
///
/// # Errors
/// As `getsockopt(2)`.
pub fn option(fd: Fd, name: i32) -> Result<u32> {
    const SOL_SOCKET: i32 = 1;
    let mut value = 0u32;
    let mut len = 4u32;
    let (at, size) = (User::of(&raw mut value).cast(), User::of(&raw mut len));
    // SAFETY: a word of ours, and its length.
    unsafe { call::getsockopt(fd, SOL_SOCKET, name, at, size) }?;
    Ok(value)
}

/// The longest socket address (`sizeof(struct sockaddr_storage)`).
pub const ADDRESS_MAX: usize = 128;

/// Copies a socket address, checked as `move_addr_to_kernel` does.
pub fn copy_address(mut req: Req, from: User<u8>, len: usize) -> Result<()> {
    if len > ADDRESS_MAX {
        return Err(Errno::EINVAL);
    }
    let start = req.copied.reserve(ADDRESS_MAX)?;
    // SAFETY: the block has room for the longest address and is nobody else's.
    let copy = unsafe { core::slice::from_raw_parts_mut(start.as_ptr(), len) };
    user::read_slice(copy, from)
}

pub fn prepare_accept(_: &mut Locked<'_>, mut req: Req) -> Result<()> {
    must_be_zero!(req, len, buf_index);
    let known = accept::MULTISHOT | accept::DONTWAIT | accept::POLL_FIRST;
    let (how, flags, slot) = (req.sqe.ioprio, req.sqe.op_flags, req.sqe.file_index);
    if how & !known != 0 || flags & !(SOCK_CLOEXEC | SOCK_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    if slot != 0 && flags & SOCK_CLOEXEC != 0 {
        return Err(Errno::EINVAL);
    }
    if how & accept::MULTISHOT != 0 {
        if slot != 0 && slot != FILE_INDEX_ALLOC || req.has(flag::CQE_SKIP) {
            return Err(Errno::EINVAL);
        }
        req.set(flag::MULTISHOT);
    }
    if how & accept::DONTWAIT != 0 {
        req.set(flag::NOWAIT);
    }
    Ok(())
}

/// A connection that was heard of was gone: others accept from the same listeners, threads or processes.
static RACED: AtomicBool = AtomicBool::new(false);

pub fn issue_accept(ring: &mut Locked<'_>, mut req: Req) -> Issued {
    if req.sqe.ioprio & accept::POLL_FIRST != 0 && !req.has(flag::POLLED) {
        if super::not_open(req) {
            return Issued::Done(Errno::EBADF.to_res());
        }
        return Issued::Wait(READABLE);
    }
    // Relaxed, as where it is set: a hint.
    let mut heard = req.has(flag::POLLED) && !req.has(flag::NOWAIT);
    if heard && RACED.load(Relaxed) && is_idle(req.file.fd) {
        // Too late: the listener is left as it is.
        return Issued::Wait(READABLE);
    }
    loop {
        let (address, len) = (User::new(req.sqe.addr), User::new(req.sqe.off));
        let flags = req.sqe.op_flags;
        let answer = without_blocking(req.file.fd, || {
            // SAFETY: both addresses are the application's, which asked for it.
            unsafe { call::accept4(req.file.fd, address, len, flags) }
        });
        let answer = answer.map_err(|e| if e == Errno::EINTR { Errno::EAGAIN } else { e });
        if answer == Err(Errno::EAGAIN) && !req.has(flag::NOWAIT) {
            if heard {
                RACED.store(true, Relaxed);
            }
            return Issued::Wait(READABLE);
        }
        heard = false;
        let accepted = answer.is_ok();
        let Issued::Done(res) = open::install(ring, req, answer) else { unreachable!() };
        let cflags = if accepted && more_wait(req.file.fd) { cqe_flags::SOCK_NONEMPTY } else { 0 };
        let goes_on = req.has(flag::MULTISHOT) && accepted && res >= 0;
        if goes_on && ring.post_more(req.sqe.user_data, res, cflags) {
            continue;
        }
        if res < 0 {
            return Issued::Done(res);
        }
        (req.res, req.cflags) = (res, cflags);
        return Issued::Set;
    }
}

/// Whether nothing waits there.
fn is_idle(fd: Fd) -> bool {
    call::poll_now(fd, READABLE as u16) == Ok(0)
}

/// Whether more connections wait at a listener. Of those of other families than IP the kernel does
/// not tell.
fn more_wait(fd: Fd) -> bool {
    call::poll_now(fd, READABLE as u16).is_ok_and(|events| events != 0) && is_inet(fd)
}

pub fn prepare_connect(_: &mut Locked<'_>, mut req: Req) -> Result<()> {
    must_be_zero!(req, len, buf_index, op_flags, file_index);
    let len = req.sqe.off as i32;
    if len < 0 || len as usize > ADDRESS_MAX {
        return Err(Errno::EINVAL);
    }
    req.scratch[0] = progress::NONE;
    copy_address(req, User::new(req.sqe.addr), len as usize)
}

/// Filters see the family, and of the internet's families port and address, as they travel.
pub static CONNECT_TELLER: Teller = Teller {
    size: 24,
    tell: |req, told| {
        const INET: u16 = 2;
        const INET6: u16 = 10;
        let mut address = [0u8; 24];
        let len = (req.sqe.off as u32 as usize).min(address.len());
        if let Some(start) = req.copied.start() {
            // SAFETY: the copy has room for the longest address, and this many bytes were read.
            unsafe { start.as_ptr().copy_to_nonoverlapping(address.as_mut_ptr(), len) };
        }
        if len < 2 {
            return;
        }
        let word = |at: usize| u32::from_ne_bytes([0, 1, 2, 3].map(|i| address[at + i]));
        let family = u16::from_ne_bytes([address[0], address[1]]);
        told[0] = family.into();
        let port = u32::from_ne_bytes([address[2], address[3], 0, 0]);
        match family {
            INET if len >= 8 => (told[1], told[2]) = (port, word(4)),
            INET6 if len >= 24 => {
                told[1] = port;
                for (i, part) in told[2..].iter_mut().enumerate() {
                    *part = word(8 + 4 * i);
                }
            }
            _ => {}
        }
    },
};

/// `scratch` of a CONNECT: how far it has come.
mod progress {
    pub const NONE: u64 = 0;
    /// The socket had failed before, which it has now told.
    pub const AFRESH: u64 = 1;
    pub const BEGUN: u64 = 2;
}

pub fn issue_connect(_: &mut Locked<'_>, mut req: Req) -> Issued {
    let to = req.copied.start().map_or(User::NULL, |start| User::of(start.as_ptr()));
    let len = req.sqe.off as i32 as usize;
    let begun = req.scratch[0] == progress::BEGUN;
    if begun && call::poll_now(req.file.fd, g::EPOLLERR as u16).is_ok_and(|events| events != 0) {
        // Asked for, not by another attempt: that would make a fresh socket of it.
        return Issued::of(socket_error(req.file.fd));
    }
    let by_worker =
        req.has(flag::LEFT_OPEN) || req.has(flag::ASYNC) && req.scratch[0] == progress::AFRESH;
    if by_worker && is_nonblocking(req.file.fd) {
        // In the kernel a worker makes the call as it is, and this one does not wait.
        return Issued::of(call::connect(req.file.fd, to, len));
    }
    let answer = without_blocking(req.file.fd, || call::connect(req.file.fd, to, len));
    match answer.map_err(|e| uninterrupted(req.file.fd, e)) {
        Err(Errno::EINPROGRESS | Errno::EALREADY) if !req.has(flag::NOWAIT) => {
            req.scratch[0] = progress::BEGUN;
            Issued::Wait(WRITABLE)
        }
        Err(Errno::ECONNABORTED) if req.scratch[0] == progress::NONE => {
            req.scratch[0] = progress::AFRESH;
            Issued::Wait(WRITABLE)
        }
        Err(Errno::EAGAIN) if !req.has(flag::UNPOLLABLE) => Issued::Wait(WRITABLE),
        Err(Errno::EISCONN | Errno::EBADFD) if begun => Issued::of(socket_error(req.file.fd)),
        answer => Issued::of(answer),
    }
}

/// What the attempt at a connection comes to that an alarm has interrupted: it goes on by itself, or it stood
/// behind others and is to be made again.
pub fn uninterrupted(fd: Fd, e: Errno) -> Errno {
    match e {
        Errno::EINTR if is_inet(fd) => Errno::EINPROGRESS,
        Errno::EINTR => Errno::EAGAIN,
        e => e,
    }
}

/// Takes the socket's pending error.
pub fn socket_error(fd: Fd) -> Result<()> {
    const SO_ERROR: i32 = 4;
    Errno::from_raw(option(fd, SO_ERROR)? as i32).map_or(Ok(()), Err)
}

pub fn prepare_socket(_: &mut Locked<'_>, req: Req) -> Result<()> {
    must_be_zero!(req, addr, op_flags, buf_index);
    let flags = req.sqe.off as u32 & !SOCK_TYPE_MASK;
    if flags & !(SOCK_CLOEXEC | SOCK_NONBLOCK) != 0
        || req.sqe.file_index != 0 && flags & SOCK_CLOEXEC != 0
    {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

/// Filters see family, kind and protocol.
pub static SOCKET_TELLER: Teller = Teller {
    size: 12,
    tell: |req, told| {
        told[..3].copy_from_slice(&[req.sqe.fd as u32, req.sqe.off as u32, req.sqe.len]);
    },
};

pub fn issue_socket(ring: &mut Locked<'_>, req: Req) -> Issued {
    let answer = call::socket(req.sqe.fd, req.sqe.off as u32, req.sqe.len as i32);
    if answer.is_err() {
        // A socket that finds no slot breaks no link: the kernel does not look there.
        ring.fail(req);
    }
    open::install(ring, req, answer)
}

pub fn prepare_shutdown(_: &mut Locked<'_>, req: Req) -> Result<()> {
    must_be_zero!(req, off, addr, op_flags, buf_index, file_index);
    Ok(())
}

pub fn issue_shutdown(ring: &mut Locked<'_>, req: Req) -> Issued {
    let answer = call::shutdown(req.file.fd, req.sqe.len);
    if matches!(answer, Err(Errno::ENOTSOCK | Errno::EBADF)) {
        // Nothing that could be shut down: this the kernel does look at.
        ring.fail(req);
    }
    Issued::of(answer)
}

pub fn prepare_bind(_: &mut Locked<'_>, req: Req) -> Result<()> {
    must_be_zero!(req, len, buf_index, op_flags, file_index);
    let len = req.sqe.off as i32;
    if len < 0 {
        return Err(Errno::EINVAL);
    }
    copy_address(req, User::new(req.sqe.addr), len as usize)
}

pub fn issue_bind(_: &mut Locked<'_>, req: Req) -> Issued {
    let at = req.copied.start().map_or(User::NULL, |start| User::of(start.as_ptr()));
    Issued::of(call::bind(req.file.fd, at, req.sqe.off as i32 as usize))
}

pub fn prepare_listen(_: &mut Locked<'_>, req: Req) -> Result<()> {
    must_be_zero!(req, off, addr, buf_index, op_flags, file_index);
    Ok(())
}

pub fn issue_listen(_: &mut Locked<'_>, req: Req) -> Issued {
    Issued::of(call::listen(req.file.fd, req.sqe.len as i32))
}

/// Whether a stream has more to tell than the `n` bytes just read; at its end TCP always has.
#[must_use]
pub fn more_waits(fd: Fd, n: usize) -> bool {
    let bytes = waiting(fd);
    kind(fd) == STREAM && (bytes > 0 || n == 0 && peer_has_ended(fd))
}

/// Bytes that a socket holds; 0 where it cannot be asked.
#[must_use]
pub fn waiting(fd: Fd) -> usize {
    at_hand(fd).unwrap_or(0)
}

/// Bytes that may be read of a file; none where it cannot be asked.
#[must_use]
pub fn at_hand(fd: Fd) -> Option<usize> {
    amount(fd, INQ).ok().map(|bytes| bytes.max(0) as usize)
}

/// `FIONREAD`, of sockets `SIOCINQ`: bytes that may be read.
pub const INQ: u32 = 0x541b;
/// `TIOCOUTQ`, of sockets `SIOCOUTQ`: bytes that are not sent yet.
pub const OUTQ: u32 = 0x5411;

/// A number of bytes that a file is asked for.
///
/// # Errors
/// As `ioctl(2)`.
pub fn amount(fd: Fd, which: u32) -> Result<i32> {
    let mut bytes = 0i32;
    // SAFETY: the call writes an `int`, which is ours.
    unsafe { call::ioctl(fd, which, User::of(&raw mut bytes).cast()) }.map(|_| bytes)
}

/// Whether this is TCP, and a FIN has come.
fn peer_has_ended(fd: Fd) -> bool {
    const SOL_TCP: i32 = 6;
    const TCP_INFO: i32 = 11;
    /// TIME_WAIT, CLOSE, CLOSE_WAIT, LAST_ACK, CLOSING.
    const AFTER_FIN: [u8; 5] = [6, 7, 8, 9, 11];
    // Of what it tells, the first byte is the state.
    let mut state = 0u8;
    let mut len = 1u32;
    let (value, size) = (User::of(&raw mut state), User::of(&raw mut len));
    // SAFETY: a byte of ours, and that it is one.
    let answer = unsafe { call::getsockopt(fd, SOL_TCP, TCP_INFO, value, size) };
    answer.is_ok() && AFTER_FIN.contains(&state)
}
