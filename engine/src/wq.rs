//! The workers: threads that may block.
//!
//! One crew serves the process, and each personality has one of its own. Workers start when
//! something must block, run the queue back to back, and end when idle.

use core::ptr;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicU32};

use sysring_sys::abi::signal::{SIG_SETMASK, SIGSYS, SigSet};
use sysring_sys::abi::{PollFd, Timespec};
use sysring_sys::{Errno, Result, call};

use crate::locked::Locked;
use crate::op::table;
use crate::personality::Personality;
use crate::request::{Queue, Req, Stage, flag};
use crate::ring::Ring;
use crate::sync::{Guard, Mutex};
use crate::{descriptors, driver, stats, thread, wq_limits};

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
    /// Whose work the present workers may do: their user and group ids.
    identity: [u32; 6],
    /// Counts changes of identity; a worker of an older one ends.
    generation: u32,
    /// A personality's workers are to end.
    dismissed: bool,
}

impl Pool {
    const fn new() -> Pool {
        Pool {
            queue: Queue::new(),
            queued: 0,
            idle: 0,
            total: 0,
            identity: [0; 6],
            generation: 0,
            dismissed: false,
        }
    }
}

/// Workers of one identity, and what they have to do.

#[derive(Debug)]
pub struct Crew {
    pool: Mutex<Pool>,
    /// Idle workers sleep on this; it changes whenever there is work.
    calls: AtomicU32,
}

/// The crew that has the identity of who submits.
static OWN: Crew = Crew::new();

/// Who does what a request leaves to workers.
fn crew_of(req: Req) -> &'static Crew {
    req.creds.map_or(&OWN, |personality| &personality.crew)
}

/// In a child of `fork`: the workers, and what they had, are the parent's.
pub fn after_fork() {
    OWN.after_fork();
    wq_limits::after_fork();
}

/// Something was queued by who may start no workers for it.
static SHORT: AtomicBool = AtomicBool::new(false);

/// Requests on their way from a ring's lock to the pool.
#[must_use]
pub struct Batch {
    queue: Queue,
    count: u32,
    /// What goes to the crews of personalities.
    entrusted: Queue,
    /// The workers who do this must have the identity of who sends it.
    signed: bool,
    /// Who sends it has credentials of its own, which no worker may inherit.
    acting: bool,
}

impl Batch {
    /// What a ring has punted since the last time. Each request holds on to its ring from here.
    pub fn of(locked: &mut Locked<'_>) -> Batch {
        let count = core::mem::take(&mut locked.punted_count);
        let queue = core::mem::take(&mut locked.punted);
        let entrusted = core::mem::take(&mut locked.entrusted);
        let more = core::mem::take(&mut locked.entrusted_count);
        if count + more != 0 {
            locked.ring.refs.fetch_add(count + more, Relaxed);
        }
        Batch {
            queue,
            count,
            entrusted,
            signed: core::mem::take(&mut locked.punted_signed) | locked.submitter,
            acting: locked.acting.is_some(),
        }
    }

    /// Puts the requests into the pool and sees that somebody runs them.
    pub fn send(mut self) {
        while let Some(req) = self.entrusted.pop() {
            stats::add(&stats::get().worker, 1);
            crew_of(req).give(req);
        }
        if self.count == 0 {
            return;
        }
        stats::add(&stats::get().worker, u64::from(self.count));
        let (wake, spawn, generation, others) = {
            let mut pool = OWN.pool.lock();
            let others = self.signed && !self.acting && pool.adopt(call::identity());
            pool.queue.append(&mut self.queue);
            pool.queued += self.count;
            let wake = pool.idle.min(self.count);
            let spawn = if self.acting { 0 } else { pool.count_lacking() };
            (wake, spawn, pool.generation, others)
        };
        OWN.wake(wake);
        if others {
            driver::renew();
        }
        if self.acting {
            // Read by the driver, which the bell wakes after this.
            SHORT.store(true, Relaxed);
            return driver::ask_to_settle();
        }
        OWN.take_on(spawn, generation);
    }
}

/// By the driver: starts workers for what others could only queue.
pub fn reinforce() {
    if !SHORT.swap(false, Relaxed) {
        return;
    }
    let (spawn, generation) = {
        let mut pool = OWN.pool.lock();
        if pool.identity != call::identity() {
            // A driver that could not be replaced: its workers would have its identity. The next
            // who submits starts others.
            return;
        }
        (pool.count_lacking(), pool.generation)
    };
    OWN.take_on(spawn, generation);
}

impl Pool {
    /// Counts as many new workers as the queue wants, who are to be started.
    fn count_lacking(&mut self) -> u32 {
        let room = wq_limits::most_workers().saturating_sub(self.total);
        let lacking = self.queued.saturating_sub(self.idle).min(SPAWN_AT_ONCE).min(room);
        self.total += lacking;
        lacking
    }

