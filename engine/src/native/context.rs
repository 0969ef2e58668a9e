//! A context: where calls that are pending live, and where their answers come.

use core::sync::atomic::AtomicU8;
use core::sync::atomic::Ordering::Relaxed;

use sysring_events::Config;
use sysring_events::attr::{Answers, Attribute, Cache, Credentials, Deadline, Ioprio, Wanted};
use sysring_sys::{Errno, Result, User};

use super::asked::{Asked, Handlers, Told};
use super::queuing::Queuing;
use super::{Attempt, Call, Placement, request};
use crate::locked::Locked;
use crate::ring::Ring;
use crate::{descriptors, process, relief};

/// What a context is made with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The ring that answers come to, if it is to be a new one.
    pub events: Config,
    /// Calls that may be pending at a time: one more is refused with `EAGAIN`. 0: no limit.
    pub limit: u32,
    /// What answers attributes by number.
    pub handlers: Handlers,
}

/// How a call is to be issued.
#[derive(Clone, Copy, Debug, Default)]
pub struct Order {
    /// Where it is made.
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

/// An answer that is there at once.
#[inline(always)]
pub(super) fn done(answer: isize, slot: User<i64>) -> Result<Issued> {
    if !slot.is_null() {
        request::fill(slot, answer as i64)?;
    }
    Ok(Issued::Done(answer))
}

/// Kinds of batches, by the number of their first call, that are told apart.
const KINDS: usize = 64;

/// A context. Threads share it, and so do processes that are forked from the one that made it.
#[derive(Debug)]
pub struct Context {
    pub(super) ring: &'static Ring,
    /// Other processes may push to its ring of events.
    pub(super) shared: bool,
    limit: u32,
    handlers: Handlers,
    /// Helpers that were of use to the latest batch of a kind.
    helpers: [AtomicU8; KINDS],
}

impl Context {
    /// Makes a context.
    ///
    /// # Errors
    /// As [`Ring::new`](sysring_events::Ring::new): `EINVAL`, `ENOMEM`, `EMFILE`, `ENFILE`.
    pub fn new(options: &Options) -> Result<Context> {
        let events = sysring_events::Ring::new(&options.events)?;
        Context::on(events, options.limit).map(|context| context.with_handlers(options.handlers))
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
        Ok(Context { ring, shared, limit, handlers: Handlers::default(), helpers })
    }

    /// With handlers of attributes by number.
    #[must_use]
    pub fn with_handlers(mut self, handlers: Handlers) -> Context {
        self.handlers = handlers;
        self
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
    /// pending. `EXDEV`: it would be pending, and this process, forked into another pid or time
    /// namespace, may not push to the ring of events. `ENOMEM`.
    #[inline(always)]
    pub unsafe fn issue(&self, call: &Call, order: &Order) -> Result<Issued> {
        // SAFETY: passed on to the caller.
        match unsafe { super::at_once(call, order.placement) } {
            Some(answer) => done(answer, order.slot),
            // SAFETY: passed on to the caller.
            None => unsafe { self.issue_tried(call, order) },
        }
    }

    /// Out of line, for `issue` is not: behind a system call a `ret` to who called before it may take
    /// as long as the call.
    ///
    /// # Safety
    /// As for `issue`.
    #[inline(never)]
    unsafe fn issue_tried(&self, call: &Call, order: &Order) -> Result<Issued> {
        // SAFETY: passed on to the caller.
        match unsafe { super::attempt(call, order.placement) }? {
            Attempt::Done(answer) => done(answer, order.slot),
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
    /// which has no room for values; credentials are required that are not registered.
    #[inline(always)]
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
            // SAFETY: passed on to the caller.
            return unsafe { self.issue_asked(call, order, wanted, answers) };
        };
        // SAFETY: passed on to the caller.
        match unsafe { super::at_once(call, order.placement) } {
            Some(answer) => {
                told.answer(answers);
                Ok(Issued::Done(answer))
            }
            // SAFETY: passed on to the caller.
            None => unsafe { self.issue_told(call, order, wanted, told, answers) },
        }
    }

    /// Out of line, as `issue_tried`: what is asked for can be told of the attempt alone.
    ///
    /// # Safety
    /// As for `issue`.
    #[inline(never)]
    unsafe fn issue_told(
        &self,
        call: &Call,
        order: &Order,
        wanted: &Wanted,
        told: Told,
        answers: &mut Answers<'_>,
    ) -> Result<Issued> {
        // SAFETY: passed on to the caller.
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

    /// Of what needs more than that: other credentials, a look at the cache, deadlines, retries.
    ///
    /// # Safety
    /// As for `issue`.
    #[inline(never)]
    unsafe fn issue_asked(
        &self,
        call: &Call,
        order: &Order,
        wanted: &Wanted,
        answers: &mut Answers<'_>,
    ) -> Result<Issued> {
        let mut wanted = *wanted;
        let credentials = self.credentials_for(call, &mut wanted)?;
        // Others have other rights than who asks here, and only an attempt asks a cache.
        let barred = match (&credentials, order.placement) {
            (Some(_), _) => Cache::MASK | Ioprio::MASK,
            (None, Placement::Worker) => Cache::MASK,
            (None, Placement::Inline) => 0,
        };
        let mut asked = Asked::agree(call, &wanted, &self.handlers, barred)?;
        if let Some(held) = credentials {
            let added = self.begin()?.add_for(held, call, order, asked);
            return added.map(Issued::Pending);
        }
        // SAFETY: passed on to the caller.
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
    /// `EOPNOTSUPP`: an attribute is required that cannot be honoured; a deadline, what the cache had
    /// and other credentials never can, for the caller itself is in the call. `EPERM`, `EINVAL`: as of
    /// `issue_with`.
    pub unsafe fn make_with(
        call: &Call,
        wanted: &Wanted,
        answers: &mut Answers<'_>,
    ) -> Result<isize> {
        const NOT_HERE: u64 = Deadline::MASK | Cache::MASK | Credentials::MASK;
        let mut asked = Asked::agree(call, wanted, &Handlers::default(), NOT_HERE)?;
        // SAFETY: passed on to the caller.
        let answer = unsafe { asked.make() };
        asked.answer(answer, answers);
        Ok(answer)
    }

    /// Begins to queue calls that block.
    #[inline(never)]
    pub(super) fn begin(&self) -> Result<Queuing<'_>> {
        process::enter()?;
        relief::come_by();
        let mut locked = self.ring.lock_as_submitter();
        locked.unattended = false;
        locked.hints.begin_submission();
        Ok(Queuing { locked, limit: self.limit })
    }

    /// How many helpers a batch begins with whose first call has this number: as many as were of use
    /// to the latest of its kind.
    pub(super) fn useful_helpers(&self, nr: u32) -> u32 {
        self.helpers[nr as usize % KINDS].load(Relaxed).into()
    }

    pub(super) fn remember_helpers(&self, nr: u32, helpers: u32) {
        self.helpers[nr as usize % KINDS].store(helpers as u8, Relaxed);
    }

    /// How many calls are pending: begun by this process, and not answered, or not heard for lack of
    /// room.
    #[must_use]
    pub fn pending(&self) -> u32 {
        if process::enter().is_err() {
            return 0;
        }
        self.ring.lock().pending()
    }
}

impl Locked<'_> {
    /// Calls that are pending: requests, less the timers of their deadlines, and invitations.
    pub(super) fn pending(&self) -> u32 {
        self.outstanding - self.timers.len() - self.invitations
    }
}
