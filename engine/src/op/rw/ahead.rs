//! Reads that stand behind each other in the queue and in their file: one system call makes several.
//!
//! One that goes on where the latest ended reads for those that follow it in the submission, too. When their
//! turn comes, and they ask for just that, it is done: they were as good as accepted, because nothing that
//! could refuse them is in force. Only what was read whole counts. Where the answer is short (the file ends,
//! the rest is not cached, memory cannot be written to), the request that it concerns asks again for itself,
//! and hears the reason.

use core::mem;

use sysring_sys::User;
use sysring_sys::abi::Iovec;
use sysring_sys::abi::io_uring::{Sqe, op, setup, sqe_flags};
use sysring_sys::call::{self, Offset, RwFlags, Vector};
use sysring_sys::odds::likely;

use super::answer::whole;
use crate::hints::hint;
use crate::issue::Issued;
use crate::locked::Locked;
use crate::request::{Req, flag};

/// As many in one call.
const MOST: usize = 32;
/// And as many bytes: where each is long, its system call matters little.
const ENOUGH: usize = 256 << 10;

/// What was read for requests that are still to come. What every read asks comes first.
#[derive(Debug)]
#[repr(C)]
pub struct Ahead {
    /// Where the latest read ended, in whichever file.
    goes_on: u64,
    /// A submission lasts, and up to here in the queue.
    looks: bool,
    end: u32,
    /// Of the buffers, those that are full and not asked for yet.
    next: usize,
    full: usize,
    /// Where the queue is when the next of them is issued.
    position: u32,
    /// How their file is named, and where the next of them begins in it.
    file: Named,
    at: u64,
    buffers: [Iovec; MOST],
}

/// A file as an SQE names it: a number, or an index of the registered ones.
type Named = (i32, bool);

impl Ahead {
    pub const fn new() -> Ahead {
        let none = Iovec { iov_base: core::ptr::null_mut(), iov_len: 0 };
        let buffers = [none; MOST];
        Ahead {
            goes_on: 0,
            looks: false,
            end: 0,
            next: 0,
            full: 0,
            position: 0,
            file: (-1, false),
            at: 0,
            buffers,
        }
    }

    /// A submission begins that goes up to a position of the queue.
    pub fn begin_submission(&mut self, end: u32) {
        self.end_submission();
        (self.looks, self.end) = (true, end);
    }

    /// It ends, or nothing more is to be had of it.
    pub fn end_submission(&mut self) {
        (self.looks, self.next, self.full) = (false, 0, 0);
    }

    #[inline(always)]
    fn is_empty(&self) -> bool {
        self.next == self.full
    }

    /// The length of what a request asks for, if that has been read, next.
    fn take(&mut self, req: Req, position: u32) -> Option<usize> {
        let sqe = &req.sqe;
        let buffer = self.buffers[self.next];
        let is_it = is_plain(sqe)
            && position == self.position
            && (named(sqe), sqe.off) == (self.file, self.at)
            && (sqe.addr as usize, sqe.len as usize)
                == (buffer.iov_base.addr(), buffer.iov_len as usize);
        is_it.then(|| {
            self.next += 1;
            self.position = position.wrapping_add(1);
            self.at += u64::from(sqe.len);
            sqe.len as usize
        })
    }

    /// Notes that a read is to be made, too: whether there is room for another.
    fn add(&mut self, count: &mut usize, total: &mut usize, sqe: &Sqe) -> bool {
        let iov_base = sqe.addr as usize as *mut _;
        self.buffers[*count] = Iovec { iov_base, iov_len: sqe.len as _ };
        *count += 1;
        *total += sqe.len as usize;
        *count < MOST && *total < ENOUGH
    }
}

fn named(sqe: &Sqe) -> Named {
    (sqe.fd, sqe.flags & sqe_flags::FIXED_FILE != 0)
}

