//! Workers and the queue they run: who is counted, who sleeps, who is woken, who goes home.
//!
//! A job is never left in the queue without somebody who will look there: who puts it in wakes an
//! idle worker or counts a new one, and who goes home has seen under the same lock that there is
//! none.

use sysring_sys::Errno;
use sysring_sys::abi::Timespec;

use crate::atomic::Ordering::Relaxed;
use crate::atomic::{Futex, Guard, Mutex};
use crate::pool::{Calls, Done, Line, Load, Most, Pool, Standing};

/// How long an idle worker waits for more.
const IDLE: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };

/// A thread that works.
pub trait Hands {
    /// What it does.
    type Job;

    /// It is about to look for work.
    fn look_up(&mut self);

    /// A job is its own from here on; the crew's lock is held. How it keeps it.
    fn begin(&mut self, job: &mut Self::Job) -> Keeps;

    /// Does it; whether it has slept in it for longer than it takes to start another of its kind.
    fn run(&mut self, job: Self::Job) -> bool;

    /// The time, in nanoseconds.
    fn now(&mut self) -> i64;

    /// How many of its kind there may be: at this moment, for that may be changed.
    fn most(&self) -> Most;

    /// Starts another of its kind, who has been counted; whether there was one to be had.
    fn hire(&mut self) -> bool;

    /// It could not, and is about to be kept: others are to look after what is left in the queue.
    fn leave(&mut self);
}

/// How a job keeps its worker.
#[derive(Clone, Copy, Debug)]
pub struct Keeps {
    /// Perhaps for long.
    pub long: bool,
    /// In a call, where it hears nothing.
    pub deaf: bool,
}

/// Workers of one identity, and what they have to do.
#[derive(Debug)]
pub struct Crew<L, I> {
    pool: Mutex<Pool<L, I>>,
    /// Idle workers sleep on this; it changes whenever there is work.
    calls: Futex,
}

