//! A context: where calls that are pending live, and where their answers come.

use core::sync::atomic::AtomicU8;
use core::sync::atomic::Ordering::Relaxed;

use sysring_events::attr::{Answers, Attribute, Cache, Deadline, Wanted};
use sysring_events::{Config, Seen};
use sysring_sys::abi::signal::{SIGSET_SIZE, SigSet};
use sysring_sys::{Errno, Fd, Result, User, call};

use super::asked::{self, Asked, Told};
use super::request::{self, To};
use super::{Attempt, Call, Placement};
use crate::cancel::Match;
use crate::complete::Eventfd;
use crate::issue;
use crate::locked::Locked;
use crate::request::{Stage, flag};
use crate::ring::Ring;
use crate::wait::{Wait, wait};
use crate::{Caller, descriptors, process, wq};

/// What a context is made with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The ring that answers come to, if it is to be a new one.
    pub events: Config,
    /// Calls that may be pending at a time: one more is refused with `EAGAIN`. 0: no limit.
    pub limit: u32,
}

/// How a call is to be issued.
#[derive(Clone, Copy, Debug, Default)]
pub struct Order {
    pub placement: Placement,
    /// Comes back with the answer.
    pub user_data: u64,
    /// Where the answer goes instead of the queue: a word that is written, and woken.
    pub slot: User<i64>,
}

/// What became of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Issued {
    /// It did not block: the value, or the negated error number.
    Done(isize),
    /// It goes on elsewhere; the id comes back with its answer, and cancels it.
    Pending(u64),
}

/// Kinds of batches, by the number of their first call, that are told apart.
const KINDS: usize = 64;

/// A context. Threads share it, and so do processes that are forked from the one that made it.
#[derive(Debug)]
pub struct Context {
    ring: &'static Ring,
    /// Other processes may push to its ring of events.
    shared: bool,
    limit: u32,
    /// Helpers that were of use to the latest batch of a kind.
    helpers: [AtomicU8; KINDS],
}

impl Context {
    /// Makes a context.
    ///
    /// # Errors
    /// As [`Ring::new`](sysring_events::Ring::new): `EINVAL`, `ENOMEM`, `EMFILE`, `ENFILE`.
    pub fn new(options: &Options) -> Result<Context> {
        Context::on(sysring_events::Ring::new(&options.events)?, options.limit)
    }

    /// Makes a context whose answers come to a ring that is there already; `limit` as in
    /// [`Options`].
    ///
    /// # Errors
    /// `ENOMEM`, `EMFILE`, `ENFILE`.
    pub fn on(events: sysring_events::Ring, limit: u32) -> Result<Context> {
        process::enter()?;
        let shared = events.file().is_some();
        let ring = descriptors::create_nameless(events)?;
        if shared {
            // Who waits sleeps on the ring of events, which others push to, too: nobody enters.
            ring.watched.store(true, Relaxed);
        }
        let helpers = [const { AtomicU8::new(0) }; KINDS];
        Ok(Context { ring, shared, limit, helpers })
    }

    /// The ring that answers come to.
    #[must_use]
    pub fn events(&self) -> &sysring_events::Ring {
        match self.ring.events() {
            Some(events) => events,
            None => unreachable!(),
        }
    }

    /// Issues a call: at once if it does not block, else as a request.
    ///
    /// # Safety
    /// The call is sound for this process. If it is pending, what it names stays as it has to be for
    /// the call until its answer is there; [`table`](super::table) says what is copied. The slot, if
    /// there is one, stays until it is filled.
    ///
    /// # Errors
    /// `EOPNOTSUPP`: makes no sense asynchronously. `EAGAIN`: as many as the limit allows are
    /// pending. `ENOMEM`.
    #[inline]
    pub unsafe fn issue(&self, call: &Call, order: &Order) -> Result<Issued> {
        // SAFETY: passed on to the caller.
        match unsafe { super::attempt(call, order.placement) }? {
            Attempt::Done(answer) => self.done(answer, order),
            blocked => self.begin()?.add(call, blocked, order, None).map(Issued::Pending),
        }
    }

