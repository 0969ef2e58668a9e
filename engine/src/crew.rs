//! Crews: workers with one thread's credentials, and what they have to do.
//!
//! Workers are started by a thread that has the credentials which they are to have, for only what has
//! an identity can pass it on: by who submits, by one of them, or, those of a personality, where it
//! is registered. A crew whose work is done and whose workers have ended may become another's.

use core::ptr;
use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::Relaxed;

use sysring_protocol::{Hands, Keeps, Line, Load, Most, Standing};
use sysring_sys::abi::signal::{SIG_SETMASK, SIGSYS, SigSet};
use sysring_sys::call::Credentials;
use sysring_sys::vdso::monotonic;
use sysring_sys::{Result, call};

use crate::personality::Personality;
use crate::request::{Queue, Req, Stage, flag};
use crate::ring::Ring;
use crate::wq::{run, run_if_it_ends};
use crate::wq_limits;
use crate::{descriptors, driver, relief, thread};

impl Line for Queue {
    type Job = Req;

    fn push(&mut self, req: Req) {
        self.push(req);
    }

    fn pop(&mut self) -> Option<Req> {
        self.pop()
    }

    fn append(&mut self, other: &mut Queue) {
        self.append(other);
    }

    fn is_bounded(req: &Req) -> bool {
        req.is_bounded()
    }
}

/// Workers of one identity, and what they have to do.
#[derive(Debug)]
pub struct Crew {
    shared: sysring_protocol::Crew<Queue, Credentials>,
    /// They can ring for the driver: the bell was there before their table of descriptors was left.
    rings: AtomicBool,
}

/// A worker, as the rings know it that it comes to.
#[derive(Clone, Copy, Debug)]
pub struct Worker {
    pub crew: &'static Crew,
    /// Whose credentials these are, if they are not those of who submits.
    pub acting: Option<&'static Personality>,
}

impl Worker {
    /// Its table of descriptors is not the process's any more: what would go on with rings there is
    /// left to the driver, which is asked, if it can be.
    #[must_use]
    pub fn is_astray(&self) -> bool {
        let crew = self.crew;
        let asks = descriptors::tables() != 0 && crew.rings.load(Relaxed) && driver::is_there();
        asks && crew.shared.is_retired()
    }
}

/// What is left to be done where no ring is locked, for work that a crew was given.
#[derive(Debug)]
#[must_use]
pub struct Calls {
    crew: &'static Crew,
    calls: sysring_protocol::Calls,
}

impl Calls {
    /// Whether something that ends by itself stands behind another.
    pub fn behind(&self) -> bool {
        self.calls.behind
    }

    /// Wakes and starts workers; who cannot start one works in its place, if there are no others. Whether
    /// all could be had.
    pub fn make(self) -> bool {
        self.make_all(true)
    }

    fn make_all(self, stands_in: bool) -> bool {
        self.crew.shared.wake(self.calls.wake);
        self.crew.take_on(self.calls.spawn, stands_in)
    }
}

impl Default for Crew {
    fn default() -> Self {
        Self::new()
    }
}

impl Crew {
    pub const fn new() -> Crew {
        let shared = sysring_protocol::Crew::new(Queue::new(), Credentials::UNKNOWN);
        Crew { shared, rings: AtomicBool::new(false) }
    }

    /// In a child of `fork`.
    pub fn after_fork(&self) {
        self.shared.after_fork(Queue::new(), Credentials::UNKNOWN);
        self.rings.store(false, Relaxed);
    }

    /// Whether nobody is left of it.
    pub fn is_gone(&self) -> bool {
        self.shared.is_gone()
    }

    /// Whether somebody is there for a request ([`Crew::give`]).
    pub fn is_open(&self) -> bool {
        self.shared.is_open()
    }

    /// Takes requests from a thread with these credentials, if its workers have the same, or if it is
    /// nobody's and is to become one with these. `None`: nothing was taken.
    pub fn offer(
        &'static self,
        whose: &Credentials,
        anew: bool,
        queue: &mut Queue,
        load: Load,
    ) -> Option<Calls> {
        let calls = self.shared.offer(whose, anew, queue, load, wq_limits::most_workers())?;
        Some(Calls { crew: self, calls })
    }

