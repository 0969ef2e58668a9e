//! Sockets.
//!
//! Data moves with `MSG_DONTWAIT`; what would block parks. `accept` and `connect` know no such
//! flag: the socket is made non-blocking for the length of the call where it is not.

use sysring_sys::abi::io_uring::{FILE_INDEX_ALLOC, accept, cqe_flags, op, recvsend};
use sysring_sys::abi::{Iovec, Msghdr};
use sysring_sys::call::{self, Buffer, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_WAITALL};
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, User};

use super::{MAX_RW_COUNT, check_range, must_be_zero, open};
use crate::issue::Issued;
use crate::request::{Req, flag};
use crate::ring::Locked;
use crate::user;

const READABLE: u32 = g::EPOLLIN | g::EPOLLRDNORM;
const WRITABLE: u32 = g::EPOLLOUT | g::EPOLLWRNORM;

const SOCK_CLOEXEC: u32 = g::O_CLOEXEC;
const SOCK_NONBLOCK: u32 = g::O_NONBLOCK;
const SOCK_TYPE_MASK: u32 = 0xf;

/// The longest socket address (`sizeof(struct sockaddr_storage)`).
const ADDRESS_MAX: usize = 128;
const MAX_SEGMENTS: usize = 1024;

/// What is copied of a message: the header, then its vector, then a destination.
#[repr(C)]
struct Message {
    header: Msghdr,
    /// The application's header, for what `recvmsg` writes back.
    from: u64,
}

pub fn prepare_send(_: &mut Locked<'_>, req: Req) -> Result<()> {
    // A message is a vector anyway.
    let vectorized = if req.sqe.opcode == op::SENDMSG { recvsend::SEND_VECTORIZED } else { 0 };
    prepare_flags(req, recvsend::POLL_FIRST | vectorized)?;
    if req.sqe.opcode == op::SENDMSG {
        must_be_zero!(req, off, file_index);
        return copy_message(req);
    }
    let (to, to_len) = (User::<u8>::new(req.sqe.off), req.sqe.file_index as u16 as usize);
    if req.sqe.file_index >> 16 != 0 {
        return Err(Errno::EINVAL);
    }
    check_range(User::new(req.sqe.addr), (req.sqe.len as usize).min(MAX_RW_COUNT))?;
    if !to.is_null() && to_len != 0 {
        copy_address(req, to, to_len)?;
    }
    Ok(())
}

pub fn prepare_recv(_: &mut Locked<'_>, req: Req) -> Result<()> {
    prepare_flags(req, recvsend::POLL_FIRST)?;
    must_be_zero!(req, off, file_index);
    if req.sqe.opcode == op::RECVMSG {
        return copy_message(req);
    }
    check_range(User::new(req.sqe.addr), (req.sqe.len as usize).min(MAX_RW_COUNT))
}

fn prepare_flags(mut req: Req, known: u16) -> Result<()> {
    if (req.sqe.len as i32) < 0 || req.sqe.ioprio & !known != 0 {
        return Err(Errno::EINVAL);
    }
    if req.sqe.op_flags & MSG_DONTWAIT != 0 {
        req.set(flag::NOWAIT);
    }
    Ok(())
}

/// Copies a socket address, checked as `move_addr_to_kernel` does.
fn copy_address(mut req: Req, from: User<u8>, len: usize) -> Result<()> {
    if len > ADDRESS_MAX {
        return Err(Errno::EINVAL);
    }
    let start = req.copied.reserve(ADDRESS_MAX)?;
    // SAFETY: the block has room for the longest address and is nobody else's.
    let copy = unsafe { core::slice::from_raw_parts_mut(start.as_ptr(), len) };
    user::read_slice(copy, from)
}

