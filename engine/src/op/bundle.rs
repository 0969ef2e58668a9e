//! Bundles: one transfer with many buffers of a group, and one completion for it.

use sysring_sys::abi::io_uring::cqe_flags;
use sysring_sys::abi::{Iovec, Msghdr};
use sysring_sys::call::{self, MSG_DONTWAIT, MSG_WAITALL};
use sysring_sys::{Errno, Result, User};

use super::message::{self, MSG_TRUNC};
use super::net::{MSG_CMSG_COMPAT, MSG_PEEK, asked, finish_with, readiness};
use super::socket::{STREAM, is_inet, kind, more_waits, waiting};
use crate::issue::Issued;
use crate::kbuf::Bundle;
use crate::locked::Locked;
use crate::request::{Req, flag};

/// Buffers of a receive that go into one call: a kilobyte of stack for their vector.
const RECEIVED: usize = 64;
/// Buffers of a send that go into one call, as in the kernel.
const SENT: usize = 256;

/// Takes all buffers there are, and uses them up: a send does not give them back.
pub fn take_to_send(ring: &mut Locked<'_>, mut req: Req) -> Result<()> {
    let count = ring.buffers_ready(req)?.clamp(1, SENT);
    let limit = req.sqe.len as usize;
    let taken = message::with_vector(req, count, |vector| {
        ring.take_bundle(req, limit, 1, vector).map(|taken| (taken.count, taken))
    })?;
    req.scratch[0] = taken.total as u64;
    ring.commit_buffers(req, taken.total, taken.count as u16);
    if taken.all {
        req.set(flag::LAST_SHOT);
    }
    Ok(())
}

fn takes_all(ring: &mut Locked<'_>, req: Req) -> bool {
    !req.has(flag::MULTISHOT)
        && kind(req.file.fd) == STREAM
        && ring.takes_bits(req)
        && !throws_away(req)
}

/// TCP throws away what is to be truncated: buffers do not fill, and the kernel sees none that did.
fn throws_away(req: Req) -> bool {
    req.sqe.op_flags & MSG_TRUNC != 0 && is_inet(req.file.fd)
}

/// Receives as much as the buffers of the group hold.
pub fn receive(ring: &mut Locked<'_>, mut req: Req) -> Result<Issued> {
    if kind(req.file.fd) == 0 {
        return Err(super::first_error(req, Errno::ENOTSOCK));
    }
    let mut vector = [Iovec { iov_base: core::ptr::null_mut(), iov_len: 0 }; RECEIVED];
    // No more buffers than it has use for: what the socket holds, or one.
    let (limit, most) = match asked(req) {
        0 => match waiting(req.file.fd) {
            0 | 1 => (0, 1),
            // One datagram goes into one buffer.
            _ if kind(req.file.fd) != STREAM => (0, 1),
            _ if !req.has(flag::MULTISHOT) && throws_away(req) => (0, 1),
            bytes => (bytes, RECEIVED),
        },
        // Where the rest of a buffer is not lost, one that got all it asked for takes what is left.
        asked => match waiting(req.file.fd) {
            bytes if bytes > asked + 1 && takes_all(ring, req) => (bytes, RECEIVED),
            _ => (asked, RECEIVED),
        },
    };
    // The kernel cuts the first buffer of a call of its own. Of one that asks for nothing it makes two:
    // one buffer, and then what is left.
    let cuts = if asked(req) == 0 { 2 } else { 1 };
    let Bundle { count, total, all } = ring.take_bundle(req, limit, cuts, &mut vector[..most])?;
    let mut header = Msghdr { msg_iov: vector.as_mut_ptr(), msg_iovlen: count, ..Msghdr::EMPTY };
    let flags = req.sqe.op_flags & !(MSG_CMSG_COMPAT | MSG_WAITALL) | MSG_DONTWAIT;
    // SAFETY: the header is ours, and the buffers are those that the application has provided for this.
    let n = match unsafe { call::recvmsg(req.file.fd, User::of(&raw mut header), flags) } {
        Err(Errno::EAGAIN) if !req.has(flag::NOWAIT) => {
            ring.give_back(req);
            return Ok(Issued::Wait(readiness(req)));
        }
        Ok(n) if n > 0 => n,
        other => return Ok(finish_with(ring, &mut req, other, total)),
    };
    // How many of them it went into.
    let (mut used, mut left) = (0, n);
    while left > 0 && used < count {
        left = left.saturating_sub(vector[used].iov_len as usize);
        used += 1;
    }
    req.res = n as i32;
    // With MSG_TRUNC it says how long the message was, not how much of it there was room for.
    req.cflags = ring.used_buffers(req, n.min(total), used as u16);
    let peeks = req.sqe.op_flags & MSG_PEEK != 0;
    if (n == total || peeks) && more_waits(req.file.fd, n) {
        req.cflags |= cqe_flags::SOCK_NONEMPTY;
    }
    // The group is empty: the next bundle is the application's to ask for.
    if all {
        req.set(flag::LAST_SHOT);
    }
    Ok(Issued::Set)
}