impl<L: Line, I: Copy + PartialEq> Crew<L, I> {
    /// Nobody, with nothing to do.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new(queue: L, whose: I) -> Crew<L, I> {
        Crew { pool: Mutex::new(Pool::new(queue, whose)), calls: Futex::new(0) }
    }

    #[cfg(loom)]
    #[allow(missing_docs)]
    pub fn new(queue: L, whose: I) -> Crew<L, I> {
        Crew { pool: Mutex::new(Pool::new(queue, whose)), calls: Futex::new(0) }
    }

    /// In a child of `fork`: workers, and what they had, are the parent's.
    #[cfg(not(loom))]
    pub fn after_fork(&self, queue: L, whose: I) {
        self.pool.reset();
        *self.pool.lock() = Pool::new(queue, whose);
    }

    /// The queue, for who takes something back that no worker has begun, and counts it.
    pub fn pool(&self) -> Guard<'_, Pool<L, I>> {
        self.pool.lock()
    }

    /// Takes jobs from a thread with this identity, if its workers have the same, or if it is nobody's
    /// and is to become one with this. `most`: workers there may be. `None`: nothing was taken.
    pub fn offer(
        &self,
        whose: &I,
        anew: bool,
        jobs: &mut L,
        load: Load,
        most: Most,
    ) -> Option<Calls> {
        let mut pool = self.pool.lock();
        let free = pool.is_free();
        let refuses = pool.whose != *whose || pool.retired && !free;
        if refuses && !(free && anew) {
            return None;
        }
        if free {
            (pool.whose, pool.dismissed, pool.retired) = (*whose, false, false);
        }
        Some(pool.add(jobs, load, most))
    }

    /// Takes jobs from one of its own workers, or, with [`Most::NONE`], from who may start none.
    pub fn take(&self, jobs: &mut L, load: Load, most: Most) -> Calls {
        let mut pool = self.pool.lock();
        let calls = pool.add(jobs, load, most);
        // Who brings it is done with its own, and looks there next.
        Calls { behind: calls.behind && !pool.has_one(), ..calls }
    }

    /// How the bounded jobs in its queue fare, and others that a worker was not to be had for.
    pub fn standing(&self, now: i64) -> Standing {
        self.pool.lock().standing(now)
    }

    /// Has one more come to what stands ([`Standing::Stuck`]): one who is idle, or a new one, if the
    /// caller has the workers' identity. `None`: nobody is to be had.
    pub fn relieve(&self, whose: &I, now: i64, most: Most) -> Option<Calls> {
        let mut pool = self.pool.lock();
        if pool.standing(now) != Standing::Stuck {
            // Somebody has come meanwhile.
            return Some(Calls::new(0, 0));
        }
        let most = if pool.whose == *whose { most } else { Most::NONE };
        pool.relieve(now, most)
    }

    /// Counts workers for what came from who could start none. The caller must have their identity,
    /// unless nobody is there: then nothing has come from anybody who cared.
    pub fn reinforce(&self, whose: &I, most: u32) -> Option<Calls> {
        let mut pool = self.pool.lock();
        if pool.queued == 0 || pool.total != 0 && pool.whose != *whose {
            return None;
        }
        pool.whose = *whose;
        let wanted = pool.wanted();
        Some(Calls::new(0, pool.count_lacking(wanted, most)))
    }

    /// Whether its workers have this identity.
    pub fn has(&self, whose: &I) -> bool {
        self.pool.lock().whose == *whose
    }

    /// Puts a job into the queue of a crew of which one is always there, until it is retired.
    ///
    /// # Errors
    /// The job, where it is: who is left of it may be about to go.
    pub fn give(&self, job: L::Job) -> Result<(), L::Job> {
        {
            let mut pool = self.pool.lock();
            if !pool.is_open() {
                return Err(job);
            }
            pool.push(job);
        }
        self.wake(1);
        Ok(())
    }

    /// Begins with one worker, whom `start` starts. Until then nobody is there, and no job comes that
    /// would be left alone if there is none to be had.
    ///
    /// # Errors
    /// Those of `start`.
    pub fn muster<E>(&self, start: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        let mut pool = self.pool.lock();
        start()?;
        (pool.total, pool.coming) = (1, 1);
        (pool.dismissed, pool.retired) = (false, false);
        Ok(())
    }

    /// A worker that was counted could not be started. Whether there are others, who are not kept by
    /// what may take for ever; if not, the caller is counted in its place, and has to do the work
    /// ([`Crew::stand_in`]).
    #[must_use]
    pub fn has_others(&self) -> bool {
        let mut pool = self.pool.lock();
        pool.lack(false);
        let others = pool.total - pool.kept > 1;
        pool.total -= u32::from(others);
        others
    }

    /// One who was counted is not to be had: of a personality's, if it `stays`.
    pub fn miss(&self, stays: bool) {
        let mut pool = self.pool.lock();
        pool.lack(stays);
        pool.total -= 1;
    }

    /// Whether somebody is there for what comes.
    pub fn is_open(&self) -> bool {
        self.pool.lock().is_open()
    }

    /// Whether those who are left are to end as soon as they are done.
    pub fn is_retired(&self) -> bool {
        self.pool.lock().retired
    }

    /// Whether nobody is left.
    pub fn is_gone(&self) -> bool {
        self.pool.lock().total == 0
    }

    /// Keeps a personality's workers who were to go home; whether anybody was still there.
    pub fn recall(&self) -> bool {
        let mut pool = self.pool.lock();
        // One that is in a call hears nothing.
        if pool.idle == 0 || pool.retired {
            return false;
        }
        pool.dismissed = false;
        true
    }

    /// Sends a personality's workers home, if nobody comes to have work for them soon.
    pub fn dismiss(&self) {
        self.pool.lock().dismissed = true;
        // Not even the last one sleeps for ever any more.
        self.wake(u32::MAX);
    }

    /// Has the workers end as soon as they are done.
    pub fn retire(&self) {
        self.pool.lock().retired = true;
        self.wake(u32::MAX);
    }

    /// From here on whoever is idle has been so for long enough.
    #[cfg(all(test, loom))]
    pub(crate) fn expire(&self) {
        self.calls.expire();
    }

    /// Wakes idle workers.
    pub fn wake(&self, count: u32) {
        if count != 0 {
            // Relaxed: who reads this count before it takes the lock cannot have it from somebody
            // who took the lock later.
            self.calls.fetch_add(1, Relaxed);
            self.calls.wake(count);
        }
    }

    /// A worker's life. The last idle one stays until it is dismissed, where the crew `stays`.
    pub fn serve(&self, stays: bool, hands: &mut impl Hands<Job = L::Job>) {
        self.pool.lock().coming -= 1;
        loop {
            hands.look_up();
            self.run_queue(stays, hands);
            // Read before the queue is looked at, it has changed if something came since (`wake`).
            let seen = self.calls.load(Relaxed);
            let last;
            {
                let mut pool = self.pool.lock();
                if pool.queued != 0 {
                    continue;
                }
                if pool.retired {
                    pool.total -= 1;
                    return;
                }
                last = pool.needs_one(stays);
                pool.idle += 1;
            }
            let slept = self.calls.wait(seen, (!last).then_some(&IDLE));
            let mut pool = self.pool.lock();
            pool.idle -= 1;
            if slept == Err(Errno::ETIMEDOUT) && pool.queued == 0 && !pool.needs_one(stays) {
                pool.total -= 1;
                return;
            }
        }
    }

    /// No thread is to be had at all: the calling one, which has been counted, is the worker until
    /// the queue is empty. What it completes may bring more: that finds a worker here, and the loop
    /// runs it, not another inside it.
    pub fn stand_in(&self, hands: &mut impl Hands<Job = L::Job>) {
        loop {
            self.run_queue(false, hands);
            let mut pool = self.pool.lock();
            if pool.queued == 0 {
                pool.total -= 1;
                return;
            }
        }
    }

    /// Runs jobs until there are none.
    fn run_queue(&self, stays: bool, hands: &mut impl Hands<Job = L::Job>) {
        let mut done = Done::default();
        loop {
            let (now, most) = (hands.now(), hands.most());
            let (job, bounded, keeps, calls) = {
                let mut pool = self.pool.lock();
                let Some(mut next) = pool.next(done, most, now) else { return };
                // A personality's crew grows from within, and while one of them is in a call another
                // must be there to hear what comes. The process's own is as large as the submitter
                // found right, unless its members may be gone for long, or for bounded jobs only.
                let keeps = hands.begin(&mut next.job);
                let listens = u32::from(keeps.deaf);
                let wanted = if stays {
                    pool.queued + listens
                } else {
                    pool.wanted() + u32::from(next.helps)
                };
                let grows = stays || keeps.long || next.mixed;
                let mut calls = pool.reinforce(if grows { wanted } else { 0 }, most.all);
                calls.wake = pool.idle.min(u32::from(next.helps) + u32::from(next.strays));
                pool.kept += u32::from(keeps.long);
                (next.job, next.bounded, keeps, calls)
            };
            self.wake(calls.wake);
            if calls.spawn != 0 && !hands.hire() {
                // The queue is run by those there are.
                self.miss(stays);
                if !stays {
                    hands.leave();
                }
            }
            done = Done { bounded, slept: hands.run(job) && bounded };
            if keeps.long {
                self.pool.lock().kept -= 1;
            }
        }
    }
}