    /// A worker that was counted could not be started. Whether there are others; if not, the
    /// caller is counted in its place, and has to do the work.
    fn lack_one(&mut self, generation: u32) -> bool {
        let current = self.generation == generation;
        if current && self.total > 1 {
            self.total -= 1;
            return true;
        }
        // Workers of a later generation do what is left of this one, too.
        !current
    }

    /// Work of another identity wants other workers: libc's `setuid` knows nothing of ours. Whether
    /// it is another.
    fn adopt(&mut self, identity: [u32; 6]) -> bool {
        let others = self.identity != identity;
        if others {
            self.identity = identity;
            self.generation = self.generation.wrapping_add(1);
            self.total = 0;
            self.idle = 0;
            // Sleepers of the old generation find on waking that they are not needed.
            OWN.wake(u32::MAX);
        }
        others
    }
}

/// Takes a request back that no worker has begun; whether it was still there.
pub fn withdraw(req: Req, ring: &Ring) -> bool {
    let mut pool = crew_of(req).pool.lock();
    let there = pool.queue.remove(req);
    if there {
        pool.queued -= 1;
        // The pool's hold on the ring; the caller has one of its own.
        ring.refs.fetch_sub(1, Release);
    }
    there
}

/// Takes everything of a ring's back that no worker has begun: one by one would be a walk through
/// the queue for each.
pub fn withdraw_all(ring: &Ring) -> Queue {
    let mut pool = OWN.pool.lock();
    let mut queue = core::mem::take(&mut pool.queue);
    let mut withdrawn = Queue::new();
    while let Some(req) = queue.pop() {
        if core::ptr::eq(req.ring, ring) {
            pool.queued -= 1;
            // As in `withdraw`.
            ring.refs.fetch_sub(1, Release);
            withdrawn.push(req);
        } else {
            pool.queue.push(req);
        }
    }
    withdrawn
}

