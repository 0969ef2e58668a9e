//! What is transferred by a worker or kernel AIO, and what follows from that.
//!
//! A worker does not hold the ring, so it only makes the call. What the answer means is decided
//! when it is handed in.

use sysring_sys::Errno;
use sysring_sys::call::{Offset, RwFlags};

use super::answer::{answered, done, failed, keeps_link};
use super::stream::{is_regular, would_block};
use crate::issue::{Issued, res};
use crate::locked::Locked;
use crate::op::transfer::{Direction, Segments, advance, offset};
use crate::request::{Req, flag};

/// On a worker: the call as it is, for as long as it takes.
pub(crate) fn work(req: Req) -> i32 {
    let segments = Segments::of(req);
    let mut answer = segments.transfer(req, offset(req), RwFlags::NONE);
    if answer == Err(Errno::ESPIPE) {
        answer = segments.transfer(req, Offset::CURRENT, RwFlags::NONE);
    }
    res(answer)
}

/// After the worker or kernel AIO: a file's short transfer goes on until it is whole or at the
/// end.
pub(crate) fn finish(ring: &mut Locked<'_>, req: Req) -> Issued {
    let n = req.res;
    if n < 0 {
        return match Errno::from_raw(-n) {
            Some(Errno::EAGAIN) if !req.has(flag::UNPOLLABLE) => {
                would_block(req, Direction::of(req))
            }
            Some(e) if keeps_link(ring) && comes_from_file(req, e) => answered(ring, req, e),
            Some(e) => failed(ring, req, e),
            None => Issued::Done(n),
        };
    }
    let segments = Segments::of(req);
    // A bare number may lead to another file by now.
    if n == 0 || n as usize >= segments.total || !req.file.owned || !is_regular(req.file.fd) {
        return done(ring, req, n as usize, segments.total);
    }
    advance(req, n as usize);
    Issued::Work
}

/// Whether an error is what the kernel would find when it polls. That of a read is there before; and so
/// is that of a write with flags that the file does not know, or to a place that no file has.
fn comes_from_file(req: Req, e: Errno) -> bool {
    let ends = (req.sqe.off as i64).checked_add(Segments::of(req).total as i64);
    let writes = Direction::of(req) == Direction::Write;
    writes && e != Errno::EOPNOTSUPP && req.sqe.off as i64 >= 0 && ends.is_some()
}