    /// Takes requests from one of its own workers, or from who may start none.
    pub fn take(&'static self, queue: &mut Queue, load: Load, may_start: bool) -> Calls {
        let most = if may_start { wq_limits::most_workers() } else { Most::NONE };
        Calls { crew: self, calls: self.shared.take(queue, load, most) }
    }

    /// How what ends by itself fares in its queue, and what no worker was to be had for.
    pub fn standing(&self, now: i64) -> Standing {
        self.shared.standing(now)
    }

    /// Has one more come to what stands ([`Standing::Stuck`]), which takes the workers' credentials if
    /// nobody is idle; the caller may be one that `stands_in`. Whether there was one to be had.
    pub fn relieve(&'static self, whose: &Credentials, now: i64, stands_in: bool) -> bool {
        let calls = self.shared.relieve(whose, now, wq_limits::most_workers());
        calls.is_some_and(|calls| Calls { crew: self, calls }.make_all(stands_in))
    }

    /// Starts workers for what came from who could start none. The caller must have their credentials,
    /// unless nobody is there: then nothing has come from anybody who cared.
    pub fn reinforce(&'static self, whose: &Credentials) -> Option<Calls> {
        let calls = self.shared.reinforce(whose, wq_limits::most_workers().all)?;
        Some(Calls { crew: self, calls })
    }

    /// Whether its workers have these credentials.
    pub fn has(&self, whose: &Credentials) -> bool {
        self.shared.has(whose)
    }

    /// Starts the first worker of a personality, which has the credentials of the calling thread.
    ///
    /// # Errors
    /// `EAGAIN` or `ENOMEM`.
    pub fn muster(&'static self, personality: &'static Personality) -> Result<()> {
        self.rings.store(driver::has_bell(), Relaxed);
        self.shared.muster(|| start_acting(self, personality))
    }

    /// Starts workers who have been counted; if there are none to be had, the caller is one, where it
    /// `stands_in`. Whether all were.
    fn take_on(&'static self, count: u32, stands_in: bool) -> bool {
        if count != 0 && !self.rings.load(Relaxed) {
            driver::hang_bell();
            // In this order: who is not retired yet has the table with the bell in it.
            self.rings.store(driver::has_bell() && !self.shared.is_retired(), Relaxed);
        }
        let mut all = true;
        for _ in 0..count {
            let started = thread::start(worker, ptr::from_ref(self) as usize).is_ok();
            all &= started;
            if started {
                continue;
            }
            if !stands_in {
                self.shared.miss(false);
            } else if self.shared.has_others() {
                // They may all take what keeps them.
                relief::lack();
            } else {
                let mut hands = Life::of(self, None, run_if_it_ends);
                self.shared.stand_in(&mut hands);
                break;
            }
        }
        all
    }

    /// Keeps a personality's workers who were to go home; whether anybody was still there.
    pub fn recall(&self) -> bool {
        self.shared.recall()
    }

    /// Sends a personality's workers home, if nobody comes to have work for them soon.
    pub fn dismiss(&self) {
        self.shared.dismiss();
    }

    /// Has the workers end as soon as they are done.
    pub fn retire(&self) {
        self.shared.retire();
    }

    /// A request for a personality's crew, one of whom is always there until it is retired.
    ///
    /// # Errors
    /// The request, where it is.
    pub fn give(&self, req: Req) -> core::result::Result<(), Req> {
        self.shared.give(req)
    }

    /// Takes a request back that no worker has begun; whether it was still there.
    pub fn withdraw(&self, req: Req) -> bool {
        self.shared.pool().take_back(&req, |queue| queue.remove(req))
    }

    /// The same for all requests of a ring: one by one would be a walk through the queue for each.
    pub fn withdraw_all(&self, ring: &Ring, withdrawn: &mut Queue) {
        self.shared.pool().take_all_back(|req| ptr::eq(req.ring, ring), withdrawn);
    }

    /// Ends the call a worker makes for `req`, if a signal can.
    pub fn interrupt(&self, req: Req) {
        let _pool = self.shared.pool();
        req.set_while_running(flag::CANCELED);
        if req.stage == Stage::Running && thread::is_kickable() {
            let _ = thread::kick(req.worker);
        }
    }

    /// Marks a request as one that the calling thread makes the call of.
    pub fn begin(&self, mut req: Req, tid: i32) {
        let _pool = self.shared.pool();
        req.worker = tid;
        req.stage.set(Stage::Running);
    }
}