/// Whether it is a READ from a place in its file, with nothing special about it.
fn is_plain(sqe: &Sqe) -> bool {
    let plain = Sqe {
        opcode: op::READ,
        flags: sqe.flags & sqe_flags::FIXED_FILE,
        fd: sqe.fd,
        off: sqe.off,
        addr: sqe.addr,
        len: sqe.len,
        user_data: sqe.user_data,
        ..Sqe::default()
    };
    *sqe == plain && sqe.len != 0 && (sqe.len as usize) < ENOUGH && sqe.off < i64::MAX as u64 / 2
}

impl Locked<'_> {
    /// A read that was made with those before it, or is made with those behind it.
    #[inline(always)]
    pub(super) fn read_together(&mut self, req: Req) -> Option<Issued> {
        let end = req.sqe.off.wrapping_add(req.sqe.len.into());
        let latest = mem::replace(&mut self.ahead.goes_on, end);
        if likely(latest != req.sqe.off) {
            return None;
        }
        self.read_for_others(req)
    }

    #[inline(never)]
    fn read_for_others(&mut self, req: Req) -> Option<Issued> {
        let position = self.sq_position();
        if !self.ahead.is_empty() {
            if let Some(len) = self.ahead.take(req, position) {
                return Some(whole(req, len));
            }
            // They are not what they were, or others came between.
            self.ahead.end_submission();
        }
        if !self.ahead.looks || !self.sq_is_before(self.ahead.end) {
            return None;
        }
        if !self.may_read_for_others(req) {
            self.ahead.end_submission();
            return None;
        }
        let (count, total) = self.gather(req);
        if count == 1 {
            return None;
        }
        let vec = Vector { address: User::of(self.ahead.buffers.as_ptr()), count };
        // SAFETY: the buffers are the application's, which asked for it.
        let answer =
            unsafe { call::preadv2(req.file.fd, vec, Offset(req.sqe.off as i64), RwFlags::NOWAIT) };
        let mut left = answer.unwrap_or(0);
        if left != total {
            // The rest would fare no better.
            self.ahead.looks = false;
        }
        let mut full = 0;
        while full < count
            && let Some(rest) = left.checked_sub(self.ahead.buffers[full].iov_len as usize)
        {
            (full, left) = (full + 1, rest);
        }
        if full == 0 {
            return None;
        }
        let len = req.sqe.len;
        (self.ahead.next, self.ahead.full) = (1, full);
        self.ahead.position = position.wrapping_add(1);
        (self.ahead.file, self.ahead.at) = (named(&req.sqe), req.sqe.off + u64::from(len));
        Some(whole(req, len as usize))
    }

    /// Whether a request is one that reads for others, on a ring where nothing could refuse these, or have
    /// them wait.
    fn may_read_for_others(&mut self, req: Req) -> bool {
        let hint = self.hints.look(req.file.fd);
        hint & (hint::REGULAR | hint::DIRECT | hint::READ_WAITS) == hint::REGULAR
            && is_plain(&req.sqe)
            && req.done == 0
            && !(req.file.owned || req.has(flag::ASYNC))
            && self.worker.is_none()
            && !(self.closing || self.drain_active)
            && self.restrictions.is_none()
            && self.filters.is_none()
            && !self.ring.shape().has(setup::IOPOLL)
    }

    /// Collects the buffers of a request and of those that follow it: how many, and how much they hold.
    fn gather(&mut self, req: Req) -> (usize, usize) {
        let (mut count, mut total) = (0, 0);
        let mut last = req.sqe;
        let mut position = self.sq_position();
        while self.ahead.add(&mut count, &mut total, &last) && position != self.ahead.end {
            let after = last.off + u64::from(last.len);
            match self.sq_peek(position) {
                Some(sqe) if is_plain(&sqe) && (named(&sqe), sqe.off) == (named(&last), after) => {
                    last = sqe;
                }
                _ => break,
            }
            position = position.wrapping_add(1);
        }
        (count, total)
    }
}
