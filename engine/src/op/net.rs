//! Send and receive, with `MSG_DONTWAIT`; what would block parks.

use sysring_sys::abi::Iovec;
use sysring_sys::abi::Msghdr;
use sysring_sys::abi::io_uring::{cqe_flags, op, recvsend};
use sysring_sys::call::{self, Buffer, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_WAITALL};
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Result, User};

use super::socket::{SEQPACKET, STREAM, copy_address, kind, more_waits, waiting};
use super::{MAX_RW_COUNT, bundle, check_range, message, must_be_zero, send_zc};
use crate::issue::Issued;
use crate::locked::Locked;
use crate::request::{Req, flag};

const READABLE: u32 = g::EPOLLIN | g::EPOLLRDNORM;
const WRITABLE: u32 = g::EPOLLOUT | g::EPOLLWRNORM;

pub const MSG_CMSG_COMPAT: u32 = 0x8000_0000;
const MSG_ERRQUEUE: u32 = 0x2000;
pub const MSG_PEEK: u32 = 0x2;

/// Shots of a receive before others have their turn, as in the kernel.
const SHOTS: u32 = 32;

pub fn prepare_send(_: &mut Locked<'_>, req: Req) -> Result<()> {
    if req.sqe.opcode == op::SENDMSG {
        // A message is a vector anyway.
        prepare_flags(req, recvsend::POLL_FIRST | recvsend::SEND_VECTORIZED)?;
        must_be_zero!(req, off, file_index);
        return message::copy(req);
    }
    let selects = req.has(flag::BUFFER_SELECT);
    let bundle = if selects { recvsend::BUNDLE } else { 0 };
    prepare_flags(req, recvsend::POLL_FIRST | recvsend::SEND_VECTORIZED | bundle)?;
    prepare_destination_and_data(req)
}

/// What a send without a header names itself.
pub fn prepare_destination_and_data(req: Req) -> Result<()> {
    let (to, to_len) = (User::<u8>::new(req.sqe.off), req.sqe.file_index as u16 as usize);
    if req.sqe.file_index >> 16 != 0 {
        return Err(Errno::EINVAL);
    }
    if is_bundle(req) {
        return message::copy_destination(req, to, to_len);
    }
    if is_message(req) {
        if send_zc::is_fixed(req) {
            return Err(Errno::EINVAL);
        }
        return message::copy_vector(req, to, to_len);
    }
    if !to.is_null() && to_len != 0 {
        copy_address(req, to, to_len)?;
    }
    if req.has(flag::BUFFER_SELECT) || send_zc::is_fixed(req) {
        return Ok(());
    }
    check_range(User::new(req.sqe.addr), (req.sqe.len as usize).min(MAX_RW_COUNT))
}

pub fn prepare_recv(_: &mut Locked<'_>, mut req: Req) -> Result<()> {
    let bundle = if req.sqe.opcode == op::RECV { recvsend::BUNDLE } else { 0 };
    prepare_flags(req, recvsend::POLL_FIRST | recvsend::RECV_MULTISHOT | bundle)?;
    must_be_zero!(req, off);
    let limit = req.sqe.file_index;
    if req.sqe.ioprio & recvsend::RECV_MULTISHOT != 0 {
        let limited = limit != 0 && req.sqe.opcode != op::RECV;
        if limited || !req.has(flag::BUFFER_SELECT) || req.sqe.op_flags & MSG_WAITALL != 0 {
            return Err(Errno::EINVAL);
        }
        req.set(flag::MULTISHOT);
        req.scratch[LIMIT] = u64::from(limit);
    } else if limit != 0 {
        return Err(Errno::EINVAL);
    }
    if req.sqe.opcode == op::RECVMSG {
        return message::copy(req);
    }
    if req.has(flag::BUFFER_SELECT) {
        return Ok(());
    }
    check_range(User::new(req.sqe.addr), (req.sqe.len as usize).min(MAX_RW_COUNT))
}

fn prepare_flags(req: Req, known: u16) -> Result<()> {
    if (req.sqe.len as i32) < 0 || req.sqe.ioprio & !known != 0 {
        return Err(Errno::EINVAL);
    }
    note_nowait(req);
    Ok(())
}