    /// As `issue`, with attributes. If the call is done, their values are in `answers`; if not, they
    /// come with its event.
    ///
    /// # Safety
    /// As for `issue`.
    ///
    /// # Errors
    /// As of `issue`. `EOPNOTSUPP`: an attribute is required that cannot be honoured for this call.
    /// `EPERM`, `EINVAL`: an I/O priority is required that may not be had. `EINVAL`: a slot is given,
    /// which has no room for values.
    #[inline]
    pub unsafe fn issue_with(
        &self,
        call: &Call,
        order: &Order,
        wanted: &Wanted,
        answers: &mut Answers<'_>,
    ) -> Result<Issued> {
        answers.clear();
        if wanted.is_none() {
            // SAFETY: passed on to the caller.
            return unsafe { self.issue(call, order) };
        }
        if !order.slot.is_null() {
            return Err(Errno::EINVAL);
        }
        let Some(told) = Told::begin(wanted) else {
            // SAFETY: as above.
            return unsafe { self.issue_asked(call, order, wanted, answers) };
        };
        // SAFETY: as above.
        match unsafe { super::attempt(call, order.placement) }? {
            Attempt::Done(answer) => {
                told.answer(answers);
                Ok(Issued::Done(answer))
            }
            blocked => {
                let asked = told.go_on(call, wanted);
                self.begin()?.add(call, blocked, order, Some(asked)).map(Issued::Pending)
            }
        }
    }

    #[inline(never)]
    unsafe fn issue_asked(
        &self,
        call: &Call,
        order: &Order,
        wanted: &Wanted,
        answers: &mut Answers<'_>,
    ) -> Result<Issued> {
        let mut asked = Asked::agree(call, wanted)?;
        // SAFETY: as above.
        match unsafe { asked.attempt(order.placement) }? {
            Attempt::Done(answer) => {
                asked.answer(answer, answers);
                Ok(Issued::Done(answer))
            }
            blocked => self.begin()?.add(call, blocked, order, Some(asked)).map(Issued::Pending),
        }
    }

    /// Makes a call with attributes, here and now, whether it blocks or not.
    ///
    /// # Safety
    /// As for [`sysring_sys::arch::syscall`].
    ///
    /// # Errors
    /// `EOPNOTSUPP`: an attribute is required that cannot be honoured. A deadline never can, nor can
    /// what the cache had be told: who waits in the call can do neither. `EPERM`, `EINVAL`: as of
    /// `issue_with`.
    pub unsafe fn make_with(
        call: &Call,
        wanted: &Wanted,
        answers: &mut Answers<'_>,
    ) -> Result<isize> {
        const NOT_HERE: u64 = Deadline::MASK | Cache::MASK;
        if wanted.requires(NOT_HERE) {
            return Err(Errno::EOPNOTSUPP);
        }
        let mut asked = Asked::agree(call, &wanted.without(NOT_HERE))?;
        // SAFETY: passed on to the caller.
        let answer = unsafe { asked.make() };
        asked.answer(answer, answers);
        Ok(answer)
    }

    /// An answer that is there at once.
    #[inline]
    pub(super) fn done(&self, answer: isize, order: &Order) -> Result<Issued> {
        if !order.slot.is_null() {
            request::fill(order.slot, answer as i64)?;
        }
        Ok(Issued::Done(answer))
    }

