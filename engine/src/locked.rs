//! The lock of a ring, held.

use core::ops::{Deref, DerefMut};
use core::sync::atomic::Ordering::Relaxed;

use sysring_sys::abi::io_uring::setup;
use sysring_sys::call;

use crate::crew::Worker;
use crate::personality::Personality;
use crate::request::Req;
use crate::ring::{Counts, Ring};
use crate::state::State;
use crate::{driver, unsettled, wq};

/// The right to a ring's state; commits and unlocks when dropped.
#[derive(Debug)]
pub struct Locked<'r> {
    pub ring: &'r Ring,
    /// The thread is one of those that submit: its credentials are the ones to work with.
    pub submitter: bool,
    /// The thread is a worker.
    pub worker: Option<Worker>,
    /// What the thread's credentials are known as, while it submits: held.
    pub me: Option<&'static Personality>,
    role: Role,
}

/// What else the thread has to do with rings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    /// Nothing: it holds this one.
    Holder,
    /// It may hold another one, so it runs nothing that waits here: that may want the other.
    Guest,
    /// It goes from ring to ring, and does what guests have left.
    Settler,
}

impl Ring {
    pub fn lock(&self) -> Locked<'_> {
        self.lock_as(None)
    }

    /// As `lock`, by a worker.
    pub fn lock_as(&self, worker: Option<Worker>) -> Locked<'_> {
        self.control().lock.lock();
        Locked::new(self, worker, Role::Holder)
    }

    /// As `lock`, to do what a guest has left.
    pub fn lock_to_settle(&self) -> Locked<'_> {
        self.control().lock.lock();
        Locked::new(self, None, Role::Settler)
    }

    /// As `lock`, by a thread of the application's: which submits, unless the ring has one for that.
    pub fn lock_as_submitter(&self) -> Locked<'_> {
        self.control().lock.lock();
        let mut locked = Locked::new(self, None, Role::Holder);
        locked.submitter = !self.sqpoll.is_here();
        if locked.readiness.out_of_place {
            locked.take_place();
        }
        locked
    }

    /// As `lock_as_submitter`, by a thread that is in a call of the application's and has let go of the
    /// ring for a while.
    pub fn lock_again(&self) -> Locked<'_> {
        let mut locked = self.lock();
        locked.submitter = !self.sqpoll.is_here();
        locked
    }

    pub fn try_lock(&self) -> Option<Locked<'_>> {
        self.try_lock_with(Role::Holder)
    }

    /// As `try_lock`, by one who holds another ring.
    pub fn try_lock_as_guest(&self) -> Option<Locked<'_>> {
        self.try_lock_with(Role::Guest)
    }

    fn try_lock_with(&self, role: Role) -> Option<Locked<'_>> {
        // Not `then_some`: a `Locked` that is made and dropped unlocks.
        self.control().lock.try_lock().then(|| Locked::new(self, None, role))
    }

    /// Hands a finished request in from outside the lock: now if nobody holds it, else whoever
    /// does takes it before letting go. `worker` is who hands it in, if it is one.
    pub fn finish_remotely(&self, req: Req, worker: Option<Worker>) {
        self.remote.put(req);
        if self.is_shared() {
            // The holder may be another process, which has a list of its own.
            self.control().lock.lock();
            drop(Locked::new(self, worker, Role::Holder));
        } else if self.remote.settle(&self.control().lock) {
            drop(Locked::new(self, worker, Role::Holder));
        }
    }

    /// As `finish_remotely`, by who must not go on with it: whose table of descriptors is not the
    /// process's. The request's hold on the ring goes along.
    #[cold]
    pub fn leave_to_driver(&self, req: Req) {
        self.remote.put(req);
        unsettled::leave(self);
        driver::ask_to_settle();
    }
}

impl Deref for Locked<'_> {
    type Target = State;

    #[inline(always)]
    fn deref(&self) -> &State {
        // SAFETY: a `Locked` exists only while the lock is held, and there is one.
        unsafe { &*self.ring.state.get() }
    }
}

impl DerefMut for Locked<'_> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut State {
        // SAFETY: the lock is held, and the `Locked` that says so, which there is one of, is borrowed
        // mutably.
        unsafe { &mut *self.ring.state.get() }
    }
}

