//! A transfer that does not wait, and what its answer says of the rest of the road.
//!
//! Most get all they ask for at once. What can be asked of a file is remembered (`hints`): some
//! know no `RWF_NOWAIT`, and some wait in spite of it.

use sysring_sys::abi::aio::Iocb;
use sysring_sys::abi::io_uring::setup;
use sysring_sys::call::{Offset, RwFlags};
use sysring_sys::odds::{likely, unlikely};
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Result, arch, call};

use super::answer::{done, failed, whole};
use super::polled::{check_polled, refuse_polling};
use super::stream::{is_regular, when_ready, without_nowait, would_block};
use crate::hints::hint;
use crate::issue::Issued;
use crate::locked::Locked;
use crate::op::socket;
use crate::op::transfer::{Direction, Segments, advance, is_vectored, offset};
use crate::request::{Req, flag};

pub(super) fn attempt(ring: &mut Locked<'_>, req: Req) -> Issued {
    attempt_on(ring, req, Segments::of)
}

/// What is there at once is the whole transfer, as a rule. All else is out of the way.
#[inline(always)]
pub(super) fn attempt_on(
    ring: &mut Locked<'_>,
    req: Req,
    memory: impl Fn(Req) -> Segments,
) -> Issued {
    let mut hint = ring.hints.look(req.file.fd);
    if unlikely(
        hint & (hint::DIRECT | hint::WAITS) != 0
            || req.has(flag::ASYNC)
            || req.sqe.op_flags & RwFlags::HIPRI.0 != 0
            || ring.ring.shape().has(setup::IOPOLL),
    ) && let Some(issued) = another_way(ring, req, &mut hint)
    {
        return issued;
    }
    let segments = memory(req);
    match ask(req, &segments, hint) {
        Ok(n) if likely(n == segments.total && n != 0 && !req.has(flag::BUFFER_TAKEN)) => {
            whole(req, n)
        }
        answer => weigh(ring, req, hint, segments.total, answer),
    }
}

/// The way of what is not simply attempted, if it has one of its own.
#[inline(never)]
fn another_way(ring: &mut Locked<'_>, mut req: Req, known: &mut u8) -> Option<Issued> {
    if let Some(refused) = refuse_polling(ring, req) {
        return Some(refused);
    }
    let direction = Direction::of(req);
    if *known & hint::DIRECT != 0 {
        *known = ring.look_twice(req.file.fd);
    }
    let hint = *known;
    if ring.ring.shape().has(setup::IOPOLL) {
        if hint & hint::POLLS == 0
            && let Err(e) = check_polled(req)
        {
            return Some(failed(ring, req, e));
        }
        // All of them are polled for: here, not in the call.
        req.sqe.op_flags &= !RwFlags::HIPRI.0;
    }
    // A vector of nothing needs no disk, only to be looked at.
    let nothing = is_vectored(req) && req.sqe.len == 0;
    let by_aio = req.sqe.off != u64::MAX && !req.has(flag::UNPOLLABLE) && !nothing;
    if hint & hint::DIRECT != 0 && by_aio {
        return Some(direct(ring, req, direction));
    }
    // A stream that has got the number of a file would keep a worker.
    if req.has(flag::ASYNC) && hint & hint::REGULAR != 0 && is_regular(req.file.fd) {
        return Some(Issued::Work);
    }
    if hint & (direction.waits() | hint::REGULAR) == direction.waits() {
        return Some(without_nowait(ring, req, direction));
    }
    None
}

/// `O_DIRECT`: through kernel AIO.
fn direct(ring: &mut Locked<'_>, req: Req, direction: Direction) -> Issued {
    let vectored = is_vectored(req);
    let segments = Segments::of(req);
    let (buf, nbytes) = match segments.many {
        Some(many) => (many as usize as u64, segments.count as u64),
        None => (segments.one.iov_base as usize as u64, segments.total as u64),
    };
    let (opcode, offset) = (direction.aio_opcode(vectored), offset(req).0);
    let rw_flags = req.sqe.op_flags;
    let request = Iocb { rw_flags, opcode, buf, nbytes, offset, ..Iocb::default() };
    match ring.aio_transfer(req, request) {
        Ok(issued) => issued,
        Err(e) => failed(ring, req, e),
    }
}

