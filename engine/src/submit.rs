//! Submission: from SQEs in shared memory to accepted requests, links and drains.

use sysring_sys::abi::io_uring::{Sqe, op, setup, sqe_flags};
use sysring_sys::odds::unlikely;
use sysring_sys::{Errno, Result};

use crate::locked::Locked;
use crate::op::table::{self, Row, row_flag};
use crate::personality::Personality;
use crate::request::{At, Req, Stage, flag};
use crate::stats;

/// A link under construction.
#[derive(Default)]
struct Link {
    head: Option<Req>,
    last: Option<Req>,
}

/// What is left of a batch.
struct Batch {
    /// Entries to be taken, with the one in hand.
    left: u32,
    /// Where the one in hand lies.
    index: u32,
}

/// Flags that change nothing about how a request is taken.
const COMMON: u8 =
    sqe_flags::FIXED_FILE | sqe_flags::IO_LINK | sqe_flags::IO_HARDLINK | sqe_flags::ASYNC;

/// Of these, what holds for a request that is not refused.
const HELD: u32 = flag::FIXED_FILE | flag::ASYNC;

impl Locked<'_> {
    /// Takes up to `want` SQEs; how many were taken.
    ///
    /// # Errors
    /// `EAGAIN` where not even one request could be allocated.
    pub fn submit(&mut self, want: u32) -> Result<u32> {
        let count = want.min(self.sq_available());
        let end = self.sq_position().wrapping_add(count);
        let mut link = Link::default();
        let mut batch = Batch { left: count, index: 0 };
        let rewinds = self.ring.shape().has(setup::SQ_REWIND);
        self.hints.begin_submission();
        self.ahead.begin_submission(end);
        while batch.left != 0 {
            // Another thread may have taken some: an operation can let go of the lock (MSG_RING).
            if !rewinds && !self.sq_is_before(end) {
                break;
            }
            let ring = self.ring;
            let Ok(req) = self.slab.take(ring) else { break };
            let Some((sqe, index)) = self.sq_take() else {
                self.slab.put(req);
                break;
            };
            batch.index = index;
            let accepted = self.accept(req, &sqe, &mut link, &mut batch);
            batch.left -= 1;
            if accepted.is_err() && !self.ring.shape().has(setup::SUBMIT_ALL) {
                break;
            }
        }
        // What is run from here on looks no further: the batch may have broken off.
        self.ahead.end_submission();
        let taken = count - batch.left;
        if let Some(mut head) = link.head.take() {
            head.set(flag::LEFT_OPEN);
            self.start_link(head);
        }
        self.run_tasks();
        self.keep_credentials();
        self.hints.end_submission();
        self.sq_publish();
        self.aio_submit();
        stats::add(&stats::get().submitted, u64::from(taken));
        if taken == 0 && count != 0 && self.sq_available() == count {
            return Err(Errno::EAGAIN);
        }
        Ok(taken)
    }

    /// One SQE: prepared, put into its link, and started if it is the last of it. An error is
    /// already on its way to the CQ; it only says that the batch ends here.
    fn accept(
        &mut self,
        mut req: Req,
        sqe: &Sqe,
        link: &mut Link,
        batch: &mut Batch,
    ) -> Result<()> {
        self.outstanding += 1;
        req.begin(sqe, table::of(sqe.opcode));
        let prepared = self
            .prepare(req, link, batch)
            .and_then(|()| self.filters.check(req))
            .and_then(|()| if self.waits_its_turn(link) { self.sign(req) } else { Ok(()) });
        if let Err(e) = prepared {
            return self.refuse(req, e, link);
        }
        if unlikely(link.last.is_some() || req.has(flag::LINK | flag::HARDLINK)) {
            self.link_up(req, link);
        } else {
            self.start(req);
        }
        Ok(())
    }

    /// Puts a request behind the others of its link, which starts with its last.
    #[inline(never)]
    fn link_up(&mut self, req: Req, link: &mut Link) {
        match &mut link.last {
            Some(last) => last.link = Some(req),
            None => link.head = Some(req),
        }
        link.last = Some(req);
        if !req.has(flag::LINK | flag::HARDLINK)
            && let Some(head) = core::mem::take(link).head
        {
            self.start_link(head);
        }
    }

    /// Whether the request in hand is behind others, so that somebody else may come to begin it.
    #[inline(always)]
    fn waits_its_turn(&self, link: &Link) -> bool {
        link.last.is_some() || self.drain_active
    }

    /// Notes whose a request is, if that matters.
    ///
    /// # Errors
    /// `ENOMEM`: too many different ones have requests that wait.
    #[cold]
    fn sign(&mut self, mut req: Req) -> Result<()> {
        if req.creds.is_some() || !req.row.has(row_flag::AS_SUBMITTER) {
            return Ok(());
        }
        let me = match self.me {
            Some(me) => me,
            None => *self.me.insert(Personality::of_caller()?),
        };
        me.hold();
        req.creds = Some(me);
        Ok(())
    }

    /// The end of a submission: what was signed and still waits needs a thread that stays what this
    /// one is now.
    fn keep_credentials(&mut self) {
        if let Some(me) = self.me.take() {
            me.attend_if_wanted();
            me.put();
        }
    }

    /// A request that failed to prepare. In a link it stays in its place and fails the link when
    /// it is started, so that a link is never broken in the middle.
    #[cold]
    fn refuse(&mut self, mut req: Req, e: Errno, link: &mut Link) -> Result<()> {
        req.res = e.to_res();
        self.fail(req);
        if let Some(mut head) = link.head
            && !head.has(flag::FAIL)
        {
            head.res = Errno::ECANCELED.to_res();
            self.fail(head);
        }
        if let Some(mut last) = link.last {
            last.link = Some(req);
        }
        if req.has(flag::LINK | flag::HARDLINK) {
            link.head = link.head.or(Some(req));
            link.last = Some(req);
            return Ok(());
        }
        link.last = None;
        let head = link.head.take().unwrap_or(req);
        self.start_link(head);
        Err(e)
    }

    /// Checks what is common to all operations, then what is the operation's own.
    fn prepare(&mut self, mut req: Req, link: &mut Link, batch: &mut Batch) -> Result<()> {
        let given = req.sqe.flags;
        let row = req.row;
        if row.has(row_flag::UNKNOWN | row_flag::WIDE_SQE) {
            self.prepare_peculiar(req, batch)?;
        }
        req.set(u32::from(given) & HELD);
        if given & !COMMON != 0 {
            self.prepare_uncommon(req, row, link)?;
        }
        if self.restrictions.is_some() {
            self.check_restrictions(req)?;
        }
        if self.drain_active {
            self.prepare_behind_drain(req, link);
        }
        if !row.has(row_flag::IOPRIO) && req.sqe.ioprio != 0 {
            return Err(Errno::EINVAL);
        }
        if !row.has(row_flag::POLLED) && self.ring.shape().has(setup::IOPOLL) {
            return Err(Errno::EINVAL);
        }
        if req.sqe.personality != 0 {
            self.assume(req)?;
        }
        (row.prepare)(self, req)?;
        if unlikely(req.sqe.opcode == op::LINK_TIMEOUT) {
            // It watches the request before it, which must be told.
            let Some(mut watched) = link.last else { return Err(Errno::EINVAL) };
            if watched.sqe.opcode == op::LINK_TIMEOUT {
                return Err(Errno::EINVAL);
            }
            watched.set(flag::ARM_LTIMEOUT);
        }
        Ok(())
    }

    /// Refuses what the ring's restrictions do not allow.
    #[cold]
    fn check_restrictions(&self, req: Req) -> Result<()> {
        match &self.restrictions {
            Some(restrictions) if !restrictions.allow(&req.sqe) => Err(Errno::EACCES),
            _ => Ok(()),
        }
    }

    /// Gives a request the credentials that its SQE names.
    #[cold]
    fn assume(&mut self, mut req: Req) -> Result<()> {
        let number = req.sqe.personality;
        req.creds = Some(self.personalities.get(number)?);
        Ok(())
    }

    /// No operation, or one whose SQE has 128 bytes: as all of this ring's have, or it takes two
    /// places.
    #[cold]
    fn prepare_peculiar(&mut self, mut req: Req, batch: &mut Batch) -> Result<()> {
        if req.row.has(row_flag::UNKNOWN) {
            req.sqe.opcode = op::NOP;
            req.row = table::of(op::NOP);
            return Err(Errno::EINVAL);
        }
        let shape = self.ring.shape();
        if shape.has(setup::SQE128) {
            return Ok(());
        }
        let is_last_place = batch.index + 1 == self.ring.sq_size();
        if !shape.has(setup::SQE_MIXED) || batch.left < 2 || is_last_place {
            return Err(Errno::EINVAL);
        }
        self.sq_take_half();
        batch.left -= 1;
        Ok(())
    }

    /// Behind a drain all that comes waits; what follows a link with a drain inside is one itself. (Until
    /// that has come there is a drain: `run_drain` does not end it before.)
    #[cold]
    fn prepare_behind_drain(&mut self, mut req: Req, link: &Link) {
        req.set(flag::ASYNC);
        if self.drain_next && link.head.is_none() {
            self.drain_next = false;
            req.set(flag::DRAIN);
        }
    }

    #[cold]
    fn prepare_uncommon(&mut self, mut req: Req, row: &Row, link: &mut Link) -> Result<()> {
        let given = req.sqe.flags;
        if given & !sqe_flags::ALL != 0 {
            return Err(Errno::EINVAL);
        }
        if given & sqe_flags::BUFFER_SELECT != 0 {
            if !row.has(row_flag::BUFFER_SELECT) {
                return Err(Errno::EOPNOTSUPP);
            }
            req.set(flag::BUFFER_SELECT);
        }
        if given & sqe_flags::CQE_SKIP_SUCCESS != 0 {
            self.drain_disabled = true;
        }
        if given & sqe_flags::IO_DRAIN != 0 {
            if self.drain_disabled {
                return Err(Errno::EOPNOTSUPP);
            }
            self.drain_active = true;
            if let Some(mut head) = link.head {
                // In the middle of a link: the link as a whole waits, and so does what comes
                // after it.
                head.set(flag::DRAIN | flag::ASYNC);
                self.drain_next = true;
            }
            req.set(flag::DRAIN | flag::ASYNC);
        }
        Ok(())
    }

    /// Starts a link, or what is left of one that failed to assemble.
    fn start_link(&mut self, mut head: Req) {
        if head.has(flag::FAIL) {
            // Hard links do not survive a failure to assemble.
            if head.has(flag::HARDLINK) {
                head.clear(flag::HARDLINK);
                head.set(flag::LINK);
            }
            self.complete_as_set(head);
            self.run_drain();
        } else {
            self.start(head);
        }
    }

    /// Starts a request whose turn in its link it is: now, or behind a drain.
    #[inline(always)]
    pub fn start(&mut self, req: Req) {
        if self.drain_active && self.must_queue_for_drain(req) {
            self.queue_for_drain(req);
        } else {
            self.send(req);
        }
    }

    #[cold]
    fn queue_for_drain(&mut self, req: Req) {
        let mut member = Some(req);
        while let Some(mut r) = member {
            r.set(flag::DEFERRED);
            self.deferred += 1;
            member = r.link;
        }
        self.drain.push(req);
        self.run_drain();
    }

    fn must_queue_for_drain(&self, req: Req) -> bool {
        req.has(flag::DRAIN) || !self.drain.is_empty()
    }

    /// Lets go what the drain queue held back, as far as it may.
    pub fn run_drain(&mut self) {
        while let Some(first) = self.drain.first() {
            // A drain waits until everything accepted before it is complete: all that is
            // outstanding and not in this queue.
            if first.has(flag::DRAIN) && self.outstanding != self.deferred {
                return;
            }
            let Some(req) = self.drain.pop() else { return };
            let mut member = Some(req);
            while let Some(mut r) = member {
                r.clear(flag::DEFERRED);
                self.deferred -= 1;
                member = r.link;
            }
            self.issue(req);
        }
        self.drain_active = self.drain_next;
    }

    /// Runs what completions have set free: the rest of links, and the drain queue.
    #[inline(always)]
    pub fn run_tasks(&mut self) {
        let any = !(self.tasks.is_empty() && self.drain.is_empty() && self.handed_back.is_empty());
        if any && !self.is_guest() {
            self.run_all_tasks();
        }
    }

    #[inline(never)]
    fn run_all_tasks(&mut self) {
        if self.acting().is_none() && !self.handed_back.is_empty() {
            // One by one, for they are listed as held: who cancelled one would look for it there.
            while let Some(mut req) = self.handed_back.pop() {
                self.unfile(req);
                req.stage = At::new(Stage::Queued);
                self.tasks.push(req);
            }
        }
        loop {
            while let Some(mut req) = self.tasks.pop() {
                let softly = req.row.has(row_flag::CANCELS_SOFTLY);
                if req.has(flag::TAKEN_DOWN) && softly {
                    req.res = Errno::ECANCELED.to_res();
                    self.complete_as_set(req);
                } else if req.has(flag::TAKEN_DOWN) {
                    self.complete(req, Errno::ECANCELED.to_res(), 0);
                } else if req.has(flag::NOTICE) {
                    self.complete_as_set(req);
                } else {
                    self.issue(req);
                }
            }
            if self.drain.is_empty() {
                return;
            }
            self.run_drain();
            if self.tasks.is_empty() {
                return;
            }
        }
    }
}