impl<'r> Locked<'r> {
    /// The lock is the caller's.
    fn new(ring: &'r Ring, worker: Option<Worker>, role: Role) -> Locked<'r> {
        Locked { ring, submitter: false, worker, me: None, role }
    }
}

impl Locked<'_> {
    /// The personality whose worker the thread is: it may run nothing but that one's requests.
    #[inline(always)]
    #[must_use]
    pub fn acting(&self) -> Option<&'static Personality> {
        self.worker.and_then(|worker| worker.acting)
    }

    /// The application uses the ring for the first time in this process, or comes back after it
    /// was to map something.
    #[cold]
    fn take_place(&mut self) {
        self.close_window();
        if self.readiness.inherited {
            self.ring.control().shared.store(true, Relaxed);
            self.readiness.join();
        }
        self.readiness.out_of_place = false;
    }

    #[inline(always)]
    pub fn counts(&mut self) -> &mut Counts {
        // SAFETY: the lock is held, and this is the one place where the cell is opened: by `self`, which
        // is borrowed mutably.
        unsafe { &mut *self.ring.control().counts.get() }
    }

    /// Whether what waits here is for others to run.
    #[must_use]
    pub fn is_guest(&self) -> bool {
        self.role == Role::Guest
    }

    /// The thread is a worker whose table of descriptors is not the process's any more.
    #[must_use]
    fn is_astray(&self) -> bool {
        self.worker.is_some_and(|worker| worker.is_astray())
    }

    /// Runs what guests have left, in this ring and in others; `asks` the driver to instead. No lock is
    /// held.
    #[cold]
    fn settle(role: Role, asks: bool) {
        match role {
            Role::Holder if asks => driver::ask_to_settle(),
            Role::Holder => unsettled::settle(),
            // The caller does it.
            Role::Guest | Role::Settler => {}
        }
    }

    /// Requests that workers handed in while the lock was held.
    fn take_remote(&mut self) {
        let Some(first) = self.ring.remote.take() else { return };
        let mut next = Some(first);
        while let Some(mut req) = next {
            next = req.queued.take();
            self.worked(req);
        }
        self.run_tasks();
    }

    /// Lets go of the lock for a moment, with work in hand, so that nobody waits for us while we
    /// wait for them.
    pub fn breathe(&mut self) {
        self.breathe_for(0);
    }

    /// The same, for some nanoseconds.
    pub fn breathe_for(&mut self, time: i64) {
        // What was punted is for workers with this thread's credentials, not the next one's.
        let punted = wq::Batch::of(self);
        self.ring.control().lock.unlock();
        if let Some(punted) = punted {
            punted.send();
        }
        if time != 0 {
            call::nanosleep(time);
        }
        self.ring.control().lock.lock();
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let ring = self.ring;
        loop {
            if !self.is_guest() {
                self.take_remote();
                if self.readiness.armed_edge {
                    self.reap();
                }
            }
            self.aio_flush();
            let wake = self.commit();
            // What completions have set going.
            self.aio_flush();
            let begun = self.timers.fresh | self.readiness.fresh;
            let polled = ring.shape().has(setup::SQPOLL);
            let waited_for = self.submitter || ring.sleepers.load(Relaxed) != 0;
            if begun && (polled || !waited_for) {
                // By a thread that does not wait for it: somebody must.
                self.leave(false);
            }
            let left = self.is_guest() && !(self.tasks.is_empty() && self.drain.is_empty());
            let punted = wq::Batch::of(self);
            ring.control().lock.unlock();
            if let Some(punted) = punted {
                punted.send();
            }
            wake.send(ring);
            let handed_in = ring.remote.was_left();
            if self.is_guest() {
                if handed_in || left {
                    unsettled::add(ring);
                }
                return;
            }
            if !handed_in {
                break;
            }
            if self.is_astray() {
                unsettled::add(ring);
                break;
            }
            if ring.is_shared() {
                ring.control().lock.lock();
            } else if !ring.control().lock.try_lock() {
                break;
            }
        }
        if !unsettled::is_empty() {
            Locked::settle(self.role, self.acting().is_some() || self.is_astray());
        }
    }
}
