//! Notifications: a second CQE that follows the one with a request's result.
//!
//! As in the kernel one is a request of its own, made when the other is accepted, so that nothing
//! that becomes of that one can lose it.

use sysring_sys::Result;
use sysring_sys::abi::io_uring::{Sqe, cqe_flags, op};

use crate::locked::Locked;
use crate::op::table;
use crate::request::{Req, flag};

impl Locked<'_> {
    /// Makes the notification of a request that is being prepared; its result is 0.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn promise_notice(&mut self, mut req: Req) -> Result<Req> {
        let ring = self.ring;
        let mut notice = self.slab.take(ring)?;
        let user_data = req.sqe.user_data;
        notice.begin(&Sqe { opcode: op::NOP, user_data, ..Sqe::default() }, table::of(op::NOP));
        notice.set(flag::NOTICE);
        (notice.res, notice.cflags) = (0, cqe_flags::NOTIF);
        req.notice = Some(notice);
        Ok(notice)
    }

    /// The request is over: what it has promised is to be told. Only now something that drains
    /// must wait for it, or it would wait for itself.
    #[inline]
    pub fn keep_promise(&mut self, mut req: Req) {
        if let Some(notice) = req.notice.take() {
            self.outstanding += 1;
            self.tasks.push(notice);
        }
    }
}
