//! Completion: CQEs, overflow, links, and telling those who wait.

use core::sync::atomic::Ordering::Relaxed;

use sysring_protocol::{Completions, Posted};
use sysring_sys::abi::io_uring::{Cqe, cq_flags, cqe_flags, op, setup, sq_flags};
use sysring_sys::odds::likely;
use sysring_sys::{Errno, Fd, call};

use crate::locked::Locked;
use crate::request::{At, Req, Stage, flag};
use crate::ring::Ring;
use crate::{process, stats};

/// An eventfd the application registered, as a duplicate of ours.
#[derive(Clone, Copy, Debug)]
pub struct Eventfd {
    pub fd: Fd,
    /// Only for completions that did not happen inside the submitting call.
    pub only_async: bool,
}

/// Whom to wake once the lock is free.
#[derive(Debug, Default)]
#[must_use]
pub struct Wake {
    sleepers: bool,
}

impl Wake {
    pub fn send(self, ring: &Ring) {
        if self.sleepers {
            // A sleeper that has come back meanwhile finds the count and ignores it.
            ring.ring_bell();
        }
    }
}

impl Locked<'_> {
    /// Posts a CQE: to the ring, or to the overflow list when the ring is full or others wait
    /// there already (their order is kept).
    pub fn post(&mut self, user_data: u64, res: i32, flags: u32) -> bool {
        self.post_wide(user_data, res, flags, [0; 2])
    }

    /// Posts one of several CQEs of a request, if there is room for it. If not, the request ends
    /// with what it has: an endless one must not fill the overflow list.
    pub fn post_more(&mut self, user_data: u64, res: i32, flags: u32) -> bool {
        self.has_room(flags) && self.post(user_data, res, flags | cqe_flags::MORE)
    }

    /// Whether a CQE with these flags would go into the ring.
    #[inline(always)]
    pub fn has_room(&mut self, flags: u32) -> bool {
        Completions::has_room(self, &(Cqe { flags, ..Cqe::default() }, [0; 2]))
    }

    /// As `post`, with the second half of a 32-byte CQE. Whether it went into the ring.
    pub fn post_wide(&mut self, user_data: u64, res: i32, flags: u32, extra: [u64; 2]) -> bool {
        if self.closing {
            return true;
        }
        let cqe = Cqe { user_data, res, flags };
        self.posted += 1;
        if self.has_room(flags) {
            self.cq_put(cqe, extra);
            return true;
        }
        self.post_later(cqe, extra);
        false
    }

    #[cold]
    fn post_later(&mut self, cqe: Cqe, extra: [u64; 2]) {
        stats::add(&stats::get().overflowed, 1);
        if !self.put_off((cqe, extra)) {
            self.cq_count_lost();
        }
    }

    /// Moves what has overflown into the ring, as far as there is room.
    #[inline(always)]
    pub fn flush_overflow(&mut self) {
        if !self.overflow_is_empty() {
            self.posted += self.move_up();
        }
    }

    /// The end of a request: its CQE, its file, the links behind it, its place.
    #[inline(never)]
    pub fn complete(&mut self, mut req: Req, res: i32, cflags: u32) {
        // What has moved already is told, whatever became of the rest.
        req.res = if res < 0 && req.done != 0 { req.done as i32 } else { res };
        req.cflags = cflags;
        if res < 0 {
            req.cflags |= self.kept_buffer(req);
            self.fail(req);
        }
        self.complete_as_set(req);
    }

    /// Marks a request failed: soft links behind it will be cancelled, and it is not silent.
    pub fn fail(&mut self, mut req: Req) {
        req.set(flag::FAIL);
        if req.has(flag::CQE_SKIP) {
            req.clear(flag::CQE_SKIP);
            req.set(flag::SKIP_LINK_CQES);
        }
    }

    /// As `complete`, with result and flags already in the request.
    pub fn complete_as_set(&mut self, req: Req) {
        self.end(req);
    }

    /// The same, where it is worth being inlined.
    #[inline(always)]
    pub fn end(&mut self, req: Req) {
        if likely(!req.is_entangled())
            && self.cq_put_at_once(req.sqe.user_data, req.res, req.cflags)
        {
            self.posted += 1;
            self.outstanding -= 1;
            self.slab.put(req);
        } else {
            self.complete_entangled(req);
        }
    }

    /// The end of a request that has to do with others, or whose CQE must wait.
    #[inline(never)]
    fn complete_entangled(&mut self, mut req: Req) {
        if req.notice.is_some() {
            req.cflags |= cqe_flags::MORE;
        }
        let told = req.has(flag::CQE_SKIP)
            || match req.row.tell {
                None => self.tell(req),
                Some(tell) => tell(self, req),
            };
        // Whoever ends a timer, it is no longer due.
        self.timers.remove(req);
        self.unfile(req);
        self.release_file(req);
        req.copied.free();
        self.keep_promise(req);
        if req.has(flag::ARM_LTIMEOUT | flag::LINK_TIMEOUT | flag::FAIL) {
            self.disarm_next(req);
        }
        if let Some(next) = req.link.take() {
            self.tasks.push(next);
        }
        if told {
            self.forget(req);
        } else {
            self.untold.push(req);
            self.untold_count += 1;
        }
    }

    /// Tells what there was no room for when it was complete, in that order.
    #[inline(always)]
    pub fn tell_untold(&mut self) {
        if !self.untold.is_empty() {
            self.tell_again();
        }
    }

    #[inline(never)]
    fn tell_again(&mut self) {
        while let Some(req) = self.untold.first() {
            self.retelling = true;
            let told = req.row.tell.is_none_or(|tell| tell(self, req));
            self.retelling = false;
            if !told {
                return;
            }
            self.untold.pop();
            self.untold_count -= 1;
            self.forget(req);
        }
    }

    /// Tells a result by a CQE.
    fn tell(&mut self, mut req: Req) -> bool {
        let wide = req.has(flag::WIDE_CQE);
        if wide && self.ring.shape().has(setup::CQE_MIXED) {
            req.cflags |= cqe_flags::CQE32;
        }
        let extra = if wide { req.scratch } else { [0; 2] };
        self.post_wide(req.sqe.user_data, req.res, req.cflags, extra);
        true
    }

    /// A request's place back to the slab.
    #[inline(always)]
    pub fn forget(&mut self, mut req: Req) {
        self.outstanding -= 1;
        if let Some(personality) = req.creds.take() {
            personality.put();
        }
        if req.has(flag::DEFERRED | flag::TAGGED) {
            self.forget_rest(req);
        }
        self.slab.put(req);
    }

    #[cold]
    fn forget_rest(&mut self, req: Req) {
        if req.has(flag::DEFERRED) {
            self.deferred -= 1;
        }
        if req.has(flag::TAGGED) {
            self.release_tags(req);
        }
    }

    /// What the end of `req` means for the links behind it: its timeout ends with it, and its
    /// failure takes the soft ones down.
    fn disarm_next(&mut self, mut req: Req) {
        if req.has(flag::ARM_LTIMEOUT | flag::LINK_TIMEOUT) {
            req.clear(flag::ARM_LTIMEOUT | flag::LINK_TIMEOUT);
            if let Some(timeout) = self.unlink_timeout(req) {
                self.timers.remove(timeout);
                // Not a failure of the timeout: if it was to be silent, it is.
                let mut timeout = timeout;
                timeout.res = Errno::ECANCELED.to_res();
                self.complete_as_set(timeout);
            }
        }
        if req.has(flag::FAIL) && !req.has(flag::HARDLINK) {
            self.fail_links(req);
        }
    }

    /// Takes the LINK_TIMEOUT behind `req` out of the link.
    pub fn unlink_timeout(&mut self, mut req: Req) -> Option<Req> {
        let mut timeout = req.link.filter(|next| next.sqe.opcode == op::LINK_TIMEOUT)?;
        req.link = timeout.link.take();
        req.partner = None;
        timeout.partner = None;
        Some(timeout)
    }

    /// Cancels everything behind `req` in its link.
    fn fail_links(&mut self, mut req: Req) {
        let silent = req.has(flag::SKIP_LINK_CQES);
        let mut at = req.link.take();
        while let Some(mut link) = at {
            at = link.link.take();
            let res = if link.has(flag::FAIL) { link.res } else { Errno::ECANCELED.to_res() };
            if silent {
                link.set(flag::CQE_SKIP);
            } else {
                link.clear(flag::CQE_SKIP);
            }
            link.clear(flag::ARM_LTIMEOUT | flag::LINK_TIMEOUT);
            link.res = res;
            link.cflags = 0;
            if !link.has(flag::CQE_SKIP) {
                self.post(link.sqe.user_data, res, 0);
            }
            self.release_file(link);
            link.copied.free();
            self.keep_promise(link);
            self.forget(link);
        }
    }

    /// Puts a request on the list that cancellation searches.
    pub fn file(&mut self, mut req: Req, stage: Stage) {
        req.stage = At::new(stage);
        if req.has(flag::LISTED) {
            return;
        }
        req.set(flag::LISTED);
        req.flight.prev = None;
        req.flight.next = self.newest;
        if let Some(mut first) = self.newest {
            first.flight.prev = Some(req);
        }
        self.newest = Some(req);
        self.by_data.add(req);
        if self.by_data.is_crowded() {
            self.spread();
        }
    }

    /// Makes one that is in the list the newest.
    pub fn refile(&mut self, req: Req) {
        let stage = req.stage.get();
        self.unfile(req);
        self.file(req, stage);
    }

    /// Takes it off.
    #[inline(always)]
    pub fn unfile(&mut self, req: Req) {
        if req.has(flag::LISTED) {
            self.unlist(req);
        }
    }

    fn unlist(&mut self, mut req: Req) {
        req.clear(flag::LISTED);
        match req.flight.prev {
            Some(mut prev) => prev.flight.next = req.flight.next,
            None => self.newest = req.flight.next,
        }
        if let Some(mut next) = req.flight.next {
            next.flight.prev = req.flight.prev;
        }
        self.by_data.remove(req);
    }

    /// After a stretch of work, before the lock is let go: what others must be told.
    pub fn commit(&mut self) -> Wake {
        let inlined = core::mem::take(&mut self.inlined);
        if inlined != 0 {
            stats::add(&stats::get().inline, u64::from(inlined));
        }
        let handed_back = self.hand_back();
        if self.posted == 0 {
            return Wake { sleepers: handed_back || self.timers_concern_sleepers() };
        }
        stats::add(&stats::get().completed, u64::from(self.posted));
        (self.posted, self.looks) = (0, 0);
        self.timers_by_count();
        self.run_tasks();
        self.signal_eventfd();
        self.posted_remotely = false;
        let sleeping = self.ring.sleepers.load(Relaxed) != 0;
        let others = self.ring.shape().has(sysring_sys::abi::io_uring::setup::SQPOLL)
            || self.ring.is_shared();
        if !sleeping || others {
            self.tell_pollers();
            self.see_that_it_is_lowered();
        }
        let enough = sleeping && {
            let posted = self.posted();
            self.waiters.are_to_wake(&posted)
        };
        Wake { sleepers: handed_back || enough || self.timers_concern_sleepers() }
    }

    /// What there is, for those who sleep for it.
    pub fn posted(&mut self) -> Posted {
        Posted {
            tail: self.counts().cq_tail,
            fired: self.timers.fired,
            overflown: !self.overflow_is_empty(),
        }
    }

    /// Whether a timer was set that is due before the sleepers would wake, or one went off.
    fn timers_concern_sleepers(&self) -> bool {
        self.ring.sleepers.load(Relaxed) != 0
            && (self.timers.fired != self.asleep.fired
                || self.timers.next_deadline().is_some_and(|due| due < self.asleep.until))
    }

    pub fn signal_eventfd(&mut self) {
        let Some(eventfd) = self.eventfd else { return };
        if eventfd.only_async && !self.posted_remotely {
            return;
        }
        if self.ring.cq_flags().load(Relaxed) & cq_flags::EVENTFD_DISABLED != 0 {
            return;
        }
        self.told = self.told.wrapping_add(1);
        let _ = call::eventfd_add(eventfd.fd, 1);
    }

    /// Makes the ring descriptor readable if there are completions, and not if there are none.
    pub fn tell_pollers(&mut self) {
        let ready = self.cq_ready() != 0 || !self.overflow_is_empty() || self.announced;
        self.told = self.told.wrapping_add(u32::from(ready));
        if ready == self.counts().signalled {
            // An edge-triggered poller takes the completions without an `enter`, and hears of the
            // next ones only if each batch is told anew. So do sleepers of other processes.
            // So does who polls without our knowledge, and does not wait in `enter`.
            let perhaps = process::is_unheard() && !self.waits;
            if ready && (self.ring.watched.load(Relaxed) || self.ring.is_shared() || perhaps) {
                let _ = call::eventfd_add(self.readiness.shown(), 1);
            }
            return;
        }
        if ready {
            let _ = call::eventfd_add(self.readiness.shown(), 1);
        } else if self.waits && !self.asked && !self.ring.watched.load(Relaxed) {
            // A program that waits in `enter` does not poll the descriptor meanwhile: spare it
            // two system calls a round. A poller would see readiness once too often and then
            // enter, because of the flag, and ask for events.
            self.ring.sq_flags().fetch_or(sq_flags::TASKRUN, Relaxed);
            return;
        } else if self.is_unheard() {
            return self.see_that_it_is_lowered();
        } else {
            let _ = call::eventfd_take(self.readiness.shown());
        }
        self.counts().signalled = ready;
    }
}