    /// Begins to queue calls that block.
    #[inline(never)]
    pub(super) fn begin(&self) -> Result<Queuing<'_>> {
        process::enter()?;
        let mut locked = self.ring.lock_as_submitter();
        locked.unattended = false;
        Ok(Queuing { locked, limit: self.limit })
    }

    /// Waits until `count` answers are there to be taken. In a ring that other processes push to,
    /// too, nobody counts: one is enough.
    ///
    /// # Errors
    /// Only where there is none: `ETIME`, after `timeout` nanoseconds; `EINTR`. `EINVAL`: a mask,
    /// and a ring that is shared.
    pub fn wait(&self, count: u32, timeout: Option<i64>, mask: Option<&SigSet>) -> Result<()> {
        process::enter()?;
        if self.shared {
            return if mask.is_some() {
                Err(Errno::EINVAL)
            } else {
                self.wait_among_others(timeout)
            };
        }
        let how = Wait {
            min_complete: count,
            deadline: timeout.map(|ns| call::now(call::CLOCK_MONOTONIC).saturating_add(ns)),
            min_deadline: None,
            sigmask: mask.map_or((User::NULL, 0), |mask| (User::of(mask), SIGSET_SIZE)),
        };
        let mut locked = self.ring.lock_as_submitter();
        locked.unattended = false;
        locked.reap();
        let (mut locked, waited) = wait(locked, how, &Caller::default());
        locked.leave(true);
        waited
    }

    fn wait_among_others(&self, timeout: Option<i64>) -> Result<()> {
        self.drive();
        self.events().wait(timeout)
    }

    /// Takes the oldest answer, if there is one, into `memory`, which must have room for it:
    /// [`MAX_LEN`](sysring_events::MAX_LEN) bytes are enough.
    ///
    /// # Errors
    /// `EMSGSIZE`: there is not enough room. `EBADMSG`: who shares the ring has overwritten it.
    pub fn next<'b>(&self, memory: &'b mut [u64]) -> Result<Option<Seen<'b>>> {
        process::enter()?;
        if self.events().is_empty() {
            self.drive();
        }
        let taken = self.events().pop_one(memory)?;
        if taken.is_some() {
            self.ring.cq_count_taken();
            if self.must_tell() {
                let mut locked = self.ring.lock_as_submitter();
                locked.tell_untold();
                locked.tell_pollers();
            }
        }
        Ok(taken)
    }

    /// Whether the taking of an event is to be told of: room where there was none, or a descriptor
    /// that is readable for the last time.
    fn must_tell(&self) -> bool {
        let events = self.events();
        events.is_overflowing() || self.ring.watched.load(Relaxed) && events.is_empty()
    }

    /// Does what can be done without waiting.
    fn drive(&self) {
        let mut locked = self.ring.lock_as_submitter();
        locked.progress();
        locked.reap();
    }

    pub(super) fn ring(&self) -> &'static Ring {
        self.ring
    }

    /// How many helpers a batch begins with whose first call has this number: as many as were of use
    /// to the latest of its kind.
    pub(super) fn useful_helpers(&self, nr: u32) -> u32 {
        self.helpers[nr as usize % KINDS].load(Relaxed).into()
    }

    pub(super) fn remember_helpers(&self, nr: u32, helpers: u32) {
        self.helpers[nr as usize % KINDS].store(helpers as u8, Relaxed);
    }

    /// Cancels a pending call, whose answer is then `ECANCELED`, if it was in time.
    ///
    /// # Errors
    /// `ENOENT`: no such call is pending. `EALREADY`: it is being made by a thread that was told to
    /// stop, and may still succeed.
    pub fn cancel(&self, id: u64) -> Result<()> {
        process::enter()?;
        let mut locked = self.ring.lock_as_submitter();
        let req = locked.slab.find(id).ok_or(Errno::ENOENT)?;
        let cancelled = locked.cancel_one(req).map(drop);
        locked.run_tasks();
        cancelled
    }

    /// Cancels all that is pending.
    pub fn cancel_all(&self) -> Result<()> {
        process::enter()?;
        let mut locked = self.ring.lock_as_submitter();
        locked.cancel(&Match::everything())?;
        locked.run_tasks();
        Ok(())
    }

    /// How many calls are pending: begun by this process, and not answered, or not heard for lack of
    /// room.
    #[must_use]
    pub fn pending(&self) -> u32 {
        self.ring.lock().pending()
    }

    /// Adds one to this eventfd whenever answers have come, from now on. It is duplicated.
    ///
    /// # Errors
    /// `EBADF`, `EMFILE`.
    pub fn set_eventfd(&self, eventfd: Option<Fd>) -> Result<()> {
        process::enter()?;
        let fd = match eventfd {
            Some(fd) => Some(call::dup_from(fd, descriptors::FLOOR)?),
            None => None,
        };
        let mut locked = self.ring.lock_as_submitter();
        let new = fd.map(|fd| {
            descriptors::mark_internal(fd);
            Eventfd { fd, only_async: false }
        });
        if let Some(old) = core::mem::replace(&mut locked.eventfd, new) {
            descriptors::let_go(old.fd);
        }
        locked.leave(false);
        Ok(())
    }

    /// A new descriptor that is readable while answers are there to be taken: for poll and its kin,
    /// not to be read.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn descriptor(&self) -> Result<Fd> {
        process::enter()?;
        self.ring.watched.store(true, Relaxed);
        let mut locked = self.ring.lock_as_submitter();
        locked.leave(false);
        call::dup_from(locked.readiness.shown(), Fd::new(0))
    }
}

