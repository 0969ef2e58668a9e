//! Time, readiness, and nothing at all.

use std::time::Duration;

use super::handle::{Handle, Place};
use super::operation::Operation;
use super::request::{Completion, Request};
use super::ring::Ring;
use crate::ring::{Sqe, Timespec};
use crate::{Errno, op};
use sysring_sys::Result;

impl Ring {
    /// Ends after this time, of the monotonic clock.
    pub fn sleep(&self, span: Duration) -> Operation<Sleep> {
        self.operation(Sleep { span: span.into() })
    }

    /// Waits until something of `events` holds (`POLLIN`, `POLLOUT`, … of `poll(2)`), and tells
    /// what does. Errors and hang-up are always told.
    pub fn poll(&self, file: &Handle, events: u32) -> Operation<Poll> {
        self.operation(Poll { place: file.place(self), events, _file: file.clone() })
    }

    /// Does nothing, by way of the ring.
    pub fn nop(&self) -> Operation<Nop> {
        self.operation(Nop(()))
    }
}

/// See [`Ring::sleep`].
#[derive(Debug)]
pub struct Sleep {
    span: Timespec,
}

// SAFETY: the entry has the address of the span, which is owned.
unsafe impl Request for Sleep {
    type Output = Result<()>;

    fn entry(&mut self) -> Sqe {
        op::Timeout::new(&raw const self.span).build()
    }

    fn finish(self, completion: Completion) -> Result<()> {
        match completion.result {
            Ok(_) | Err(Errno::ETIME) => Ok(()),
            Err(e) => Err(e),
        }
    }
}

/// See [`Ring::poll`].
#[derive(Debug)]
pub struct Poll {
    place: Place,
    events: u32,
    _file: Handle,
}

// SAFETY: the entry has no address.
unsafe impl Request for Poll {
    type Output = Result<u32>;

    fn entry(&mut self) -> Sqe {
        op::PollAdd::new(self.place, self.events).build()
    }

    fn finish(self, completion: Completion) -> Result<u32> {
        completion.result
    }
}

/// See [`Ring::nop`].
#[derive(Debug)]
pub struct Nop(());

// SAFETY: the entry has no address.
unsafe impl Request for Nop {
    type Output = Result<()>;

    fn entry(&mut self) -> Sqe {
        op::Nop::new().build()
    }

    fn finish(self, completion: Completion) -> Result<()> {
        completion.result.map(drop)
    }
}