/// Copies a message header, its vector, and (to send) its destination: none is the
/// application's to keep still after `submit`.
fn copy_message(mut req: Req) -> Result<()> {
    let from = User::<Msghdr>::new(req.sqe.addr);
    let mut header = user::read(from)?;
    let count = header.msg_iovlen;
    if count > MAX_SEGMENTS {
        return Err(Errno::EMSGSIZE);
    }
    let sends = req.sqe.opcode == op::SENDMSG;
    let name_len = header.msg_namelen as usize;
    if header.msg_namelen < 0 {
        return Err(Errno::EINVAL);
    }
    let copies_name = sends && !header.msg_name.is_null() && name_len != 0;
    let vector_len = count * size_of::<Iovec>();
    let room = size_of::<Message>() + vector_len + if copies_name { ADDRESS_MAX } else { 0 };
    let start = req.copied.reserve(room)?.as_ptr();
    // SAFETY: both parts lie in the block just reserved; any bytes are iovecs.
    let vector = unsafe {
        let at = start.add(size_of::<Message>()).cast::<Iovec>();
        core::slice::from_raw_parts_mut(at, count)
    };
    user::read_slice(vector, User::of(header.msg_iov))?;
    let mut total = 0usize;
    for entry in &*vector {
        if (entry.iov_len as isize) < 0 {
            return Err(Errno::EINVAL);
        }
        check_range(User::new(entry.iov_base as usize as u64), entry.iov_len as usize)?;
        total = total.saturating_add(entry.iov_len as usize);
    }
    if copies_name {
        let name_len = name_len.min(ADDRESS_MAX);
        // SAFETY: as above, behind the vector.
        let name = unsafe {
            let at = start.add(size_of::<Message>() + vector_len);
            core::slice::from_raw_parts_mut(at, name_len)
        };
        user::read_slice(name, User::of(header.msg_name))?;
        header.msg_name = name.as_mut_ptr();
        header.msg_namelen = name_len as i32;
    }
    header.msg_iov = vector.as_mut_ptr();
    // SAFETY: the block begins with room for a `Message`.
    unsafe { start.cast::<Message>().write(Message { header, from: from.address() }) };
    req.scratch[0] = total as u64;
    Ok(())
}

fn message(req: Req) -> *mut Message {
    // Prepared by `copy_message`, without which the request would have been refused.
    req.copied.start().map_or(core::ptr::null_mut(), |start| start.as_ptr().cast())
}

/// Bytes asked for in all.
fn wanted(req: Req) -> usize {
    match req.sqe.opcode {
        op::SENDMSG | op::RECVMSG => req.scratch[0] as usize,
        _ => (req.sqe.len as usize).min(MAX_RW_COUNT),
    }
}

/// One transfer of what is left.
fn transfer(req: Req, extra: u32) -> Result<usize> {
    // io_uring tells 32-bit callers by itself, and takes no notice of the flag for them.
    let (fd, flags) = (req.file.fd, req.sqe.op_flags & !MSG_CMSG_COMPAT | extra);
    let done = req.done as usize;
    let left = Buffer {
        address: User::new(req.sqe.addr.wrapping_add(done as u64)),
        len: wanted(req) - done,
    };
    match req.sqe.opcode {
        op::SEND => {
            let to = req.copied.start().map_or(User::NULL, |start| User::of(start.as_ptr()));
            let to_len = if to.is_null() { 0 } else { req.sqe.file_index as u16 as usize };
            call::sendto(fd, left, flags | MSG_NOSIGNAL, to, to_len)
        }
        op::RECV => call::recv(fd, left, flags),
        op::SENDMSG => call::sendmsg(fd, User::of(message(req)).cast(), flags | MSG_NOSIGNAL),
        _ => call::recvmsg(fd, User::of(message(req)).cast(), flags),
    }
}

/// Shortens a message's vector by `n` bytes that are done.
fn advance(mut req: Req, n: usize) {
    req.done += n as u32;
    if matches!(req.sqe.opcode, op::SENDMSG | op::RECVMSG) {
        // SAFETY: `copy_message` made header and vector, and `msg_iovlen` counts the latter.
        unsafe {
            let header = &mut (*message(req)).header;
            let mut n = n;
            while n > 0 && header.msg_iovlen > 0 {
                let entry = &mut *header.msg_iov;
                let len = entry.iov_len as usize;
                if len > n {
                    entry.iov_base = entry.iov_base.wrapping_byte_add(n);
                    entry.iov_len = (len - n) as _;
                    break;
                }
                n -= len;
                header.msg_iov = header.msg_iov.add(1);
                header.msg_iovlen -= 1;
            }
        }
    }
}

fn sends(req: Req) -> bool {
    matches!(req.sqe.opcode, op::SEND | op::SENDMSG)
}

fn readiness(req: Req) -> u32 {
    if sends(req) {
        WRITABLE
    } else if req.sqe.op_flags & MSG_ERRQUEUE != 0 {
        // The error queue announces itself as an error, not as data.
        g::EPOLLERR
    } else {
        READABLE
    }
}

