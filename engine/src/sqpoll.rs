//! SQPOLL: a thread that submits for the application.

use core::ptr;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicI32, AtomicU32};

use sysring_sys::abi::io_uring::{setup, sq_flags};
use sysring_sys::abi::{NSEC_PER_MSEC, PollFd};
use sysring_sys::raw::general as g;
use sysring_sys::{Fd, Result, arch, call};

use crate::locked::Locked;
use crate::ring::Ring;
use crate::wait::time_left;
use crate::{descriptors, thread};

/// A ring's submission thread.
#[derive(Debug)]
pub struct SqPoll {
    /// 0 none, 1 running, 2 asked to end.
    state: AtomicU32,
    /// Milliseconds of spinning before it sleeps.
    pub idle_ms: AtomicU32,
    /// The eventfd that wakes it. Its own: a sleeper in `enter` would take the ring's bell away.
    bell: AtomicI32,
    /// The processor it is bound to, plus one; 0 for any.
    pub cpu: AtomicU32,
}

const NONE: u32 = 0;
const RUNNING: u32 = 1;
const ENDING: u32 = 2;

/// Looks at an empty queue between two looks at the clock.
const SPINS: u32 = 64;

impl SqPoll {
    pub const fn none() -> SqPoll {
        SqPoll {
            state: AtomicU32::new(NONE),
            idle_ms: AtomicU32::new(0),
            bell: AtomicI32::new(-1),
            cpu: AtomicU32::new(0),
        }
    }

    /// The ring is being taken apart; the thread has ended.
    pub fn close(&self) {
        let bell = self.bell.swap(-1, Relaxed);
        if bell >= 0 {
            descriptors::let_go(Fd::new(bell));
        }
    }

    /// The thread is the parent's: the child's ring has none until it is needed.
    pub fn after_fork(&self) {
        self.state.store(NONE, Relaxed);
    }

    /// Whether the thread is one of this process: a forked child's ring has it in the parent.
    #[must_use]
    pub fn is_here(&self) -> bool {
        // Relaxed: only whether.
        self.state.load(Relaxed) != NONE
    }
}

/// Starts the thread; it holds on to the ring.
///
/// # Errors
/// `EAGAIN` or `ENOMEM`.
pub fn start(ring: &'static Ring) -> Result<()> {
    ring.lock().set()?;
    let bell = descriptors::keep(call::eventfd(0)?)?;
    ring.sqpoll.bell.store(bell.raw(), Relaxed);
    ring.refs.fetch_add(1, Relaxed);
    // Release pairs with the Acquire half in `stop` and `replace`: the bell is there. (The thread itself
    // begins after all of this.)
    ring.sqpoll.state.store(RUNNING, Release);
    thread::start(run, ptr::from_ref(ring) as usize).map(drop).inspect_err(|_| {
        ring.sqpoll.state.store(NONE, Relaxed);
        // Release pairs with the Acquire of the last one to let go (`descriptors::put`).
        ring.refs.fetch_sub(1, Release);
    })
}

/// Tells the thread to end.
pub fn stop(ring: &Ring) {
    let state = &ring.sqpoll.state;
    // Release pairs with the Acquire in `run`; Acquire with the Release in `start`.
    if state.compare_exchange(RUNNING, ENDING, AcqRel, Relaxed).is_ok() {
        wake(ring);
    }
}

/// Has the calling thread start another one in its place. What was submitted stays where it is.
pub fn replace(ring: &Ring) {
    /// It looks at least so often whether it is to end, but for the length of a submission.
    const SHORTLY: i64 = 100_000;
    let state = &ring.sqpoll.state;
    // As in `stop`.
    let runs = ring.shape().has(setup::SQPOLL)
        && state.compare_exchange(RUNNING, ENDING, AcqRel, Relaxed).is_ok();
    if !runs {
        return;
    }
    wake(ring);
    // Acquire pairs with the Release at the end of `run`: it has left the bell alone.
    while state.load(Acquire) != NONE {
        call::nanosleep(SHORTLY);
    }
    ring.sqpoll.close();
    if ring.lock().closing {
        return;
    }
    // SAFETY: rings are never unmapped.
    let ring: &'static Ring = unsafe { &*ptr::from_ref(ring) };
    let _ = start(ring);
    // Who closed it meanwhile found no thread to stop.
    if ring.lock().closing {
        stop(ring);
    }
}

