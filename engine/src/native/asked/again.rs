//! Calls that are made more than once: the rest of a transfer, and what failed for now.

use sysring_events::attr::{Full, Retry};
use sysring_sys::{Errno, call};

use super::Asked;
use super::can;

/// What follows an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Nothing: it is the call's.
    Over,
    /// The call is made once more: for the rest, or because a signal came.
    Now,
    /// The same after a [pause](Asked::pause): what is asked at once would not have changed.
    Later,
}

/// How long is waited before the first time that `EAGAIN` is tried again, in nanoseconds. It is doubled
/// for each other, so often at most.
const FIRST: i64 = 1_000_000;
const DOUBLINGS: u64 = 7;

impl Asked {
    /// Whether the call is to be made once more after this answer.
    pub(super) fn next(&mut self, answer: isize) -> Next {
        match Errno::from_ret(answer) {
            Err(e @ (Errno::EINTR | Errno::EAGAIN)) if self.is_asked::<Retry>() => {
                if self.retries >= self.wanted.retries().into() || self.is_late() {
                    return Next::Over;
                }
                self.retries += 1;
                self.pauses = e == Errno::EAGAIN;
                if self.pauses { Next::Later } else { Next::Now }
            }
            Ok(n) if self.is_asked::<Full>() && n != 0 && n < self.left() => Next::Now,
            _ => Next::Over,
        }
    }

    /// Waits before the call is tried again, if that is due, on the thread that will make it; a signal
    /// ends it.
    pub(super) fn pause(&mut self) {
        if core::mem::take(&mut self.pauses) {
            call::nanosleep(FIRST << (self.retries - 1).min(DOUBLINGS));
        }
    }

    /// Bytes that have not moved.
    fn left(&self) -> usize {
        match &self.vector {
            Some(vector) => vector.iov_len as usize,
            None => self.call.args[2],
        }
    }

    pub(super) fn advance(&mut self, answer: isize) {
        let Ok(n) = Errno::from_ret(answer) else { return };
        self.moved += n;
        match &mut self.vector {
            Some(vector) => {
                vector.iov_base = vector.iov_base.cast::<u8>().wrapping_add(n).cast();
                vector.iov_len -= n as u64;
            }
            None => {
                self.call.args[1] = self.call.args[1].wrapping_add(n);
                self.call.args[2] -= n;
            }
        }
        if can::has_offset(&self.call) {
            self.call.args[3] += n;
        }
    }

    /// With what had moved before.
    pub(super) fn whole(&self, answer: isize) -> isize {
        match (Errno::from_ret(answer), self.moved) {
            (_, 0) => answer,
            (Ok(n), moved) => (moved + n) as isize,
            (Err(_), moved) => moved as isize,
        }
    }
}