/// A thread that runs requests.
struct Life {
    tid: i32,
    worker: Worker,
    run: fn(Req) -> i32,
    /// The bindings to processors that it has heard of.
    heard: u32,
    /// When it looked for its request, and how often it had slept then or before.
    began: i64,
    slept: u64,
}

/// For so long, in nanoseconds, a call must have slept for another worker to have been of use: about as
/// long as it takes to start one.
const WORTH_ANOTHER: i64 = 50_000;

impl Life {
    fn of(crew: &'static Crew, acting: Option<&'static Personality>, run: fn(Req) -> i32) -> Life {
        let worker = Worker { crew, acting };
        Life { tid: call::gettid(), worker, run, heard: 0, began: 0, slept: call::times_waited() }
    }

    fn live(mut self) {
        thread::set_name(*b"wrk");
        let _ = call::sigprocmask(SIG_SETMASK, Some(SigSet::ALL.without(SIGSYS)));
        let Worker { crew, acting } = self.worker;
        crew.shared.serve(acting.is_some(), &mut self);
    }
}

impl Life {
    /// Whether its call was a long one because it has slept. If not, the processor was taken away, which
    /// another worker would not mend.
    fn has_slept(&mut self) -> bool {
        if monotonic() as i64 - self.began < WORTH_ANOTHER {
            return false;
        }
        let before = core::mem::replace(&mut self.slept, call::times_waited());
        before != self.slept
    }
}

impl Hands for Life {
    type Job = Req;

    fn look_up(&mut self) {
        wq_limits::obey(&mut self.heard);
        // It has slept, but not over a call.
        self.slept = call::times_waited();
    }

    fn now(&mut self) -> i64 {
        self.began = monotonic() as i64;
        self.began
    }

    fn most(&self) -> Most {
        wq_limits::most_ever()
    }

    fn begin(&mut self, req: &mut Req) -> Keeps {
        req.worker = self.tid;
        req.stage.set(Stage::Running);
        Keeps { long: req.has(flag::MAY_WAIT | flag::WATCHED), deaf: !req.has(flag::ENTRUSTED) }
    }

    fn run(&mut self, mut req: Req) -> bool {
        // SAFETY: the request holds on to its ring (`Batch::of`), whose memory is never unmapped.
        let ring = unsafe { &*req.ring };
        let worker = Some(self.worker);
        let mut slept = false;
        if !req.has(flag::ENTRUSTED) {
            ring.orders().begin_work(self.tid);
            req.res = (self.run)(req);
            ring.orders().end_work(self.tid);
            slept = self.has_slept();
        }
        if self.worker.is_astray() {
            ring.leave_to_driver(req);
            return slept;
        }
        if req.has(flag::ENTRUSTED) {
            ring.lock_as(worker).issue_entrusted(req);
        } else {
            ring.finish_remotely(req, worker);
        }
        descriptors::put(ring);
        slept
    }

    fn hire(&mut self) -> bool {
        match self.worker.acting {
            Some(personality) => start_acting(self.worker.crew, personality).is_ok(),
            None => thread::start(worker, ptr::from_ref(self.worker.crew) as usize).is_ok(),
        }
    }

    fn leave(&mut self) {
        // A driver must not begin with a table of descriptors that the process has no more.
        if !self.worker.crew.shared.is_retired() {
            relief::lack();
        }
    }
}

fn start_acting(crew: &'static Crew, personality: &'static Personality) -> Result<()> {
    thread::start(worker_as, personality.post(crew)).map(drop)
}

extern "C" fn worker(crew: usize) -> ! {
    // SAFETY: `take_on` and `hire` gave us a crew; they are static.
    let crew: &'static Crew = unsafe { &*(crew as *const Crew) };
    Life::of(crew, None, run).live();
    // SAFETY: made by `thread::start`; what this function had on the stack is not used any more.
    unsafe { thread::end() }
}

extern "C" fn worker_as(post: usize) -> ! {
    // SAFETY: `start_acting` has started us with what `post` said.
    let (crew, personality) = unsafe { Personality::at_post(post) };
    Life::of(crew, Some(personality), run).live();
    // SAFETY: made by `thread::start`; what this function had on the stack is not used any more.
    unsafe { thread::end() }
}
