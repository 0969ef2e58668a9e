//! Crews: workers with one thread's credentials, and what they have to do.
//!
//! Workers are started by a thread that has the credentials which they are to have, for only what has
//! an identity can pass it on: by who submits, by one of them, or, those of a personality, where it
//! is registered. A crew whose work is done and whose workers have ended may become another's.

use core::ptr;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{Acquire, Release};

use sysring_sys::abi::Timespec;
use sysring_sys::abi::signal::{SIG_SETMASK, SIGSYS, SigSet};
use sysring_sys::call::Credentials;
use sysring_sys::{Errno, Result, call};

use crate::descriptors;
use crate::personality::Personality;
use crate::request::{Queue, Req, Stage, flag};
use crate::ring::Ring;
use crate::sync::Mutex;
use crate::thread;
use crate::wq::{run, run_if_it_ends};
use crate::wq_limits;

/// Threads started at once: more come with the next batch, if these are not enough.
const SPAWN_AT_ONCE: u32 = 4;
/// How long an idle worker waits for more.
const IDLE: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };

#[derive(Debug)]
struct Pool {
    queue: Queue,
    queued: u32,
    idle: u32,
    total: u32,
    /// What the workers have, and who starts them.
    whose: Credentials,
    /// Nothing more will come: who is idle ends after a while, the last of a personality, too.
    dismissed: bool,
    /// The workers share a table of descriptors that the process has no more: nothing new is for
    /// them, and who is done ends.
    retired: bool,
}

impl Pool {
    const fn new() -> Pool {
        Pool {
            queue: Queue::new(),
            queued: 0,
            idle: 0,
            total: 0,
            whose: Credentials::UNKNOWN,
            dismissed: false,
            retired: false,
        }
    }

    /// Whether nobody is there, and nothing to do.
    fn is_free(&self) -> bool {
        self.total == 0 && self.queued == 0
    }

    fn add(&mut self, queue: &mut Queue, count: u32) -> u32 {
        self.queue.append(queue);
        self.queued += count;
        self.idle.min(count)
    }

    /// Counts as many new workers as the queue wants, who are to be started.
    fn count_lacking(&mut self) -> u32 {
        let room = wq_limits::most_workers().saturating_sub(self.total);
        let lacking = self.queued.saturating_sub(self.idle).min(SPAWN_AT_ONCE).min(room);
        self.total += lacking;
        lacking
    }
}

/// Workers of one identity, and what they have to do.
#[derive(Debug)]
pub struct Crew {
    pool: Mutex<Pool>,
    /// Idle workers sleep on this; it changes whenever there is work.
    calls: AtomicU32,
}

/// A worker, as the rings know it that it comes to.
#[derive(Clone, Copy, Debug)]
pub struct Worker {
    pub crew: &'static Crew,
    /// Whose credentials these are, if they are not those of who submits.
    pub acting: Option<&'static Personality>,
}

/// What is left to be done where no ring is locked, for work that a crew was given.
#[derive(Debug)]
#[must_use]
pub struct Calls {
    crew: &'static Crew,
    wake: u32,
    spawn: u32,
}

impl Calls {
    /// Wakes and starts workers; who cannot start one works in its place.
    pub fn make(self) {
        self.crew.wake(self.wake);
        self.crew.take_on(self.spawn);
    }
}

impl Default for Crew {
    fn default() -> Self {
        Self::new()
    }
}

impl Crew {
    pub const fn new() -> Crew {
        Crew { pool: Mutex::new(Pool::new()), calls: AtomicU32::new(0) }
    }

    /// In a child of `fork`.
    pub fn after_fork(&self) {
        self.pool.reset();
        *self.pool.lock() = Pool::new();
    }

    /// Whether nobody is left of it.
    pub fn is_gone(&self) -> bool {
        self.pool.lock().total == 0
    }

    /// Takes requests from a thread with these credentials, if its workers have the same, or if it is
    /// nobody's and is to become one with these. `None`: nothing was taken.
    pub fn offer(
        &'static self,
        whose: &Credentials,
        anew: bool,
        queue: &mut Queue,
        count: u32,
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
        Some(self.calls_for(pool.add(queue, count), pool.count_lacking()))
    }