const MSG_CMSG_COMPAT: u32 = 0x8000_0000;
const MSG_ERRQUEUE: u32 = 0x2000;
const MSG_PEEK: u32 = 0x2;
const MSG_TRUNC: u32 = 0x20;
const MSG_CTRUNC: u32 = 0x8;

pub fn issue(ring: &mut Locked<'_>, mut req: Req) -> Issued {
    if req.sqe.ioprio & recvsend::POLL_FIRST != 0 && !req.has(flag::POLLED) {
        if kind(req.file.fd) == 0 {
            return Issued::Done(Errno::ENOTSOCK.to_res());
        }
        // First a wait, by one that may not wait.
        if req.has(flag::NOWAIT) {
            return Issued::Done(Errno::EAGAIN.to_res());
        }
        return Issued::Wait(readiness(req));
    }
    loop {
        let wanted = wanted(req) - req.done as usize;
        match transfer(req, MSG_DONTWAIT) {
            Err(Errno::EAGAIN) if !req.has(flag::NOWAIT | flag::UNPOLLABLE) => {
                return Issued::Wait(readiness(req));
            }
            Ok(n) if n < wanted && n > 0 && retries(req) => advance(req, n),
            answer => return finish_with(ring, &mut req, answer, wanted),
        }
    }
}

/// A short transfer on a stream goes on where MSG_WAITALL asks for it.
fn retries(req: Req) -> bool {
    req.sqe.op_flags & MSG_WAITALL != 0 && matches!(kind(req.file.fd), STREAM | SEQPACKET)
}

const STREAM: u32 = 1;
const SEQPACKET: u32 = 5;

/// A socket's type; 0 for what is none.
fn kind(fd: Fd) -> u32 {
    const SOL_SOCKET: i32 = 1;
    const SO_TYPE: i32 = 3;
    let mut kind = 0u32;
    let mut len = 4u32;
    let (value, size) = (User::of(&raw mut kind).cast(), User::of(&raw mut len));
    let answer = call::getsockopt(fd, SOL_SOCKET, SO_TYPE, value, size);
    if answer.is_ok() { kind } else { 0 }
}

fn finish_with(
    ring: &mut Locked<'_>,
    req: &mut Req,
    answer: Result<usize>,
    wanted: usize,
) -> Issued {
    req.cflags = 0;
    match answer {
        Ok(n) => {
            req.res = (req.done as usize + n) as i32;
            if req.sqe.op_flags & MSG_WAITALL != 0 && n < wanted {
                ring.fail(*req);
            }
            if req.sqe.opcode == op::RECVMSG {
                write_back(ring, *req);
            }
            let left = n == wanted || n == 0 || req.sqe.op_flags & MSG_PEEK != 0;
            if !sends(*req) && left && more_waits(req.file.fd, n) {
                req.cflags = cqe_flags::SOCK_NONEMPTY;
            }
        }
        Err(e) => {
            ring.fail(*req);
            req.res = if req.done != 0 { req.done as i32 } else { e.to_res() };
        }
    }
    Issued::Set
}

/// What `recvmsg` tells through the header goes to the application's.
fn write_back(ring: &mut Locked<'_>, mut req: Req) {
    let message = message(req);
    // SAFETY: made by `copy_message`.
    let (header, from) = unsafe { ((*message).header, (*message).from) };
    let at = |offset: usize| from.wrapping_add(offset as u64);
    let lengths = user::write(
        User::new(at(core::mem::offset_of!(Msghdr, msg_namelen))),
        &(header.msg_namelen as u32),
    )
    .and_then(|()| {
        let control = header.msg_controllen as u64;
        user::write(User::new(at(core::mem::offset_of!(Msghdr, msg_controllen))), &control)
    })
    .and_then(|()| {
        user::write(User::new(at(core::mem::offset_of!(Msghdr, msg_flags))), &header.msg_flags)
    });
    if let Err(e) = lengths {
        ring.fail(req);
        req.res = e.to_res();
        return;
    }
    let waited_for_all = req.sqe.op_flags & MSG_WAITALL != 0;
    if waited_for_all && header.msg_flags & (MSG_TRUNC | MSG_CTRUNC) != 0 {
        ring.fail(req);
    }
}

