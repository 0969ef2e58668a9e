//! What a transfer comes to: its result, what became of its buffer, and whether its link breaks.
//!
//! What has been transferred is told, even if an error came after it, and an error is the one that
//! the kernel would have found first.

use sysring_sys::abi::io_uring::setup;
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, call};

use crate::issue::Issued;
use crate::locked::Locked;
use crate::op::not_open;
use crate::op::transfer::Direction;
use crate::request::{Req, flag};

/// The last `n` bytes are in, and nothing is missing.
#[inline(always)]
pub(super) fn whole(mut req: Req, n: usize) -> Issued {
    (req.res, req.cflags) = (req.done as i32 + n as i32, 0);
    Issued::Set
}

/// The last `n` bytes of the `left` that were asked for are in: the request succeeds, or is short
/// and fails its link.
pub(super) fn done(ring: &mut Locked<'_>, mut req: Req, n: usize, left: usize) -> Issued {
    let all = req.done as usize + n;
    req.res = all as i32;
    if req.has(flag::MULTISHOT) && all == 0 {
        ring.give_back(req);
    }
    req.cflags = ring.used_buffer(req, all);
    // Less than the buffer holds is no failure of one that goes on.
    if n != left && !req.has(flag::MULTISHOT) && !keeps_link(ring) {
        ring.fail(req);
    }
    Issued::Set
}

/// An error; what earlier attempts did is what counts if there is any.
pub(super) fn failed(ring: &mut Locked<'_>, req: Req, e: Errno) -> Issued {
    let bad_offset = e == Errno::EINVAL && (req.sqe.off as i64) < -1;
    let no_file = || not_open(req) || goes_the_wrong_way(req);
    let e = if bad_offset && no_file() { Errno::EBADF } else { e };
    ring.fail(req);
    answered(ring, req, e)
}

/// What is told of an error.
pub(super) fn answered(ring: &mut Locked<'_>, mut req: Req, e: Errno) -> Issued {
    req.cflags = 0;
    if req.done != 0 {
        req.res = req.done as i32;
        req.cflags = ring.used_buffer(req, req.done as usize);
    } else {
        req.res = e.to_res();
        ring.give_back(req);
        req.cflags = ring.kept_buffer(req);
    }
    Issued::Set
}

/// What a file that is polled answers is told, and never breaks a link: the kernel, which finds it
/// when it polls, does not look at it.
pub(super) fn keeps_link(ring: &Locked<'_>) -> bool {
    ring.ring.shape().has(setup::IOPOLL)
}

/// Whether the file was opened for the other direction only, which the kernel looks at first.
pub(super) fn goes_the_wrong_way(req: Req) -> bool {
    let wrong_way = match Direction::of(req) {
        Direction::Read => g::O_WRONLY,
        Direction::Write => g::O_RDONLY,
    };
    call::file_flags(req.file.fd).is_ok_and(|flags| flags & g::O_ACCMODE == wrong_way)
}
