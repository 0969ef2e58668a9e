//! What is asked of calls that are pending: kept in a block of the request's, whose address stands
//! in its entry.

use core::ptr::NonNull;

use sysring_events::attr::{Answers, Path};
use sysring_sys::abi::aio::Iocb;
use sysring_sys::abi::io_uring::{Sqe, op, timeout};
use sysring_sys::{Errno, Result};

use super::{Asked, Next};
use crate::locked::Locked;
use crate::memory;
use crate::native::{Then, keep};
use crate::op::table;
use crate::request::{Req, flag};

impl Asked {
    /// Puts it into a block, for a request.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn keep(self) -> Result<NonNull<Asked>> {
        let block = memory::allocate(size_of::<Asked>())?.cast::<Asked>();
        // SAFETY: the block is large enough, aligned to 64, and nobody else's.
        unsafe { block.write(self) };
        // SAFETY: just written.
        unsafe { (*block.as_ptr()).own_vector() };
        Ok(block)
    }
}

/// Gives a block back.
///
/// # Safety
/// [`Asked::keep`] made it, and nobody uses it any more.
pub unsafe fn release(block: NonNull<Asked>) {
    // SAFETY: the caller's promise.
    unsafe { memory::release(block.cast(), size_of::<Asked>()) };
}

/// Hands a block to its request, which goes on where the call had come to.
pub fn attach(mut req: Req, block: NonNull<Asked>) {
    // SAFETY: the block is the request's from now on.
    let asked = unsafe { block.as_ref() };
    req.sqe.off = block.as_ptr() as u64;
    req.call = asked.call;
    req.done = asked.moved as u32;
}

#[inline]
fn of<'a>(req: Req) -> Option<&'a mut Asked> {
    // SAFETY: `attach` has put it there, or it is null; who has the request has its block.
    unsafe { (req.sqe.off as usize as *mut Asked).as_mut() }
}

/// Before a system call for the request, by the thread that makes it.
///
/// # Errors
/// The call is not to be made: this is its answer.
#[inline]
pub fn before(req: Req) -> Result<()> {
    of(req).map_or(Ok(()), Asked::before)
}

/// Before that, on a thread that may be kept.
#[inline]
pub fn pause(req: Req) {
    if let Some(asked) = of(req) {
        asked.pause();
    }
}

/// After it.
#[inline]
pub fn after(req: Req) {
    if let Some(asked) = of(req) {
        asked.after();
    }
}

/// Before kernel AIO has it: by this thread, and with its priority or the one that is asked for.
pub fn hand_over(req: Req, request: &mut Iocb) {
    if let Some(asked) = of(req) {
        asked.hand_over(request);
    }
}

/// When it is complete, which nobody is there to see: this is when it was heard of.
pub fn take_back(req: Req) {
    if let Some(asked) = of(req) {
        asked.take_back();
    }
}

/// Which way it goes on.
#[inline]
pub fn take_path(req: Req, then: Then) {
    if let Some(asked) = of(req) {
        asked.path = match then {
            Then::Ready(_) => Path::Readiness,
            Then::Aio => Path::Aio,
            Then::Worker | Then::Sleeper => Path::Worker,
        };
    }
}

/// Whether the call is to be made once more after this answer. The request is then behind what has
/// moved.
#[inline]
pub fn next(ring: &mut Locked<'_>, mut req: Req, answer: isize) -> Next {
    let Some(asked) = of(req) else { return Next::Over };
    if req.has(flag::CANCELED) {
        return Next::Over;
    }
    // What is left is known of the request's own copy of the vector.
    if let Some(vector) = &mut asked.vector {
        vector.iov_len = (asked.data.1 - (req.done as usize).min(asked.data.1)) as _;
    } else {
        asked.call.args[2] = req.call.args[2];
    }
    let next = asked.next(answer);
    if next == Next::Over || ring.stabilise(req).is_err() {
        return Next::Over;
    }
    let moved = Errno::from_ret(answer).unwrap_or(0);
    if !keep::advance(req, moved) {
        return Next::Over;
    }
    req.done += moved as u32;
    next
}

/// Makes `timer` the one that cancels a request when its time is up: a linked timeout that nobody
/// hears of.
pub fn add_deadline(locked: &mut Locked<'_>, mut timer: Req, mut req: Req, at: u64) {
    locked.outstanding += 1;
    let sqe = Sqe { opcode: op::LINK_TIMEOUT, op_flags: timeout::ABS, ..Sqe::default() };
    timer.begin(&sqe, table::of(op::LINK_TIMEOUT));
    timer.scratch[0] = at.min(i64::MAX as u64);
    timer.set(flag::CQE_SKIP);
    req.link = Some(timer);
    req.set(flag::ARM_LTIMEOUT);
}

/// The values that go with the answer of a request.
#[inline]
pub fn answer(req: Req, result: isize, answers: &mut Answers<'_>) {
    if let Some(asked) = of(req) {
        asked.answer(result, answers);
    }
}

/// The request has been told.
#[inline]
pub fn forget(mut req: Req) {
    if let Some(block) = NonNull::new(req.sqe.off as usize as *mut Asked) {
        req.sqe.off = 0;
        // SAFETY: `keep` made it for the request, which has now forgotten it.
        unsafe { release(block) };
    }
}