/// Whether a stream has more to tell than the `n` bytes just read; at its end TCP always has.
fn more_waits(fd: Fd, n: usize) -> bool {
    const FIONREAD: u32 = 0x541b;
    let mut bytes = 0i32;
    let asked = call::ioctl(fd, FIONREAD, User::of(&raw mut bytes).cast());
    asked.is_ok() && kind(fd) == STREAM && (bytes > 0 || n == 0 && peer_has_ended(fd))
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
    let answer = call::getsockopt(fd, SOL_TCP, TCP_INFO, value, size);
    answer.is_ok() && AFTER_FIN.contains(&state)
}

/// On a worker: only where readiness could not be had.
pub fn work(req: Req) -> i32 {
    crate::issue::res(transfer(req, 0))
}

pub fn finish(ring: &mut Locked<'_>, mut req: Req) -> Issued {
    let answer = match Errno::from_raw(-req.res) {
        Some(e) => Err(e),
        None => Ok(req.res as usize),
    };
    let wanted = wanted(req) - req.done as usize;
    finish_with(ring, &mut req, answer, wanted)
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

pub fn issue_accept(ring: &mut Locked<'_>, req: Req) -> Issued {
    if req.sqe.ioprio & accept::POLL_FIRST != 0 && !req.has(flag::POLLED) {
        return Issued::Wait(READABLE);
    }
    loop {
        let (address, len) = (User::new(req.sqe.addr), User::new(req.sqe.off));
        let flags = req.sqe.op_flags;
        let answer =
            without_blocking(req.file.fd, || call::accept4(req.file.fd, address, len, flags));
        if answer == Err(Errno::EAGAIN) && !req.has(flag::NOWAIT) {
            return Issued::Wait(READABLE);
        }
        let accepted = answer.is_ok();
        let Issued::Done(res) = open::install(ring, req, answer) else { unreachable!() };
        let goes_on = req.has(flag::MULTISHOT) && accepted && res >= 0;
        if !(goes_on && ring.post_more(req.sqe.user_data, res)) {
            return Issued::Done(res);
        }
    }
}

/// Makes the open file non-blocking for the length of a call. Others who use the same open file
/// directly may see `EAGAIN` in that moment; the alternative would be to block here for them.
fn without_blocking<T>(fd: Fd, act: impl FnOnce() -> Result<T>) -> Result<T> {
    let flags = call::file_flags(fd)?;
    if flags & g::O_NONBLOCK != 0 {
        return act();
    }
    call::set_file_flags(fd, flags | g::O_NONBLOCK)?;
    let answer = act();
    let _ = call::set_file_flags(fd, flags);
    answer
}

pub fn prepare_connect(_: &mut Locked<'_>, mut req: Req) -> Result<()> {
    must_be_zero!(req, len, buf_index, op_flags, file_index);
    let len = req.sqe.off as i32;
    if len < 0 || len as usize > ADDRESS_MAX {
        return Err(Errno::EINVAL);
    }
    req.scratch[0] = 0;
    copy_address(req, User::new(req.sqe.addr), len as usize)
}

pub fn issue_connect(_: &mut Locked<'_>, mut req: Req) -> Issued {
    let to = req.copied.start().map_or(User::NULL, |start| User::of(start.as_ptr()));
    let len = req.sqe.off as i32 as usize;
    let begun = req.scratch[0] != 0;
    match without_blocking(req.file.fd, || call::connect(req.file.fd, to, len)) {
        Err(Errno::EINPROGRESS | Errno::EALREADY) if !req.has(flag::NOWAIT) => {
            req.scratch[0] = 1;
            Issued::Wait(WRITABLE)
        }
        Err(Errno::EAGAIN) if !req.has(flag::UNPOLLABLE) => Issued::Wait(WRITABLE),
        Err(Errno::EISCONN | Errno::EBADFD) if begun => Issued::of(socket_error(req.file.fd)),
        answer => Issued::of(answer),
    }
}

/// Takes the socket's pending error.
fn socket_error(fd: Fd) -> Result<()> {
    const SOL_SOCKET: i32 = 1;
    const SO_ERROR: i32 = 4;
    let mut error = 0i32;
    let mut len = 4u32;
    let (value, size) = (User::of(&raw mut error).cast(), User::of(&raw mut len));
    call::getsockopt(fd, SOL_SOCKET, SO_ERROR, value, size)?;
    Errno::from_raw(error).map_or(Ok(()), Err)
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

pub fn issue_socket(ring: &mut Locked<'_>, req: Req) -> Issued {
    let answer = call::socket(req.sqe.fd, req.sqe.off as u32, req.sqe.len as i32);
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