pub fn note_nowait(mut req: Req) {
    if req.sqe.op_flags & MSG_DONTWAIT != 0 {
        req.set(flag::NOWAIT);
    }
}

#[must_use]
pub fn sends(req: Req) -> bool {
    matches!(req.sqe.opcode, op::SEND | op::SENDMSG | op::SEND_ZC | op::SENDMSG_ZC)
}

/// Whether it has a vector, and so goes as a message. In SEND a buffer of a group takes its place,
/// or many buffers are one.
fn is_message(req: Req) -> bool {
    match req.sqe.opcode {
        op::SENDMSG | op::SENDMSG_ZC | op::RECVMSG => true,
        op::SEND | op::SEND_ZC => match req.has(flag::BUFFER_SELECT) {
            true => is_bundle(req),
            false => req.sqe.ioprio & recvsend::SEND_VECTORIZED != 0,
        },
        _ => false,
    }
}

pub fn is_bundle(req: Req) -> bool {
    req.sqe.ioprio & recvsend::BUNDLE != 0 && req.has(flag::BUFFER_SELECT)
}

/// `scratch`: bytes that all shots together may receive, 0 for no limit.
const LIMIT: usize = 1;

/// Bytes the SQE asks for; of a request that selects buffers, at most that many (0: no limit).
/// The limit of all shots ends one early only in a bundle: a single buffer is filled, as in the kernel.
pub fn asked(req: Req) -> usize {
    let asked = if is_message(req) { req.scratch[0] as usize } else { req.sqe.len as usize };
    match req.scratch[LIMIT] as usize {
        left if left != 0 && is_bundle(req) && (asked == 0 || left < asked) => left,
        _ => asked.min(MAX_RW_COUNT),
    }
}

/// Counts a shot's bytes; the one that reaches the limit is the last.
fn count_shot(mut req: Req) {
    if req.scratch[LIMIT] != 0 && req.res > 0 {
        // The kernel compares signed numbers: any shot reaches a limit that would be negative.
        let limit = i32::try_from(req.scratch[LIMIT]).unwrap_or(0);
        req.scratch[LIMIT] = limit.saturating_sub(req.res).max(0) as u64;
        if req.scratch[LIMIT] == 0 {
            req.set(flag::LAST_SHOT);
        }
    }
}

/// Bytes to be moved in all.
fn wanted(req: Req) -> usize {
    match req.has(flag::BUFFER_TAKEN) && !(is_bundle(req) && sends(req)) {
        true => req.buffer.len as usize,
        false => asked(req),
    }
}

pub fn readiness(req: Req) -> u32 {
    if sends(req) {
        WRITABLE
    } else if req.sqe.op_flags & MSG_ERRQUEUE != 0 {
        // The error queue announces itself as an error, not as data.
        g::EPOLLERR
    } else {
        READABLE
    }
}

pub fn issue(ring: &mut Locked<'_>, mut req: Req) -> Issued {
    if req.sqe.ioprio & recvsend::POLL_FIRST != 0 && !req.has(flag::POLLED) {
        if super::not_open(req) {
            return Issued::Done(Errno::EBADF.to_res());
        }
        if sends(req) && kind(req.file.fd) == 0 {
            return Issued::Done(Errno::ENOTSOCK.to_res());
        }
        // First a wait, by one that may not wait.
        if req.has(flag::NOWAIT) {
            return Issued::Done(Errno::EAGAIN.to_res());
        }
        return Issued::Wait(readiness(req));
    }
    let shots = match req.sqe.opcode {
        // It goes on while it succeeds at once, and the buffers are enough.
        op::SEND => u32::MAX,
        // A bundle that caps its shots wants to share: one at a time.
        op::RECV if req.has(flag::MULTISHOT) && is_bundle(req) && req.sqe.len != 0 => 1,
        _ => SHOTS,
    };
    for earlier in 0..shots {
        let last = match is_bundle(req) && !sends(req) {
            true => bundle::receive(ring, req),
            false => single(ring, req),
        };
        let issued = match last {
            Ok(issued) => issued,
            // That there is no buffer is found when there is something to put into it.
            Err(Errno::ENOBUFS) if earlier > 0 && is_empty_stream(req) => {
                return Issued::Wait(readiness(req));
            }
            Err(e) => finish_with(ring, &mut req, Err(e), 0),
        };
        count_shot(req);
        // A bundle that was hard to send is the last: the next is the application's to ask for.
        let at_once = !req.has(flag::POLLED) && req.done == 0;
        let goes_on = req.has(flag::MULTISHOT) || is_bundle(req) && sends(req) && at_once;
        let shot = issued == Issued::Set && req.res > 0 && !req.has(flag::FAIL | flag::LAST_SHOT);
        if !goes_on || !shot || !ring.post_more(req.sqe.user_data, req.res, req.cflags) {
            return issued;
        }
        req.done = 0;
        if sends(req) {
            // What it asked for was asked of the first bundle.
            req.sqe.len = 0;
        } else if is_message(req) {
            // The application's vector limits the first shot only.
            req.scratch[0] = 0;
        }
    }
    // There is more, and it is somebody else's turn: readiness brings this one back.
    Issued::Wait(readiness(req))
}

