//! SQPOLL: a thread that submits for the application.

use core::ptr;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use core::sync::atomic::{AtomicI32, AtomicU32, fence};

use sysring_sys::abi::io_uring::{setup, sq_flags};
use sysring_sys::abi::{NSEC_PER_MSEC, PollFd};
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, arch, call};

use crate::locked::Locked;
use crate::ring::Ring;
use crate::wait::time_left;
use crate::{Caller, descriptors, thread};

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
    /// Who waits for room in the queue (`SQ_WAIT`).
    waiting: AtomicU32,
    /// The eventfd that tells them of it; there is none until somebody sleeps.
    room: AtomicI32,
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
            waiting: AtomicU32::new(0),
            room: AtomicI32::new(-1),
        }
    }

    /// The ring is being taken apart; the thread has ended.
    pub fn close(&self) {
        self.take_bell_down();
        let_go_of(&self.room);
    }

    /// The thread has ended.
    fn take_bell_down(&self) {
        let_go_of(&self.bell);
    }

    /// The thread is the parent's: the child's ring has none until it is needed. So are those who wait.
    pub fn after_fork(&self) {
        self.state.store(NONE, Relaxed);
        self.waiting.store(0, Relaxed);
    }

    /// Whether the thread is one of this process: a forked child's ring has it in the parent.
    #[must_use]
    pub fn is_here(&self) -> bool {
        // Relaxed: only whether.
        self.state.load(Relaxed) != NONE
    }
}

fn let_go_of(eventfd: &AtomicI32) {
    let fd = eventfd.swap(-1, Relaxed);
    if fd >= 0 {
        descriptors::let_go(Fd::new(fd));
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
    ring.sqpoll.take_bell_down();
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

/// `IORING_ENTER_SQ_WAIT`: until the queue has room, the ring is closed, or a signal was handled. As in the
/// kernel who waits is not told which.
pub fn wait_for_room(ring: &Ring, caller: &Caller) {
    /// A thread that is awake makes room before it is worth going to sleep.
    const YIELDS: u32 = 32;
    for _ in 0..YIELDS {
        if ring.sq_pending() != ring.shape().sq_entries {
            return;
        }
        call::sched_yield();
    }
    let poll = &ring.sqpoll;
    poll.waiting.fetch_add(1, Relaxed);
    // Pairs with the fence in `tell_of_room`: either the thread sees that we wait, or we see the room.
    fence(SeqCst);
    while ring.sq_pending() == ring.shape().sq_entries && !ring.lock_again().closing {
        if sleep_for_room(ring, caller) == Err(Errno::EINTR) {
            break;
        }
    }
    // Relaxed: counted, no more.
    if poll.waiting.fetch_sub(1, Relaxed) != 1 {
        // Of several who are woken one takes the word: it is passed on.
        call_for_room(ring);
    }
}

/// Sleeps until the thread tells of room, with the application's signal mask. It looks again by itself, too:
/// there may be no descriptor to be had, and in a child of `fork` the thread is the parent's.
fn sleep_for_room(ring: &Ring, caller: &Caller) -> Result<()> {
    const LOOK: i64 = 10 * NSEC_PER_MSEC;
    let room = room(ring).unwrap_or(Fd::new(-1));
    let mut fds = [PollFd { fd: room.raw(), events: g::EPOLLIN as i16, revents: 0 }];
    let until = call::now(call::CLOCK_MONOTONIC) + LOOK;
    let mut left = time_left(Some(until));
    if call::ppoll(&mut fds, left.as_mut(), caller.sigmask.as_ref())? != 0 {
        let _ = call::eventfd_take(room);
    }
    Ok(())
}

/// The eventfd for those who wait for room.
fn room(ring: &Ring) -> Result<Fd> {
    // Held by who makes it: two would make one each.
    let _locked = ring.lock_again();
    let there = Fd::new(ring.sqpoll.room.load(Relaxed));
    if there.is_valid() {
        return Ok(there);
    }
    let room = descriptors::keep(call::eventfd(0)?)?;
    ring.sqpoll.room.store(room.raw(), Relaxed);
    Ok(room)
}

/// By the thread, when it has taken entries or ends: those who wait for room look again.
fn tell_of_room(ring: &Ring) {
    // Pairs with the fence in `wait_for_room`.
    fence(SeqCst);
    if ring.sqpoll.waiting.load(Relaxed) != 0 {
        call_for_room(ring);
    }
}

fn call_for_room(ring: &Ring) {
    let room = ring.sqpoll.room.load(Relaxed);
    // Who has not made it yet is about to look.
    if room >= 0 {
        let _ = call::eventfd_add(Fd::new(room), 1);
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
    tell_of_room(ring);
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
    if submitted != 0 {
        tell_of_room(ring);
    }
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