impl Locked<'_> {
    /// Calls that are pending: requests, less the timers of their deadlines, and invitations.
    fn pending(&self) -> u32 {
        self.outstanding - self.timers.len() - self.invitations
    }
}

impl Context {
    /// Cancels all that is pending, and waits until nothing is. A call that a thread is making and
    /// cannot be called back from is waited for.
    pub fn settle(&self) {
        const SHORTLY: i64 = 20_000;
        const LATER: i64 = 5_000_000;
        if process::enter().is_err() {
            return;
        }
        let mut pause = SHORTLY;
        loop {
            let mut locked = self.ring.lock_as_submitter();
            let _ = locked.cancel(&Match::everything());
            // Those that have been told are told again: a signal may come a moment before the call
            // that it is to end.
            let mut at = locked.in_flight;
            while let Some(req) = at {
                at = req.flight.next;
                if req.stage == Stage::Running && req.has(flag::CANCELED) {
                    wq::interrupt(req);
                }
            }
            locked.run_tasks();
            locked.reap();
            if locked.outstanding == locked.untold_count {
                return;
            }
            drop(locked);
            call::nanosleep(pause);
            pause = (2 * pause).min(LATER);
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        descriptors::drop_handle(self.ring);
    }
}

/// Calls are being queued: what goes to workers goes there when this is dropped.
pub(super) struct Queuing<'r> {
    locked: Locked<'r>,
    limit: u32,
}

impl Queuing<'_> {
    /// Makes a request of a call that would block, and sends it down the road. Its id.
    #[inline(never)]
    pub fn add(
        &mut self,
        call: &Call,
        blocked: Attempt,
        order: &Order,
        asked: Option<Asked>,
    ) -> Result<u64> {
        let locked = &mut self.locked;
        if self.limit != 0 && locked.pending() >= self.limit {
            return Err(Errno::EAGAIN);
        }
        let ring = locked.ring;
        if !order.slot.is_null() {
            // Whoever sleeps there does not enter: nobody but the engine makes it go on.
            ring.watched.store(true, Relaxed);
        }
        let deadline = asked.as_ref().and_then(Asked::deadline);
        let block = asked.map(Asked::keep).transpose()?;
        let req = locked.slab.take(ring).inspect_err(|_| {
            if let Some(block) = block {
                // SAFETY: made above, and given to nobody.
                unsafe { asked::release(block) };
            }
        })?;
        locked.outstanding += 1;
        request::begin(req, call, To { user_data: order.user_data, slot: order.slot });
        if let Some(block) = block {
            asked::attach(req, block);
        }
        let id = req.ticket();
        let mut issued = request::follow(locked, req, blocked);
        if let Some(at) = deadline
            && !matches!(issued, issue::Issued::Done(_))
        {
            match asked::add_deadline(locked, ring, req, at) {
                Ok(()) => locked.start_linked_timeout(req),
                Err(e) => issued = issue::Issued::Done(e.to_res()),
            }
        }
        locked.carry_on(req, issued);
        Ok(id)
    }
}

impl Drop for Queuing<'_> {
    fn drop(&mut self) {
        self.locked.leave(false);
    }
}