/// Asks for a transfer that does not wait.
#[inline(always)]
fn ask(req: Req, segments: &Segments, hint: u8) -> Result<usize> {
    let at = offset(req);
    // A flag that not all files take may be refused for another reason first: that is asked for.
    if unlikely(hint & hint::WAITS != 0)
        && hint & Direction::of(req).waits() != 0
        && at != Offset::CURRENT
        && req.sqe.op_flags & !RwFlags::EVERYWHERE.0 == 0
    {
        return Err(Errno::EOPNOTSUPP);
    }
    segments.transfer(req, at, RwFlags::NOWAIT)
}

/// What follows from an answer that is not the whole transfer, of `total` bytes.
#[inline(never)]
fn weigh(
    ring: &mut Locked<'_>,
    req: Req,
    hint: u8,
    mut total: usize,
    mut answer: Result<usize>,
) -> Issued {
    let direction = Direction::of(req);
    loop {
        let at = offset(req);
        let mut stream = false;
        if answer == Err(Errno::ESPIPE) {
            if (req.sqe.off as i64).checked_add(total as i64).is_none() {
                return failed(ring, req, Errno::EINVAL);
            }
            if req.sqe.off != 0 && socket::kind(req.file.fd) != 0 {
                // Other streams do not mind.
                return failed(ring, req, Errno::ESPIPE);
            }
            // A stream takes no offset; io_uring ignores the one given.
            stream = true;
            answer = Segments::of(req).transfer(req, Offset::CURRENT, RwFlags::NOWAIT);
        }
        match answer {
            Ok(n) => {
                let whole = n == total || n == 0;
                if whole || stream || (at == Offset::CURRENT && !is_regular(req.file.fd)) {
                    return done(ring, req, n, total);
                }
                // Part of a file was at hand. What follows is either its end or a wait.
                advance(req, n);
            }
            Err(Errno::EAGAIN) if req.has(flag::NOWAIT) => return failed(ring, req, Errno::EAGAIN),
            Err(Errno::EAGAIN) if stream || at == Offset::CURRENT => {
                return would_block(req, direction);
            }
            Err(Errno::EAGAIN) => return Issued::Work,
            Err(Errno::EOPNOTSUPP) if req.has(flag::NOWAIT) => {
                // The kernel promises NOWAIT for eventfds, and then finds that it cannot.
                let promised = call::is_eventfd(req.file.fd) == Ok(true);
                let errno = if promised { Errno::EAGAIN } else { Errno::EOPNOTSUPP };
                return failed(ring, req, errno);
            }
            Err(Errno::EOPNOTSUPP) if req.sqe.op_flags & !RwFlags::EVERYWHERE.0 != 0 => {
                return failed(ring, req, Errno::EOPNOTSUPP);
            }
            Err(Errno::EOPNOTSUPP) => {
                if stream || at == Offset::CURRENT {
                    return without_nowait(ring, req, direction);
                }
                if !ring.hints.is_regular(req.file.fd)
                    && call::file_type(req.file.fd) == Ok(g::S_IFCHR)
                {
                    // A device that takes an offset, and may make us wait all the same.
                    return when_ready(req, direction);
                }
                ring.hints.mark(req.file.fd, direction.waits());
                return at_once(ring, req);
            }
            Err(e) => {
                let mut req = req;
                req.clear(flag::UNPOLLABLE);
                return failed(ring, req, e);
            }
        }
        let left = Segments::of(req);
        total = left.total;
        answer = ask(req, &left, hint);
    }
}

/// A call that takes longer than this was worth a worker: about a millisecond of the slowest
/// counter in use, less on faster ones.
const LONG: u64 = 2_000_000;

/// A file that cannot be asked not to wait (tmpfs, buffered writes on ext4). It mostly does not:
/// a plain call costs less than handing it over. One that took long sends the next to a worker.
#[inline(never)]
fn at_once(ring: &mut Locked<'_>, req: Req) -> Issued {
    let slow = Direction::of(req).slow();
    if ring.hints.look(req.file.fd) & slow != 0 {
        return Issued::Work;
    }
    let before = arch::cycles();
    let segments = Segments::of(req);
    let answer = segments.transfer(req, offset(req), RwFlags::NONE);
    if arch::cycles().wrapping_sub(before) > LONG {
        ring.hints.mark(req.file.fd, slow);
    }
    match answer {
        Ok(n) => done(ring, req, n, segments.total),
        Err(Errno::ESPIPE) => {
            // Another file has the number.
            ring.hints.forget(req.file.fd);
            attempt(ring, req)
        }
        Err(e) => failed(ring, req, e),
    }
}
