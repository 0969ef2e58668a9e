//! Sleepers: threads that wait where the kernel has a queue and no descriptor that tells of it.
//!
//! A worker is expected to come back; a sleeper may never. So each has one request, none waits for
//! another, and a request that is cancelled has its sleeper called back with a signal. Who cancels
//! waits for that: what the call answers then says whether it was in time.

use core::cell::UnsafeCell;
use core::ptr;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicI32, AtomicU32};

use sysring_sys::abi::Timespec;
use sysring_sys::abi::signal::{SIG_SETMASK, SIGSYS, SigSet};
use sysring_sys::call::Credentials;
use sysring_sys::{Errno, Result, call};

use crate::issue::Issued;
use crate::locked::Locked;
use crate::op::table::row_flag;
use crate::request::{Req, Stage, flag};
use crate::sync::Mutex;
use crate::{descriptors, driver, memory, stats, thread};

/// How many words a sleeper has to sleep on: as many as one call can wait for.
pub const WORDS: usize = 128;

/// How long an idle sleeper waits for more.
const IDLE_FOR: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };
/// A signal may come a moment before the call it is to end: it is sent again.
const KICK_AGAIN: Timespec = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };

/// Signals in a row that could not be sent: none can.
const REFUSALS: u32 = 10;

/// Nobody's.
const IDLE: u32 = 0;
/// Has a request, and who gave it is not done with giving.
const ARMING: u32 = 1;
/// Hands the request in by itself when the call is over.
const ARMED: u32 = 2;
/// Is to come back; somebody waits for it.
const RECALLED: u32 = 3;
/// The call is over.
const OVER: u32 = 4;

/// A word to sleep on, with its node as a futex for NUMA machines has it.
#[repr(C, align(8))]
pub struct Word {
    pub value: AtomicU32,
    node: AtomicU32,
}

/// `FUTEX_NO_NODE`.
const NO_NODE: u32 = u32::MAX;

impl Word {
    const fn new() -> Word {
        Word { value: AtomicU32::new(0), node: AtomicU32::new(NO_NODE) }
    }
}

/// One such thread.
pub struct Sleeper {
    state: AtomicU32,
    tid: AtomicI32,
    answer: AtomicI32,
    /// The request: written in [`IDLE`] by who gives it, read by the sleeper in [`ARMING`] and after.
    req: UnsafeCell<Option<Req>>,
    /// For the operation: words of its own to sleep on.
    pub words: [Word; WORDS],
    /// The thread's credentials; `UNKNOWN`: they do not matter to what it is for.
    whose: Credentials,
    /// The table of descriptors that it shares ([`descriptors::tables`]).
    table: u32,
    /// It can ring for the driver: the bell was there before it.
    rings: bool,
    /// Next in the list of idle ones; guarded by its lock.
    next: UnsafeCell<*const Sleeper>,
}

// SAFETY: the cells are guarded as their comments say, the rest is atomic.
unsafe impl Sync for Sleeper {}

struct Idle(*const Sleeper);

// SAFETY: the list is reached through its lock only.
unsafe impl Send for Idle {}

static IDLE_ONES: Mutex<Idle> = Mutex::new(Idle(ptr::null()));

/// Those that have not ended.
static LIVING: AtomicU32 = AtomicU32::new(0);

/// Whether any has not ended. Idle ones of another table than the process's end in their time.
pub fn are_there() -> bool {
    LIVING.load(Relaxed) != 0
}

/// In a child of `fork`: the sleepers are the parent's.
pub fn after_fork() {
    IDLE_ONES.reset();
    IDLE_ONES.lock().0 = ptr::null();
    LIVING.store(0, Relaxed);
}

impl Idle {
    fn push(&mut self, sleeper: &'static Sleeper) {
        // SAFETY: the lock is held.
        unsafe { *sleeper.next.get() = self.0 };
        self.0 = sleeper;
    }

    /// Takes the first off that fits.
    fn take(&mut self, fits: impl Fn(&Sleeper) -> bool) -> Option<&'static Sleeper> {
        let mut at: *mut *const Sleeper = &raw mut self.0;
        // SAFETY: a listed sleeper stays until it has taken itself off the list, under the lock,
        // which is held; and so do the links between them.
        unsafe {
            while let Some(here) = (*at).as_ref() {
                if fits(here) {
                    *at = *here.next.get();
                    return Some(here);
                }
                at = here.next.get();
            }
        }
        None
    }
}

/// The sleeper that has `req`.
///
/// # Safety
/// [`give`] has given it to one, which was not dismissed since.
#[must_use]
pub unsafe fn of(req: Req) -> &'static Sleeper {
    // SAFETY: `give` has put the address there, and a sleeper with a request does not end (the caller's
    // promise).
    unsafe { &*(req.scratch[0] as usize as *const Sleeper) }
}

