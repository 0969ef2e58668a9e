//! The operations: they differ in whose memory the bytes go through.
//!
//! It is the application's own, a registered buffer, or one of a group, which a request does
//! without while it waits. How the bytes get there is the same for all (`attempt`).

use sysring_sys::Errno;

use super::answer::failed;
use super::attempt::{attempt, attempt_on};
use super::polled::refuse_polling;
use super::stream::is_regular;
use crate::issue::Issued;
use crate::locked::Locked;
use crate::op::transfer::{Direction, Segments, entries};
use crate::op::{first_error, not_open};
use crate::request::{Req, flag};
use crate::rsrc::Buffer;

/// READ and WRITE.
#[inline(always)]
pub(crate) fn issue(ring: &mut Locked<'_>, req: Req) -> Issued {
    if req.has(flag::BUFFER_SELECT) {
        return issue_with_taken(ring, req);
    }
    if let Some(issued) = ring.read_together(req) {
        return issued;
    }
    attempt_on(ring, req, Segments::named)
}

/// READV and WRITEV.
pub(crate) fn issue_vectored(ring: &mut Locked<'_>, req: Req) -> Issued {
    if req.has(flag::BUFFER_SELECT) { issue_with_taken(ring, req) } else { attempt(ring, req) }
}

/// What a request takes from its group goes back to it while it waits.
#[inline(never)]
fn issue_with_taken(ring: &mut Locked<'_>, req: Req) -> Issued {
    if let Err(e) = ring.take_buffer(req, req.sqe.len as usize) {
        let e = if e == Errno::ENOENT { Errno::ENOBUFS } else { e };
        return failed(ring, req, first_error(req, e));
    }
    if req.has(flag::BUFFER_TAKEN) && !req.has(flag::MULTISHOT) && !not_open(req) {
        ring.claim_buffer(req, !is_regular(req.file.fd));
    }
    let issued = attempt(ring, req);
    match issued {
        // One that waits has no buffer; one that is given away keeps it.
        Issued::Wait(_) if req.done == 0 => ring.give_back(req),
        Issued::Wait(_) | Issued::Work | Issued::Aio => ring.keep_buffer(req),
        _ => {}
    }
    issued
}

/// READ_FIXED and WRITE_FIXED: in a registered buffer.
#[inline(always)]
pub(crate) fn issue_fixed(ring: &mut Locked<'_>, req: Req) -> Issued {
    if let Some(refused) = refuse_polling(ring, req) {
        return refused;
    }
    // What it found once it keeps, whatever has become of the slot.
    if !req.has(flag::BUFFER_FOUND) {
        match ring.buffers.find(req.sqe.buf_index, req.sqe.addr, u64::from(req.sqe.len)) {
            Ok(buffer) => keep_buffer(ring, req, buffer),
            Err(e) => return Issued::Done(e.to_res()),
        }
    }
    attempt_on(ring, req, Segments::of_one)
}

/// READV_FIXED and WRITEV_FIXED.
pub(crate) fn issue_vectored_fixed(ring: &mut Locked<'_>, mut req: Req) -> Issued {
    if let Some(refused) = refuse_polling(ring, req) {
        return refused;
    }
    // Of a second attempt the vector is what is left of one that was in order.
    if !req.has(flag::BUFFER_FOUND) && req.done == 0 {
        match ring.buffers.check_vector(req.sqe.buf_index, entries(&mut req)) {
            Ok(buffer) => keep_buffer(ring, req, buffer),
            Err(e) => return Issued::Done(e.to_res()),
        }
    }
    attempt(ring, req)
}

/// The buffer a request has found is its own until it ends.
#[inline(always)]
pub(crate) fn keep_buffer(ring: &mut Locked<'_>, mut req: Req, buffer: Buffer) {
    req.set(flag::BUFFER_FOUND);
    ring.use_tag(req, buffer.tag);
}

/// Shots of a multishot read before others have their turn.
const SHOTS: u32 = 32;

/// READ_MULTISHOT.
pub(crate) fn issue_multishot(ring: &mut Locked<'_>, mut req: Req) -> Issued {
    if is_regular(req.file.fd) {
        // Nothing to wait for.
        return failed(ring, req, Errno::EBADFD);
    }
    for _ in 0..SHOTS {
        req.done = 0;
        let issued = issue(ring, req);
        if issued != Issued::Set || req.res <= 0 {
            return issued;
        }
        if !ring.post_more(req.sqe.user_data, req.res, req.cflags) {
            return issued;
        }
    }
    Issued::Wait(Direction::Read.readiness())
}
