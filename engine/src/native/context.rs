//! A context: where calls that are pending live, and where their answers come.

use core::sync::atomic::Ordering::Relaxed;

use sysring_sys::abi::io_uring::{MAX_CQ_ENTRIES, setup};
use sysring_sys::abi::signal::{SIGSET_SIZE, SigSet};
use sysring_sys::{Errno, Fd, Result, User, call};

use super::request::{self, To};
use super::{Attempt, Call, Placement};
use crate::cancel::Match;
use crate::complete::Eventfd;
use crate::request::Stage;
use crate::ring::Ring;
use crate::shape::Shape;
use crate::wait::{Wait, wait};
use crate::{Caller, descriptors, process, wq};

/// What a context is made with.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Answers the queue has room for, rounded up to a power of two; more go to the overflow list.
    pub entries: u32,
    /// Calls that may be pending at a time: one more is refused with `EAGAIN`. 0: no limit.
    pub limit: u32,
}

impl Default for Options {
    fn default() -> Self {
        Options { entries: 256, limit: 0 }
    }
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

/// The answer of a call that was pending.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    pub id: u64,
    pub user_data: u64,
    /// The value, or the negated error number.
    pub result: i64,
}

/// A context. Threads share it, and so do processes that are forked from the one that made it.
#[derive(Debug)]
pub struct Context {
    ring: &'static Ring,
    limit: u32,
}

impl Context {
    /// Makes a context.
    ///
    /// # Errors
    /// `EINVAL`: no entries, or more than 65536. `ENOMEM`, `EMFILE`, `ENFILE`.
    pub fn new(options: &Options) -> Result<Context> {
        process::enter()?;
        if options.entries == 0 || options.entries > MAX_CQ_ENTRIES {
            return Err(Errno::EINVAL);
        }
        let flags = setup::CQE32 | setup::NO_SQARRAY | setup::CQSIZE;
        let cq_entries = options.entries.next_power_of_two();
        let ring = descriptors::create_nameless(Shape { flags, sq_entries: 1, cq_entries })?;
        Ok(Context { ring, limit: options.limit })
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
            Attempt::Done(answer) => {
                if !order.slot.is_null() {
                    request::fill(order.slot, answer as i64)?;
                }
                Ok(Issued::Done(answer))
            }
            blocked => self.queue(call, blocked, order).map(Issued::Pending),
        }
    }

    #[inline(never)]
    fn queue(&self, call: &Call, blocked: Attempt, order: &Order) -> Result<u64> {
        process::enter()?;
        let ring = self.ring;
        if !order.slot.is_null() {
            // Whoever sleeps there does not enter: nobody but the engine makes it go on.
            ring.watched.store(true, Relaxed);
        }
        let mut locked = ring.lock_as_submitter();
        if self.limit != 0 && locked.outstanding >= self.limit {
            return Err(Errno::EAGAIN);
        }
        locked.unattended = false;
        let req = locked.slab.take(ring)?;
        locked.outstanding += 1;
        request::begin(req, call, To { user_data: order.user_data, slot: order.slot });
        let id = req.ticket();
        let issued = request::follow(&mut locked, req, blocked);
        locked.carry_on(req, issued);
        locked.leave(false);
        Ok(id)
    }

    /// Waits until `count` answers are there to be taken, or as many as the queue holds.
    ///
    /// # Errors
    /// Only where there is none: `ETIME`, after `timeout` nanoseconds; `EINTR`.
    pub fn wait(&self, count: u32, timeout: Option<i64>, mask: Option<&SigSet>) -> Result<()> {
        process::enter()?;
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

    /// Takes the oldest answer, if there is one.
    #[must_use]
    pub fn next(&self) -> Option<Event> {
        process::enter().ok()?;
        let mut locked = self.ring.lock_as_submitter();
        if locked.cq_ready() == 0 {
            locked.progress();
            locked.reap();
        }
        let (cqe, [id, result]) = locked.cq_take()?;
        locked.flush_overflow();
        if locked.cq_ready() == 0 {
            locked.tell_pollers();
        }
        Some(Event { id, user_data: cqe.user_data, result: result as i64 })
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

    /// How many calls are pending: begun by this process, and not answered.
    #[must_use]
    pub fn pending(&self) -> u32 {
        self.ring.lock().outstanding
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
                if req.stage == Stage::Running {
                    wq::interrupt(req);
                }
            }
            locked.run_tasks();
            locked.reap();
            if locked.outstanding == 0 {
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