/// Gives a request to a sleeper, which starts to make its call (`work`).
///
/// # Errors
/// `ENOMEM`: no thread to be had. `EOPNOTSUPP`: none that could be called back.
pub fn give(mut req: Req) -> Result<&'static Sleeper> {
    // To wait for a futex takes no particular credentials: any idle sleeper will do.
    let anybody = req.row.has(row_flag::FUTEX_LIST);
    let whose = if anybody { Credentials::UNKNOWN } else { call::credentials() };
    let table = descriptors::tables();
    let idle = IDLE_ONES.lock().take(|idle| idle.whose == whose && idle.table == table);
    let sleeper = match idle {
        Some(sleeper) => sleeper,
        None => make(whose, table)?,
    };
    for word in &sleeper.words {
        word.value.store(0, Relaxed);
        word.node.store(NO_NODE, Relaxed);
    }
    req.scratch[0] = ptr::from_ref(sleeper) as usize as u64;
    // SAFETY: the sleeper is idle, and off the list: nobody looks there.
    unsafe { *sleeper.req.get() = Some(req) };
    // Release pairs with the Acquire of the sleeper that is about to serve: it sees the request.
    sleeper.state.store(ARMING, Release);
    if idle.is_some() {
        call::futex_wake(&sleeper.state, 1);
    } else if thread::start(run, ptr::from_ref(sleeper) as usize).is_err() {
        free(sleeper);
        return Err(Errno::ENOMEM);
    }
    Ok(sleeper)
}

fn make(whose: Credentials, table: u32) -> Result<&'static Sleeper> {
    if !thread::can_kick() {
        return Err(Errno::EOPNOTSUPP);
    }
    let place = memory::allocate(size_of::<Sleeper>())?.cast::<Sleeper>();
    driver::hang_bell();
    LIVING.fetch_add(1, Relaxed);
    // SAFETY: the block is large enough, aligned, and ours until the thread gives it back.
    unsafe {
        place.write(Sleeper {
            state: AtomicU32::new(IDLE),
            tid: AtomicI32::new(0),
            answer: AtomicI32::new(0),
            req: UnsafeCell::new(None),
            words: [const { Word::new() }; WORDS],
            whose,
            table,
            rings: driver::has_bell(),
            next: UnsafeCell::new(ptr::null()),
        });
        Ok(place.as_ref())
    }
}

fn free(sleeper: &'static Sleeper) {
    let place = ptr::NonNull::from(sleeper).cast::<u8>();
    // SAFETY: allocated by `make`; the caller is the last that knows it.
    unsafe { memory::release(place, size_of::<Sleeper>()) };
    LIVING.fetch_sub(1, Relaxed);
}

