//! SQPOLL: a thread that submits for the application.

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

use sysring_sys::abi::io_uring::sq_flags;
use sysring_sys::{Result, arch, call};

use crate::poll::{BATCH, NO_EVENT};
use crate::ring::Ring;
use crate::{descriptors, wait, wq};

/// A ring's submission thread.
#[derive(Debug)]
pub struct SqPoll {
    /// 0 none, 1 running, 2 asked to end.
    state: AtomicU32,
    /// Milliseconds of spinning before it sleeps.
    pub idle_ms: AtomicU32,
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
        SqPoll { state: AtomicU32::new(NONE), idle_ms: AtomicU32::new(0), cpu: AtomicU32::new(0) }
    }

    /// The thread is the parent's: the child's ring has none until it is needed.
    pub fn after_fork(&self) {
        self.state.store(NONE, Relaxed);
    }
}

/// Starts the thread; it holds on to the ring.
///
/// # Errors
/// `EAGAIN` or `ENOMEM`.
pub fn start(ring: &'static Ring) -> Result<()> {
    ring.lock().set()?;
    ring.refs.fetch_add(1, Relaxed);
    ring.sqpoll.state.store(RUNNING, Release);
    wq::start_thread(run, core::ptr::from_ref(ring) as usize).map(drop).inspect_err(|_| {
        ring.sqpoll.state.store(NONE, Relaxed);
        ring.refs.fetch_sub(1, Release);
    })
}

/// Tells the thread to end.
pub fn stop(ring: &Ring) {
    if ring.sqpoll.state.swap(ENDING, Release) == RUNNING {
        wait::wake_all(ring);
    }
}

/// `IORING_ENTER_SQ_WAKEUP`.
pub fn wake(ring: &Ring) {
    wait::wake_all(ring);
}

extern "C" fn run(ring: usize) -> ! {
    // SAFETY: `start` gave us a ring and a hold on it; rings are never unmapped.
    let ring = unsafe { &*(ring as *const Ring) };
    wq::set_name(*b"iou-sqp\0");
    bind(ring);
    let idle = i64::from(ring.sqpoll.idle_ms.load(Relaxed)) * 1_000_000;
    let mut last_work = call::now(call::CLOCK_MONOTONIC);
    // Acquire pairs with the Release in `stop`.
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
    ring.sqpoll.state.store(NONE, Release);
    descriptors::put(ring);
    wq::end_thread()
}

/// One round: what the application has queued, what is ready, what is due. Whether there was any.
fn pass(ring: &Ring) -> bool {
    if ring.disabled().load(Relaxed) {
        return false;
    }
    let mut locked = ring.lock();
    let submitted = locked.submit(u32::MAX).unwrap_or(0);
    locked.progress();
    locked.reap();
    submitted != 0 || locked.posted != 0
}

/// Sleeps until there is something to do; the application is told to wake us.
fn nap(ring: &Ring) {
    ring.sq_flags().fetch_or(sq_flags::NEED_WAKEUP, SeqCst);
    // The flag is set before the queue is looked at a last time, as the application publishes
    // its tail before it looks at the flag: one of us sees the other.
    if ring.sq_pending() == 0 || ring.disabled().load(Relaxed) {
        let (set, until) = {
            let mut locked = ring.lock();
            locked.progress();
            (locked.set(), locked.timers.next_deadline())
        };
        if let Ok(set) = set
            && ring.sqpoll.state.load(Acquire) == RUNNING
        {
            let mut events = [NO_EVENT; BATCH];
            if let Ok(n) = wait::sleep(set, &mut events, until, None) {
                ring.lock().handle(&events[..n]);
            }
        }
    }
    ring.sq_flags().fetch_and(!sq_flags::NEED_WAKEUP, SeqCst);
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