    /// Takes requests from one of its own workers, or from who may start none.
    pub fn take(&'static self, queue: &mut Queue, count: u32, may_start: bool) -> Calls {
        let mut pool = self.pool.lock();
        let wake = pool.add(queue, count);
        let spawn = if may_start { pool.count_lacking() } else { 0 };
        self.calls_for(wake, spawn)
    }

    fn calls_for(&'static self, wake: u32, spawn: u32) -> Calls {
        Calls { crew: self, wake, spawn }
    }

    /// Starts workers for what came from who could start none. The caller must have their credentials,
    /// unless nobody is there: then nothing has come from anybody who cared.
    pub fn reinforce(&'static self, whose: &Credentials) -> Option<Calls> {
        let mut pool = self.pool.lock();
        if pool.queued == 0 || pool.total != 0 && pool.whose != *whose {
            return None;
        }
        pool.whose = *whose;
        Some(self.calls_for(0, pool.count_lacking()))
    }

    /// Whether its workers have these credentials.
    pub fn has(&self, whose: &Credentials) -> bool {
        self.pool.lock().whose == *whose
    }

    /// Starts the first worker of a personality, which has the credentials of the calling thread.
    ///
    /// # Errors
    /// `EAGAIN` or `ENOMEM`.
    pub fn muster(&self, personality: &'static Personality) -> Result<()> {
        {
            let mut pool = self.pool.lock();
            (pool.total, pool.dismissed, pool.retired) = (1, false, false);
        }
        self.hire(Some(personality))
    }

    /// Starts workers who have been counted; if there are none to be had, the caller is one.
    fn take_on(&'static self, count: u32) {
        for _ in 0..count {
            let started = thread::start(worker, ptr::from_ref(self) as usize).is_ok();
            if !started && !self.lack_one() {
                return self.stand_in();
            }
        }
    }

    /// A worker that was counted could not be started. Whether there are others; if not, the
    /// caller is counted in its place, and has to do the work.
    fn lack_one(&self) -> bool {
        let mut pool = self.pool.lock();
        let others = pool.total > 1;
        pool.total -= u32::from(others);
        others
    }