impl Sleeper {
    /// Whether its call is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        // Acquire pairs with the AcqRel of the sleeper that is back: its answer is there.
        self.state.load(Acquire) == OVER
    }

    /// Whether it is to come back.
    #[must_use]
    pub fn is_recalled(&self) -> bool {
        // Relaxed: only whether; the signal comes after the word.
        self.state.load(Relaxed) == RECALLED
    }

    /// Who has given the request gives up: the call's answer. `None`: it cannot be called back, and
    /// is to be left there.
    pub fn abort(&'static self) -> Option<i32> {
        // Acquire, where that fails, pairs with the AcqRel of the sleeper that is back: its answer is
        // there. Nothing goes with the word.
        let begun = self.state.compare_exchange(ARMING, RECALLED, Relaxed, Acquire);
        if begun.is_ok() && !self.kick(ARMING) { None } else { Some(self.dismiss()) }
    }

    /// Calls it back from a request it was left with.
    ///
    /// # Errors
    /// `ENOENT`: the call was over. `EALREADY`: no signal can be sent here.
    fn recall(&self) -> Result<()> {
        // Acquire, where that fails, pairs with the AcqRel of the sleeper that is back. Nothing goes with
        // the word.
        match self.state.compare_exchange(ARMED, RECALLED, Relaxed, Acquire) {
            Err(_) => Err(Errno::ENOENT),
            Ok(_) if self.kick(ARMED) => Ok(()),
            Ok(_) => Err(Errno::EALREADY),
        }
    }

    /// Until it is back. Only then is it given another request, which no signal of ours must hit.
    /// Where a sandbox lets us send none, its state is again what it was: false.
    fn kick(&self, before: u32) -> bool {
        let mut refused = 0;
        // Acquire pairs with the AcqRel of the sleeper that is back: its answer is there.
        while self.state.load(Acquire) != OVER {
            // Relaxed: 0 for one that has not come so far, which is told again.
            refused = if thread::kick(self.tid.load(Relaxed)).is_ok() { 0 } else { refused + 1 };
            if refused == REFUSALS {
                // Release, for it is armed again, pairs with the AcqRel of the sleeper; Acquire, where that
                // fails, with the same: its answer is there.
                return self.state.compare_exchange(RECALLED, before, Release, Acquire).is_err();
            }
            let _ = call::futex_wait(&self.state, RECALLED, Some(&KICK_AGAIN));
        }
        true
    }

    /// Its call is over: the answer. It may have another request.
    pub fn dismiss(&'static self) -> i32 {
        let answer = self.answer.load(Relaxed);
        let mut idle = IDLE_ONES.lock();
        // Relaxed: the lock of the list brings it to who takes the sleeper off.
        self.state.store(IDLE, Relaxed);
        idle.push(self);
        answer
    }

    /// As [`Worker::is_astray`](crate::crew::Worker::is_astray).
    fn is_astray(&self) -> bool {
        self.table != descriptors::tables() && self.rings && driver::is_there()
    }

    /// One request, from when it is there; whether it came.
    fn serve(&self) -> bool {
        loop {
            // Acquire pairs with the Release in `give`.
            match self.state.load(Acquire) {
                ARMING | ARMED | RECALLED => break,
                now => {
                    let slept = call::futex_wait(&self.state, now, Some(&IDLE_FOR));
                    // One that is over is looked at soon, however busy the ring is.
                    if slept == Err(Errno::ETIMEDOUT)
                        && IDLE_ONES.lock().take(|idle| ptr::eq(idle, self)).is_some()
                    {
                        return false;
                    }
                }
            }
        }
        // SAFETY: written before the state that was just seen; stays until this one is dismissed.
        let Some(req) = (unsafe { *self.req.get() }) else { return false };
        let answer = match req.row.work {
            Some(work) => work(req),
            None => Errno::EINVAL.to_res(),
        };
        // SAFETY: the request holds on to its ring, whose memory is never unmapped.
        let ring = unsafe { &*req.ring };
        // Relaxed: the swap takes it along.
        self.answer.store(answer, Relaxed);
        // AcqRel: the answer is there for who finds it over; and armed, it was armed whole.
        match self.state.swap(OVER, AcqRel) {
            ARMED if self.is_astray() => ring.leave_to_driver(req),
            ARMED => {
                ring.finish_remotely(req, None);
                descriptors::put(ring);
            }
            _ => call::futex_wake(&self.state, 1),
        }
        true
    }
}

extern "C" fn run(sleeper: usize) -> ! {
    // SAFETY: `give` has made it for this thread, which alone frees it.
    let sleeper: &'static Sleeper = unsafe { &*(sleeper as *const Sleeper) };
    thread::set_name(*b"slp");
    let _ = call::sigprocmask(SIG_SETMASK, Some(SigSet::ALL.without(SIGSYS)));
    sleeper.tid.store(call::gettid(), Relaxed);
    while sleeper.serve() {}
    free(sleeper);
    // SAFETY: made by `thread::start`; what this function had on the stack is not used any more.
    unsafe { thread::end() }
}

impl Locked<'_> {
    /// Leaves a request to the sleeper it was given to, if its call is not over already.
    pub fn leave_to_sleeper(&mut self, req: Req) -> Issued {
        // SAFETY: the operation has just given the request to a sleeper.
        let sleeper = unsafe { of(req) };
        // Held by the sleeper, until it has handed the request in.
        self.ring.refs.fetch_add(1, Relaxed);
        // Release pairs with the AcqRel of the sleeper that is back, which finds the request armed whole;
        // Acquire, where that was before: its answer is there.
        match sleeper.state.compare_exchange(ARMING, ARMED, Release, Acquire) {
            Ok(_) => {
                stats::add(&stats::get().parked, 1);
                self.file(req, Stage::Asleep);
                Issued::Held
            }
            Err(_) => {
                // Release pairs with the Acquire of the last one to let go (`descriptors::put`).
                self.ring.refs.fetch_sub(1, Release);
                Issued::Done(sleeper.dismiss())
            }
        }
    }

    /// Ends a request that a sleeper has.
    ///
    /// # Errors
    /// `ENOENT`: what it waited for has come. `EALREADY`: it cannot be told.
    pub fn wake_up(&mut self, mut req: Req) -> Result<()> {
        // SAFETY: in the stage `Asleep`, as it is here, a request is with the sleeper that it was given to.
        let sleeper = unsafe { of(req) };
        if let Err(e) = sleeper.recall() {
            req.set(flag::CANCELED);
            return Err(e);
        }
        // Release pairs with the Acquire of the last one to let go (`descriptors::put`).
        self.ring.refs.fetch_sub(1, Release);
        // Relaxed: `recall` has seen that the call is over.
        if sleeper.answer.load(Relaxed) == Errno::EINTR.to_res() {
            sleeper.dismiss();
            self.take_down(req);
            return Ok(());
        }
        self.worked(req);
        Err(Errno::ENOENT)
    }
}