/// Moves what the request, or the buffer it takes, asks for.
fn single(ring: &mut Locked<'_>, mut req: Req) -> Result<Issued> {
    if req.has(flag::BUFFER_SELECT) && kind(req.file.fd) == 0 {
        return Err(super::first_error(req, Errno::ENOTSOCK));
    }
    if req.has(flag::BUFFER_SELECT) && !req.has(flag::BUFFER_TAKEN) {
        select(ring, req)?;
    }
    loop {
        let wanted = wanted(req) - req.done as usize;
        match transfer(req, MSG_DONTWAIT) {
            Err(Errno::EAGAIN) if !req.has(flag::NOWAIT | flag::UNPOLLABLE) => {
                if req.done == 0 {
                    ring.give_back(req);
                }
                return Ok(Issued::Wait(readiness(req)));
            }
            Ok(n) if n < wanted && n > 0 && retries(req) => {
                if req.sqe.opcode == op::RECVMSG
                    && let Err(e) = message::write_back(ring, req)
                {
                    return Ok(finish_with(ring, &mut req, Err(e), wanted));
                }
                ring.keep_filled(req, n);
                req.done += n as u32;
                if is_message(req) {
                    message::advance(req, n);
                }
            }
            answer => return Ok(finish_with(ring, &mut req, answer, wanted)),
        }
    }
}

/// Whether a multishot receive has taken all there was.
fn is_empty_stream(req: Req) -> bool {
    let fd = req.file.fd;
    req.has(flag::MULTISHOT) && !sends(req) && kind(fd) == STREAM && waiting(fd) == 0
}

/// Takes what is to be moved from the request's group of buffers.
fn select(ring: &mut Locked<'_>, req: Req) -> Result<()> {
    if sends(req) {
        if is_bundle(req) {
            return bundle::take_to_send(ring, req);
        }
        let limit = if ring.takes_from_pile(req) { 0 } else { asked(req) };
        ring.take_buffer(req, limit)?;
        ring.commit_buffers(req, wanted(req), 1);
        return Ok(());
    }
    ring.take_buffer(req, asked(req))
        .map_err(|e| if e == Errno::ENOENT { Errno::ENOBUFS } else { e })?;
    match req.sqe.opcode {
        op::RECVMSG if req.has(flag::MULTISHOT) => message::lay_out(req)?,
        op::RECVMSG => message::aim_at_buffer(req),
        _ => {}
    }
    Ok(())
}

/// One transfer of what is left.
fn transfer(req: Req, extra: u32) -> Result<usize> {
    // io_uring tells 32-bit callers by itself, and takes no notice of the flag for them.
    let (fd, flags) = (req.file.fd, req.sqe.op_flags & !MSG_CMSG_COMPAT | extra);
    let done = req.done as usize;
    let address = if req.has(flag::BUFFER_TAKEN) { req.buffer.address } else { req.sqe.addr };
    let left =
        Buffer { address: User::new(address.wrapping_add(done as u64)), len: wanted(req) - done };
    match req.sqe.opcode {
        _ if sends(req) && is_message(req) => {
            call::sendmsg(fd, message::header(req), flags | MSG_NOSIGNAL)
        }
        op::SEND | op::SEND_ZC => {
            let to = req.copied.start().map_or(User::NULL, |start| User::of(start.as_ptr()));
            let to_len = if to.is_null() { 0 } else { req.sqe.file_index as u16 as usize };
            call::sendto(fd, left, flags | MSG_NOSIGNAL, to, to_len)
        }
        op::RECV if flags & MSG_WAITALL != 0 => receive_all(req, left, flags),
        // SAFETY: the application's memory, which asked for it.
        op::RECV => unsafe { call::recv(fd, left, flags) },
        // SAFETY: the header is the request's copy, and what it names the application's, which asked for
        // it.
        _ => unsafe { call::recvmsg(fd, message::header(req), flags) },
    }
}

