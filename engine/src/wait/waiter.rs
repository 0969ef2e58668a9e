//! A thread that waits, from one sleep to the next.

use core::sync::atomic::Ordering::Relaxed;

use sysring_protocol::{Turn, Wish};
use sysring_sys::abi::io_uring::setup;
use sysring_sys::abi::signal::{SIGSET_SIZE, SIGSYS, SigSet};
use sysring_sys::{Errno, Fd, Result, User, call};

use super::{Wait, sleep};
use crate::aio::Alone;
use crate::locked::Locked;
use crate::relief::{self, Lookout};
use crate::ring::Ring;
use crate::state::Asleep;
use crate::{Caller, user};

/// What a thread knows while it waits.
pub struct Waiter<'c> {
    how: &'c Wait,
    caller: &'c Caller,
    /// How many completions are enough by now.
    pub enough: u32,
    /// When one is, if that is still to come.
    min_deadline: Option<i64>,
    /// The ring has a thread of its own, which sees to timers and readiness.
    polled: bool,
    /// How many timeouts had gone off when it came.
    timeouts: u32,
    /// The mask to sleep with, once it has been asked for.
    mask: Option<Option<SigSet>>,
    /// It looks after what is left to workers.
    guards: bool,
    lookout: Lookout,
}

/// What a thread goes to sleep with.
pub struct Bed {
    turn: Turn,
    /// The wait is left to AIO.
    alone: Option<Alone>,
    /// The ring's epoll instance.
    set: Result<Fd>,
    until: Option<i64>,
}

/// Which times to give up at have come.
pub struct Passed {
    pub deadline: bool,
    pub min_deadline: bool,
}

