//! Streams: what is not there yet comes when others give it.
//!
//! So a worker is the last resort, and readiness says when to try again, whatever the file knows of
//! `RWF_NOWAIT`.

use sysring_sys::call::{Offset, RwFlags};
use sysring_sys::{Errno, Fd, call};

use super::answer::{done, failed};
use crate::issue::Issued;
use crate::locked::Locked;
use crate::op::moment::is_nonblocking;
use crate::op::transfer::{Direction, PIPE_BUF, Segments, offset};
use crate::request::{Req, flag};

/// A stream with nothing to give now. `O_NONBLOCK` changes nothing: a ring waits all the same,
/// and only `RWF_NOWAIT` asks it not to.
pub(super) fn would_block(req: Req, direction: Direction) -> Issued {
    if req.has(flag::UNPOLLABLE) { Issued::Work } else { Issued::Wait(direction.readiness()) }
}

/// A stream whose driver knows no `RWF_NOWAIT`: readiness says when a worker will not wait long.
pub(super) fn without_nowait(ring: &mut Locked<'_>, req: Req, direction: Direction) -> Issued {
    let nonblocking = is_nonblocking(req.file.fd);
    // A file may have got the number of a stream.
    let regular = is_regular(req.file.fd);
    let segments = Segments::of(req);
    // A pipe that was spliced knows it no more. Who takes a buffer takes what there is, as the kernel
    // does: it is used by as much as comes.
    let readable =
        || call::poll_now(req.file.fd, direction.readiness() as u16).is_ok_and(|ready| ready != 0);
    if nonblocking || regular || req.has(flag::BUFFER_SELECT) && readable() {
        let at = if regular { offset(req) } else { Offset::CURRENT };
        return match segments.transfer(req, at, RwFlags::NONE) {
            Ok(n) => done(ring, req, n, segments.total),
            Err(Errno::EAGAIN) if !req.has(flag::UNPOLLABLE) => would_block(req, direction),
            Err(e) => failed(ring, req, e),
        };
    }
    match when_ready(req, direction) {
        Issued::Wait(_) if req.has(flag::NOWAIT) => failed(ring, req, Errno::EAGAIN),
        issued => issued,
    }
}

/// To a worker, once it will not wait long.
pub(super) fn when_ready(mut req: Req, direction: Direction) -> Issued {
    match call::poll_now(req.file.fd, direction.readiness() as u16) {
        Ok(0) if !req.has(flag::UNPOLLABLE) => Issued::Wait(direction.readiness()),
        _ => {
            if direction == Direction::Write && Segments::of(req).total > PIPE_BUF {
                req.set(flag::MAY_WAIT);
            }
            Issued::Work
        }
    }
}

/// Whether it is no stream, but a file or a disk.
pub(super) fn is_regular(fd: Fd) -> bool {
    call::is_file_or_disk(fd)
}
