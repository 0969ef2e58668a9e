//! Who would only wait for a worker makes the call itself.
//!
//! That is so where nothing else can bring it back before: what is out is one request that ends by
//! itself, with the links behind it; as many completions are waited for, without a limit of time. The
//! application gets the plain call that it would have made without a ring, and no thread is started or
//! woken for it. (What another thread brings to the ring meanwhile goes on, and is seen by this one when
//! the call is over.)

use core::sync::atomic::Ordering::Relaxed;

use sysring_sys::abi::signal::{SIG_SETMASK, SigSet};
use sysring_sys::call;

use crate::locked::Locked;
use crate::request::{Req, flag};
use crate::wq;

impl Locked<'_> {
    /// The one request that everything waits for, taken back before a worker hears of it. `missing`: how
    /// many completions the caller waits for.
    pub fn sole_job(&mut self, missing: u32) -> Option<Req> {
        if self.punted_count != 1 || self.ring.is_shared() || self.ring.sleepers.load(Relaxed) != 0
        {
            return None;
        }
        let req = self.punted.first()?;
        if !req.is_bounded() || req.has(flag::ASYNC) {
            return None;
        }
        let (mut count, mut at) = (1, req.link);
        while let Some(link) = at {
            (count, at) = (count + 1, link.link);
        }
        if self.outstanding != count || missing < count {
            return None;
        }
        self.punted_count = 0;
        self.inlined += 1;
        self.punted.pop()
    }

    /// Makes its call, with the signal mask that the caller would have slept with: a signal does to the
    /// call what it does to a plain one, and ends a process that waits for a server which is gone.
    pub fn lend_a_hand(self, mut req: Req, mask: Option<SigSet>) -> Self {
        let (ring, tid) = (self.ring, call::gettid());
        wq::begin_alone(req, tid);
        drop(self);
        let before = mask.and_then(|mask| call::sigprocmask(SIG_SETMASK, Some(mask)).ok());
        ring.orders().begin_work(tid);
        req.res = wq::run(req);
        ring.orders().end_work(tid);
        if before.is_some() {
            let _ = call::sigprocmask(SIG_SETMASK, before);
        }
        let mut locked = ring.lock_again();
        locked.worked(req);
        locked
    }
}