/// `IORING_ENTER_SQ_WAKEUP`.
pub fn wake(ring: &Ring) {
    let bell = ring.sqpoll.bell.load(Relaxed);
    if bell >= 0 {
        let _ = call::eventfd_add(Fd::new(bell), 1);
    }
}

/// By who holds the ring and has set a timer. The thread says that it sleeps before it takes the
/// lock to ask for the first timer, so either it finds this one, or we find that it sleeps.
pub fn wake_if_asleep(ring: &Ring) {
    if ring.sq_flags().load(Relaxed) & sq_flags::NEED_WAKEUP != 0 {
        wake(ring);
    }
}

extern "C" fn run(ring: usize) -> ! {
    // SAFETY: `start` gave us a ring and a hold on it; rings are never unmapped.
    let ring = unsafe { &*(ring as *const Ring) };
    thread::set_name(*b"sqp");
    bind(ring);
    let idle = i64::from(ring.sqpoll.idle_ms.load(Relaxed)) * NSEC_PER_MSEC;
    let mut last_work = call::now(call::CLOCK_MONOTONIC);
    // Acquire pairs with the Release in `stop` and `replace`.
    while ring.sqpoll.state.load(Acquire) == RUNNING {
        if pass(ring) {
            last_work = call::now(call::CLOCK_MONOTONIC);
            continue;
        }
        for _ in 0..SPINS {
            if ring.sq_pending() != 0 {
                break;
            }
            arch::relax();
        }
        if ring.sq_pending() == 0 && call::now(call::CLOCK_MONOTONIC) - last_work > idle {
            nap(ring);
            last_work = call::now(call::CLOCK_MONOTONIC);
        }
    }
    // Release pairs with the Acquire in `replace`.
    ring.sqpoll.state.store(NONE, Release);
    descriptors::put(ring);
    // SAFETY: made by `thread::start`; what this function had on the stack is not used any more.
    unsafe { thread::end() }
}

/// By the thread, which has the credentials of what it submits.
fn lock(ring: &Ring) -> Locked<'_> {
    let mut locked = ring.lock();
    locked.submitter = true;
    locked
}

/// One round: what the application has queued, what is ready, what is due. Whether there was any.
fn pass(ring: &Ring) -> bool {
    if ring.disabled().load(Relaxed) {
        return false;
    }
    let mut locked = lock(ring);
    let submitted = locked.submit(u32::MAX).unwrap_or(0);
    // What came in time, before it is up.
    locked.reap();
    locked.progress();
    submitted != 0 || locked.posted != 0
}

/// Sleeps until there is something to do; the application is told to wake us.
fn nap(ring: &Ring) {
    if ring.sq().may_sleep(ring.sq_flags()) || ring.disabled().load(Relaxed) {
        let (set, until) = {
            let mut locked = lock(ring);
            locked.progress();
            (locked.set(), locked.timers.next_deadline())
        };
        if let Ok(set) = set
            // Relaxed: who stops it rings the bell after that, and the bell keeps what was rung.
            && ring.sqpoll.state.load(Relaxed) == RUNNING
        {
            sleep(ring, set, until);
        }
    }
    ring.sq().clear_need_wakeup(ring.sq_flags());
}

/// Until somebody wakes us, something is ready, or a timer is due.
fn sleep(ring: &Ring, set: Fd, until: Option<i64>) {
    let bell = ring.sqpoll.bell.load(Relaxed);
    let watch = |fd| PollFd { fd, events: g::EPOLLIN as i16, revents: 0 };
    let mut fds = [watch(set.raw()), watch(bell)];
    let _ = call::ppoll(&mut fds, time_left(until).as_mut(), None);
    let _ = call::eventfd_take(Fd::new(bell));
    lock(ring).reap();
}

fn bind(ring: &Ring) {
    if let Some(cpu) = ring.sqpoll.cpu.load(Relaxed).checked_sub(1) {
        let mut mask = [0u64; 16];
        if let Some(word) = mask.get_mut(cpu as usize / 64) {
            *word |= 1 << (cpu % 64);
            let _ = call::sched_setaffinity(0, &mask);
        }
    }
}
