//! Reading and writing: plain, vectored, and in registered buffers.
//!
//! An attempt is `preadv2` or `pwritev2` with `RWF_NOWAIT`. What it answers decides the rest of
//! the road: a miss in the page cache goes to a worker, an empty pipe or socket parks, a file
//! opened with `O_DIRECT` goes to kernel AIO without an attempt (there `NOWAIT` would wait).

mod ahead;
mod answer;
mod attempt;
mod finish;
mod issue;
mod polled;
mod prepare;
mod stream;

use crate::op::transfer::Direction;
use crate::request::Req;

pub(crate) use ahead::Ahead;
pub(crate) use finish::{finish, work};
pub(crate) use issue::{
    issue, issue_fixed, issue_multishot, issue_vectored, issue_vectored_fixed, keep_buffer,
};
pub(crate) use prepare::{
    prepare, prepare_fixed, prepare_multishot, prepare_vectored, prepare_vectored_fixed,
};

/// What its file is waited for.
pub(crate) fn readiness(req: Req) -> u32 {
    Direction::of(req).readiness()
}