/// Ends the call a worker makes for `req`, if a signal can.
pub fn interrupt(mut req: Req) {
    let _pool = crew_of(req).pool.lock();
    req.set(flag::CANCELED);
    if req.stage == Stage::Running && thread::is_kickable() {
        let _ = thread::kick(req.worker);
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
        let mut pool = self.pool.lock();
        *pool = Pool { generation: pool.generation.wrapping_add(1), ..Pool::new() };
    }

    /// Whether nobody is left of it.
    pub fn is_gone(&self) -> bool {
        self.pool.lock().total == 0
    }

    /// Starts the first worker of a personality, which has the identity of the calling thread.
    ///
    /// # Errors
    /// `EAGAIN` or `ENOMEM`.
    pub fn muster(&self, personality: &'static Personality) -> Result<()> {
        *self.pool.lock() = Pool { total: 1, ..Pool::new() };
        self.hire(0, Some(personality))
    }

    /// Starts workers who have been counted; if there are none to be had, the caller is one.
    fn take_on(&self, count: u32, generation: u32) {
        for _ in 0..count {
            let started = thread::start(worker, generation as usize).is_ok();
            if !started && !self.pool.lock().lack_one(generation) {
                return self.stand_in(generation);
            }
        }
    }

    /// Starts a worker who has been counted.
    fn hire(&self, generation: u32, acting: Option<&'static Personality>) -> Result<()> {
        let started = match acting {
            Some(personality) => thread::start(worker_as, ptr::from_ref(personality) as usize),
            None => thread::start(worker, generation as usize),
        };
        started.map(drop).inspect_err(|_| {
            let mut pool = self.pool.lock();
            if acting.is_some() || pool.generation == generation {
                pool.total -= 1;
            }
        })
    }

    /// Keeps a personality's workers who were to go home; whether anybody was still there.
    pub fn recall(&self) -> bool {
        let mut pool = self.pool.lock();
        if pool.total != 0 {
            pool.dismissed = false;
        }
        pool.total != 0
    }

    /// Sends a personality's workers home: nobody has work for them any more.
    pub fn dismiss(&self) {
        self.pool.lock().dismissed = true;
        self.wake(u32::MAX);
    }

    /// A request for a personality's crew, one of whom is always there.
    fn give(&self, req: Req) {
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

    /// A worker's life. The last one of a personality stays until it is dismissed: only its own
    /// kind could start another.
    fn serve(&self, generation: u32, acting: Option<&'static Personality>) {
        let tid = call::gettid();
        thread::set_name(*b"iou-wrk\0");
        let _ = call::sigprocmask(SIG_SETMASK, Some(SigSet::ALL.without(SIGSYS)));
        let over = |pool: &Pool| match acting {
            Some(_) => pool.dismissed && pool.queued == 0,
            None => pool.generation != generation,
        };
        let mut heard = 0;
        loop {
            wq_limits::obey(&mut heard);
            self.run_queue(tid, generation, acting, run);
            // Acquire pairs with the Release in `wake`: a count read before the queue is looked at
            // has changed if something came since.
            let seen = self.calls.load(Acquire);
            let last;
            {
                let mut pool = self.pool.lock();
                if over(&pool) {
                    break self.part(pool, acting);
                }
                if pool.queued != 0 {
                    continue;
                }
                pool.idle += 1;
                last = acting.is_some() && pool.total == 1;
            }
            let slept = call::futex_wait(&self.calls, seen, (!last).then_some(&IDLE));
            let mut pool = self.pool.lock();
            if over(&pool) {
                break self.part(pool, acting);
            }
            pool.idle -= 1;
            let needed = acting.is_some() && pool.total == 1;
            if slept == Err(Errno::ETIMEDOUT) && pool.queued == 0 && !needed {
                pool.total -= 1;
                break;
            }
        }
    }

    /// Leaves a crew that is no longer: one of another identity has been counted anew already.
    fn part(&self, mut pool: Guard<'_, Pool>, acting: Option<&'static Personality>) {
        if acting.is_some() {
            pool.total -= 1;
        }
    }

    /// No thread is to be had at all: the calling one is the worker until the queue is empty. What
    /// it completes may bring more: that finds a worker here, and the loop runs it, not another
    /// inside it.
    fn stand_in(&self, generation: u32) {
        let tid = call::gettid();
        loop {
            self.run_queue(tid, generation, None, run_if_it_ends);
            let mut pool = self.pool.lock();
            if pool.generation != generation {
                return;
            }
            if pool.queued == 0 {
                pool.total -= 1;
                return;
            }
        }
    }

    /// Runs requests until there are none, or they are for others.
    fn run_queue(
        &self,
        tid: i32,
        generation: u32,
        acting: Option<&'static Personality>,
        run: fn(Req) -> i32,
    ) {
        loop {
            let (mut req, reinforce) = {
                let mut pool = self.pool.lock();
                if acting.is_none() && pool.generation != generation {
                    return;
                }
                let Some(mut req) = pool.queue.pop() else { return };
                pool.queued -= 1;
                req.worker = tid;
                req.stage = Stage::Running;
                // A personality's crew grows from within. The process's own is as large as the
                // submitter found right, unless its members may be gone for long.
                let grows = acting.is_some() || req.has(flag::MAY_WAIT | flag::WATCHED);
                let lacking = pool.queued > pool.idle && pool.total < wq_limits::MAX_WORKERS;
                pool.total += u32::from(grows && lacking);
                (req, grows && lacking)
            };
            if reinforce {
                // Without another, the queue is run by those there are.
                let _ = self.hire(generation, acting);
            }
            // SAFETY: the request holds on to its ring (`Batch::of`), whose memory is never
            // unmapped.
            let ring = unsafe { &*req.ring };
            if req.has(flag::ENTRUSTED) {
                ring.lock_as(acting).issue_entrusted(req);
            } else {
                req.res = run(req);
                ring.finish_remotely(req, acting);
            }
            descriptors::put(ring);
        }
    }
}

extern "C" fn worker(generation: usize) -> ! {
    OWN.serve(generation as u32, None);
    thread::end()
}

extern "C" fn worker_as(personality: usize) -> ! {
    // SAFETY: `Crew::hire` gave us a personality; they are static.
    let personality: &'static Personality = unsafe { &*(personality as *const Personality) };
    personality.crew.serve(0, Some(personality));
    thread::end()
}

/// Makes the call; again if a signal meant for an earlier one ended it.
fn run(req: Req) -> i32 {
    let work = match table::must(req.sqe.opcode).work {
        _ if req.has(flag::WATCHED) => watch,
        Some(work) => work,
        None => return Errno::EAGAIN.to_res(),
    };
    loop {
        let res = work(req);
        if res != Errno::EINTR.to_res() || req.has(flag::CANCELED) {
            return res;
        }
    }
}

/// On a thread of the application's, which must not be kept by what waits for others: where the
/// kernel finds no thread for such a request, it cancels it.
fn run_if_it_ends(req: Req) -> i32 {
    if req.has(flag::MAY_WAIT | flag::WATCHED) { Errno::ECANCELED.to_res() } else { run(req) }
}

/// Waits until the file is ready: for what, as `poll` tells it.
fn watch(req: Req) -> i32 {
    // Now and then it looks whether it is to stop: a signal may come between that and the call.
    const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
    let mut fds = [PollFd { fd: req.file.fd.raw(), events: req.events as i16, revents: 0 }];
    loop {
        match call::ppoll(&mut fds, Some(&mut { LOOK }), None) {
            Ok(0) if req.has(flag::CANCELED) => return Errno::EINTR.to_res(),
            Ok(0) => {}
            Ok(_) => return i32::from(fds[0].revents),
            Err(e) => return e.to_res(),
        }
    }
}