impl<'c> Waiter<'c> {
    pub fn new(locked: &Locked<'_>, how: &'c Wait, caller: &'c Caller) -> Waiter<'c> {
        Waiter {
            how,
            caller,
            enough: how.min_complete.min(locked.cq_most()),
            min_deadline: how.min_deadline,
            polled: locked.ring.shape().has(setup::SQPOLL) && locked.ring.sqpoll.is_here(),
            timeouts: locked.timers.fired,
            mask: None,
            guards: false,
            lookout: Lookout::new(),
        }
    }

    /// Whether the application is to come back, though there may be less than enough.
    pub fn is_called_back(&self, locked: &mut Locked<'_>) -> bool {
        // A timeout that ends always brings it back, whatever else it waits for.
        locked.timers.fired != self.timeouts || !locked.overflow_is_empty()
    }

    /// The mask to sleep with. Read once: the application may change it meanwhile.
    pub fn mask(&mut self) -> Result<Option<SigSet>> {
        match self.mask {
            Some(mask) => Ok(mask),
            None => {
                let given = read_mask(self.how.sigmask)?;
                Ok(*self.mask.insert(given.or(self.caller.sigmask)))
            }
        }
    }

    /// Tells those who complete something that this thread sleeps, and for what. [`Waiter::sleep`] is
    /// to follow, which takes it back.
    pub fn lie_down(&mut self, locked: &mut Locked<'_>, enough: u32, ready: u32) -> Bed {
        let ring = locked.ring;
        // A ring with a thread of its own leaves timers and readiness to it.
        let timer = if self.polled { None } else { locked.timers.next_deadline() };
        let wish = Wish { tail: locked.cq_head().wrapping_add(enough), fired: self.timeouts };
        let posted = locked.posted();
        let turn = locked.waiters.turn(wish, &posted, &ring.returns);
        let hears = matches!(turn, Turn::Sleep(_));
        let shared = ring.is_shared();
        let mut set = locked.set();
        if shared && !self.polled {
            set = set.and_then(|set| locked.readiness.hear_others().map(|()| set));
        }
        let alone =
            if self.polled || shared || !hears { None } else { locked.aio_alone(enough - ready) };
        let until_timer = if self.polled { i64::MIN } else { timer.unwrap_or(i64::MAX) };
        locked.asleep = Asleep { until: until_timer, fired: self.timeouts };
        // Relaxed: under the ring's lock, as those who read it.
        ring.sleepers.fetch_add(1, Relaxed);
        locked.aio.counted |= alone.is_some();
        let has_guarded = self.guards;
        let left = locked.punted_count != 0 || relief::is_wanted();
        self.guards = hears && !self.polled && (has_guarded || left);
        if self.guards {
            ring.guarded.store(true, Relaxed);
        } else if has_guarded {
            relief::hand_over();
        }
        let until = sleep::earliest([self.how.deadline, self.min_deadline, timer]);
        Bed { turn, alone, set, until }
    }

    /// Sleeps once, in the way that fits, and takes back what [`Waiter::lie_down`] told.
    pub fn sleep<'r>(
        &mut self,
        ring: &'r Ring,
        Bed { turn, alone, set, until }: Bed,
        mask: Option<SigSet>,
    ) -> (Locked<'r>, Result<()>) {
        let look_at = if self.guards { look_after_workers(ring, &mut self.lookout) } else { None };
        self.guards = look_at.is_some();
        let until = sleep::earliest([until, look_at]);

        let mut locked = None;
        let slept = match (turn, alone, set) {
            (Turn::Aside(seen), ..) => sleep::step_aside(&mut locked, ring, seen, mask),
            (Turn::Sleep(_), _, Ok(_)) if self.polled => sleep::for_bell(ring, until, mask),
            (Turn::Sleep(_), Some(alone), _) => {
                sleep::for_aio(&mut locked, ring, alone, until, mask)
            }
            (Turn::Sleep(_), None, Ok(set)) => {
                sleep::for_anything(&mut locked, ring, set, until, mask)
            }
            _ => sleep::nap(&mut locked, ring, until, mask),
        };
        let mut locked = locked.unwrap_or_else(|| ring.lock_again());

        if alone.is_some() {
            locked.aio.counted = false;
        }
        if self.guards {
            ring.guarded.store(false, Relaxed);
        }
        ring.sleepers.fetch_sub(1, Relaxed);
        if let Turn::Sleep(place) = turn {
            locked.waiters.come_back(place, &ring.returns);
        }
        (locked, slept)
    }

    /// Looks at the clock.
    pub fn passed(&mut self) -> Passed {
        let times = [self.how.deadline, self.min_deadline];
        let now = sleep::earliest(times).map(|_| call::now(call::CLOCK_MONOTONIC));
        let [deadline, min_deadline] =
            times.map(|at| at.is_some_and(|at| now.is_some_and(|now| now >= at)));
        if min_deadline {
            // Once: a time that is over would let nobody sleep.
            self.min_deadline = None;
            self.enough = self.enough.min(1);
        }
        Passed { deadline, min_deadline }
    }

    /// Ends the wait: somebody else looks after the workers.
    pub fn leave(self) {
        if self.guards {
            relief::hand_over();
        }
    }
}

/// A signal mask; SIGSYS is never blocked, for a trapped call would end the process.
fn read_mask((at, size): (User<SigSet>, usize)) -> Result<Option<SigSet>> {
    if at.is_null() {
        return Ok(None);
    }
    if size != SIGSET_SIZE {
        return Err(Errno::EINVAL);
    }
    user::read(at).map(|mask| Some(mask.without(SIGSYS)))
}

/// Has workers come to what stands behind others that do not end; when to look again, if something still
/// waits.
fn look_after_workers(ring: &Ring, lookout: &mut Lookout) -> Option<i64> {
    // Relaxed, and before the queue is looked at: who puts something into it looks at this after that,
    // and both under the queue's lock.
    ring.guarded.store(false, Relaxed);
    let next = lookout.look(true);
    if next.is_some() {
        ring.guarded.store(true, Relaxed);
    }
    next
}