    /// Starts a worker who has been counted.
    fn hire(&self, acting: Option<&'static Personality>) -> Result<()> {
        let started = match acting {
            Some(personality) => thread::start(worker_as, ptr::from_ref(personality) as usize),
            None => thread::start(worker, ptr::from_ref(self) as usize),
        };
        started.map(drop).inspect_err(|_| self.pool.lock().total -= 1)
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

    /// A request for a personality's crew, one of whom is always there.
    pub fn give(&self, req: Req) {
        {
            let mut pool = self.pool.lock();
            pool.queue.push(req);
            pool.queued += 1;
        }
        self.wake(1);
    }

    fn wake(&self, count: u32) {
        if count != 0 {
            // Release pairs with the Acquire of a worker about to sleep: it sees the queue.
            self.calls.fetch_add(1, Release);
            call::futex_wake(&self.calls, count);
        }
    }

    /// Takes a request back that no worker has begun; whether it was still there.
    pub fn withdraw(&self, req: Req) -> bool {
        let mut pool = self.pool.lock();
        let there = pool.queue.remove(req);
        pool.queued -= u32::from(there);
        there
    }

    /// The same for all requests of a ring: one by one would be a walk through the queue for each.
    pub fn withdraw_all(&self, ring: &Ring, withdrawn: &mut Queue) {
        let mut pool = self.pool.lock();
        let mut queue = core::mem::take(&mut pool.queue);
        while let Some(req) = queue.pop() {
            if ptr::eq(req.ring, ring) {
                pool.queued -= 1;
                withdrawn.push(req);
            } else {
                pool.queue.push(req);
            }
        }
    }

    /// Ends the call a worker makes for `req`, if a signal can.
    pub fn interrupt(&self, mut req: Req) {
        let _pool = self.pool.lock();
        req.set(flag::CANCELED);
        if req.stage == Stage::Running && thread::is_kickable() {
            let _ = thread::kick(req.worker);
        }
    }

    /// Marks a request as one that the calling thread makes the call of.
    pub fn begin(&self, mut req: Req, tid: i32) {
        let _pool = self.pool.lock();
        req.worker = tid;
        req.stage = Stage::Running;
    }

    /// A worker's life. The last idle one of a personality stays until it is dismissed: only its own
    /// kind could start another, and those that are in a call do not.
    fn serve(&'static self, acting: Option<&'static Personality>) {
        let tid = call::gettid();
        thread::set_name(*b"iou-wrk\0");
        let _ = call::sigprocmask(SIG_SETMASK, Some(SigSet::ALL.without(SIGSYS)));
        let needs_one = |pool: &Pool| acting.is_some() && pool.idle == 0 && !pool.dismissed;
        let mut heard = 0;
        loop {
            wq_limits::obey(&mut heard);
            self.run_queue(tid, acting, run);
            // Acquire pairs with the Release in `wake`: a count read before the queue is looked at
            // has changed if something came since.
            let seen = self.calls.load(Acquire);
            let last;
            {
                let mut pool = self.pool.lock();
                if pool.queued != 0 {
                    continue;
                }
                if pool.retired {
                    pool.total -= 1;
                    break;
                }
                last = needs_one(&pool);
                pool.idle += 1;
            }
            let slept = call::futex_wait(&self.calls, seen, (!last).then_some(&IDLE));
            let mut pool = self.pool.lock();
            pool.idle -= 1;
            if slept == Err(Errno::ETIMEDOUT) && pool.queued == 0 && !needs_one(&pool) {
                pool.total -= 1;
                break;
            }
        }
    }

    /// No thread is to be had at all: the calling one is the worker until the queue is empty. What
    /// it completes may bring more: that finds a worker here, and the loop runs it, not another
    /// inside it.
    fn stand_in(&'static self) {
        let tid = call::gettid();
        loop {
            self.run_queue(tid, None, run_if_it_ends);
            let mut pool = self.pool.lock();
            if pool.queued == 0 {
                pool.total -= 1;
                return;
            }
        }
    }

    /// Runs requests until there are none.
    fn run_queue(
        &'static self,
        tid: i32,
        acting: Option<&'static Personality>,
        run: fn(Req) -> i32,
    ) {
        loop {
            let (mut req, reinforce) = {
                let mut pool = self.pool.lock();
                let Some(mut req) = pool.queue.pop() else { return };
                pool.queued -= 1;
                req.worker = tid;
                req.stage = Stage::Running;
                // A personality's crew grows from within, and while one of them is in a call another
                // must be there to hear what comes. The process's own is as large as the submitter
                // found right, unless its members may be gone for long.
                let grows = acting.is_some() || req.has(flag::MAY_WAIT | flag::WATCHED);
                let listens = u32::from(acting.is_some() && !req.has(flag::ENTRUSTED));
                let lacking =
                    pool.queued + listens > pool.idle && pool.total < wq_limits::MAX_WORKERS;
                pool.total += u32::from(grows && lacking);
                (req, grows && lacking)
            };
            if reinforce {
                // Without another, the queue is run by those there are.
                let _ = self.hire(acting);
            }
            // SAFETY: the request holds on to its ring (`Batch::of`), whose memory is never
            // unmapped.
            let ring = unsafe { &*req.ring };
            let worker = Some(Worker { crew: self, acting });
            if req.has(flag::ENTRUSTED) {
                ring.lock_as(worker).issue_entrusted(req);
            } else {
                ring.orders().begin_work(tid);
                req.res = run(req);
                ring.orders().end_work(tid);
                ring.finish_remotely(req, worker);
            }
            descriptors::put(ring);
        }
    }
}

extern "C" fn worker(crew: usize) -> ! {
    // SAFETY: `take_on` and `hire` gave us a crew; they are static.
    let crew: &'static Crew = unsafe { &*(crew as *const Crew) };
    crew.serve(None);
    thread::end()
}

extern "C" fn worker_as(personality: usize) -> ! {
    // SAFETY: `hire` gave us a personality; they are static.
    let personality: &'static Personality = unsafe { &*(personality as *const Personality) };
    personality.crew.serve(Some(personality));
    thread::end()
}