/// A receive that is to be whole: a datagram must not lose its end.
fn receive_all(req: Req, to: Buffer, flags: u32) -> Result<usize> {
    let mut one = Iovec { iov_base: to.address.address() as usize as *mut _, iov_len: to.len as _ };
    let mut header = Msghdr { msg_iov: &raw mut one, msg_iovlen: 1, ..Msghdr::EMPTY };
    // SAFETY: the header is ours, and what it names the application's, which asked for it.
    let n = unsafe { call::recvmsg(req.file.fd, User::of(&raw mut header), flags) }?;
    if header.msg_flags & (message::MSG_TRUNC | message::MSG_CTRUNC) != 0 {
        // Perhaps by a worker.
        req.set_while_running(flag::TRUNCATED);
    }
    Ok(n)
}

/// A short transfer on a stream goes on where MSG_WAITALL asks for it.
fn retries(req: Req) -> bool {
    wants_all(req) && matches!(kind(req.file.fd), STREAM | SEQPACKET)
}

/// Whether less than everything is a failure. With room for control messages a receive ends with
/// what has come: they belong to that.
fn wants_all(req: Req) -> bool {
    let alone = req.sqe.opcode != op::RECVMSG || !message::has_control(req);
    req.sqe.op_flags & MSG_WAITALL != 0 && alone || is_bundle(req) && sends(req)
}

pub fn finish_with(
    ring: &mut Locked<'_>,
    req: &mut Req,
    answer: Result<usize>,
    wanted: usize,
) -> Issued {
    req.cflags = 0;
    match answer {
        Ok(n) => received(ring, req, n, wanted),
        Err(e) => {
            ring.fail(*req);
            req.res = if req.done != 0 { req.done as i32 } else { e.to_res() };
        }
    }
    // What was to be sent is the application's again, whatever came of it.
    if req.res > 0 || sends(*req) {
        req.cflags |= ring.used_buffer(*req, req.res.max(0) as usize);
    } else {
        ring.give_back(*req);
    }
    Issued::Set
}

fn received(ring: &mut Locked<'_>, req: &mut Req, n: usize, wanted: usize) {
    req.res = (req.done as usize + n) as i32;
    if n < wanted && wants_all(*req) || req.has(flag::TRUNCATED) {
        ring.fail(*req);
    }
    if req.sqe.opcode == op::RECVMSG {
        if !req.has(flag::MULTISHOT) {
            if let Err(e) = message::write_back(ring, *req) {
                ring.fail(*req);
                req.res = if req.done != 0 { req.done as i32 } else { e.to_res() };
            }
        } else {
            if n == 0 {
                req.set(flag::LAST_SHOT);
            }
            match message::write_head(*req, n) {
                Ok(all) => req.res = all as i32,
                Err(e) => {
                    ring.fail(*req);
                    req.res = e.to_res();
                }
            }
        }
    }
    // Of its buffer a message has what its head leaves.
    let laid_out = is_message(*req) && req.has(flag::MULTISHOT);
    let left = n == wanted || n == 0 || laid_out || req.sqe.op_flags & MSG_PEEK != 0;
    if !sends(*req) && left && more_waits(req.file.fd, n) {
        req.cflags = cqe_flags::SOCK_NONEMPTY;
    }
}

/// On a worker: only where readiness could not be had.
pub fn work(req: Req) -> i32 {
    if req.has(flag::BUFFER_SELECT) && !req.has(flag::BUFFER_TAKEN) {
        // A worker cannot take one: the groups are behind the ring's lock.
        return Errno::ENOMEM.to_res();
    }
    if req.sqe.ioprio & recvsend::POLL_FIRST != 0 {
        // Asked to wait for readiness of what knows none.
        return Errno::EAGAIN.to_res();
    }
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
