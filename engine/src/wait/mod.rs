//! Waiting in `enter` for completions.

use core::sync::atomic::Ordering::Relaxed;

use sysring_protocol::{Turn, Waiters, Wish};
use sysring_sys::abi::aio::IoEvent;
use sysring_sys::abi::io_uring::setup;
use sysring_sys::abi::signal::{SIGSET_SIZE, SIGSYS, SigSet};
use sysring_sys::abi::{NSEC_PER_SEC, PollFd, Timespec};
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, User, call};

use crate::aio::{self, Alone};
use crate::locked::Locked;
use crate::poll::{BATCH, NO_EVENT};
use crate::relief::{self, Lookout};
use crate::ring::Ring;
use crate::state::Asleep;
use crate::{Caller, user};

/// How long and for what to wait.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wait {
    pub min_complete: u32,
    /// When to give up, in nanoseconds of CLOCK_MONOTONIC.
    pub deadline: Option<i64>,
    /// After this time one completion is enough.
    pub min_deadline: Option<i64>,
    /// Where the application's mask for the time of the wait lies, and how long it says that is.
    /// Read when it comes to sleeping: until then it may be anything, as in the kernel.
    pub sigmask: (User<SigSet>, usize),
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

/// Waits until there are `min_complete` CQEs, or the time is up, or a signal was handled.
///
/// # Errors
/// `ETIME`, `EINTR`, and of the signal mask `EFAULT` and `EINVAL`: only where there is no completion
/// at all to look at.
pub fn wait<'r>(mut locked: Locked<'r>, how: Wait, caller: &Caller) -> (Locked<'r>, Result<()>) {
    let ring = locked.ring;
    let min_complete = how.min_complete.min(locked.cq_most());
    let polled = ring.shape().has(setup::SQPOLL) && ring.sqpoll.is_here();
    let mut result = Ok(());
    let mut mask = None;
    locked.progress();
    let timeouts = locked.timers.fired;
    let (mut guards, mut lookout) = (false, Lookout::new());
    loop {
        locked.progress();
        let enough = match how.min_deadline {
            Some(at) if call::now(call::CLOCK_MONOTONIC) >= at => min_complete.min(1),
            _ => min_complete,
        };
        let ready = locked.cq_ready();
        // A timeout that ends always brings the application back, whatever else it waits for.
        let timed_out = locked.timers.fired != timeouts;
        if ready >= enough || timed_out || !locked.overflow_is_empty() {
            result = Ok(());
            break;
        }
        if result.is_err() {
            // Woken for another reason, we may have been the one the epoll instance told.
            locked.reap();
            break;
        }
        // A ring with a thread of its own leaves timers and readiness to it.
        let timer = if polled { None } else { locked.timers.next_deadline() };
        let until = earliest([how.deadline, how.min_deadline, timer]);
        let mask = match mask {
            Some(mask) => mask,
            None => match read_mask(how.sigmask) {
                Ok(given) => *mask.insert(given.or(caller.sigmask)),
                Err(e) => {
                    result = Err(e);
                    break;
                }
            },
        };
        let wish = Wish { tail: locked.cq_head().wrapping_add(enough), fired: timeouts };
        let posted = locked.posted();
        let turn = locked.waiters.turn(wish, &posted, &ring.returns);
        let shared = ring.is_shared();
        let mut set = locked.set();
        if shared && !polled {
            set = set.and_then(|set| locked.readiness.hear_others().map(|()| set));
        }
        let hears = matches!(turn, Turn::Sleep(_));
        let alone =
            if polled || shared || !hears { None } else { locked.aio_alone(enough - ready) };
        let until_timer = if polled { i64::MIN } else { timer.unwrap_or(i64::MAX) };
        locked.asleep = Asleep { until: until_timer, fired: timeouts };
        // Relaxed: under the ring's lock, as those who read it.
        ring.sleepers.fetch_add(1, Relaxed);
        locked.aio.counted |= alone.is_some();
        let has_guarded = guards;
        guards = hears && !polled && (guards || locked.punted_count != 0);
        if guards {
            ring.guarded.store(true, Relaxed);
        } else if has_guarded {
            relief::hand_over();
        }
        drop(locked);
        let look_at = if guards { look_after_workers(ring, &mut lookout) } else { None };
        guards = look_at.is_some();
        let until = earliest([until, look_at]);

        let mut locked_after = None;
        let slept = match (turn, alone, set) {
            (Turn::Aside(seen), ..) => step_aside(&mut locked_after, ring, seen, mask),
            (Turn::Sleep(_), _, Ok(_)) if polled => sleep_for_bell(ring, until, mask),
            (Turn::Sleep(_), Some(alone), _) => {
                sleep_for_aio(&mut locked_after, ring, alone, until, mask)
            }
            (Turn::Sleep(_), None, Ok(set)) => {
                sleep_for_anything(&mut locked_after, ring, set, until, mask)
            }
            _ => nap(&mut locked_after, ring, until, mask),
        };
        locked = locked_after.unwrap_or_else(|| ring.lock_again());
        if alone.is_some() {
            locked.aio.counted = false;
        }
        if guards {
            ring.guarded.store(false, Relaxed);
        }
        ring.sleepers.fetch_sub(1, Relaxed);
        if let Turn::Sleep(place) = turn {
            locked.waiters.come_back(place, &ring.returns);
        }
        result = result.and(slept);
        let now = until.map(|_| call::now(call::CLOCK_MONOTONIC));
        if how.deadline.is_some_and(|at| now.is_some_and(|now| now >= at)) {
            result = result.and(Err(Errno::ETIME));
        }
        if how.min_deadline.is_some_and(|at| now.is_some_and(|now| now >= at))
            && locked.cq_ready() != 0
        {
            // The first stage is over and there is something: that is enough.
            break;
        }
        if locked.closing {
            break;
        }
    }
    if guards {
        relief::hand_over();
    }
    if result.is_err() && locked.cq_ready() != 0 {
        result = Ok(());
    }
    if ring.sleepers.load(Relaxed) != 0 {
        // The bell wakes one sleeper a ring: pass it on.
        wake_all(ring);
    }
    (locked, result)
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

/// Sleeps on the ring's epoll instance and acts on what it brought. (Out of line, as the next: the
/// stack of one way to sleep is enough.)
#[inline(never)]
fn sleep_for_anything<'r>(
    locked: &mut Option<Locked<'r>>,
    ring: &'r Ring,
    set: Fd,
    until: Option<i64>,
    mask: Option<SigSet>,
) -> Result<()> {
    let mut events = [NO_EVENT; BATCH];
    let n = sleep(set, &mut events, until, mask)?;
    locked.insert(ring.lock_again()).handle(&events[..n]);
    Ok(())
}

/// Sleeps until the ring's thread rings. Not on the epoll instance, where that thread sleeps: of
/// two, one would take the other's bell.
fn sleep_for_bell(ring: &Ring, until: Option<i64>, mask: Option<SigSet>) -> Result<()> {
    let bell = ring.bell();
    let mut fds = [PollFd { fd: bell.raw(), events: g::EPOLLIN as i16, revents: 0 }];
    let rung = call::ppoll(&mut fds, time_left(until).as_mut(), mask.as_ref())?;
    if rung != 0 {
        let _ = call::eventfd_take(bell);
    }
    Ok(())
}

/// How long a sleeper that nobody can wake sleeps at a time.
const NAP: i64 = 1_000_000;

/// Without descriptors for waiting: what workers and timers complete is found a moment later.
fn nap<'r>(
    locked: &mut Option<Locked<'r>>,
    ring: &'r Ring,
    until: Option<i64>,
    mask: Option<SigSet>,
) -> Result<()> {
    let soon = call::now(call::CLOCK_MONOTONIC) + NAP;
    let until = until.map_or(soon, |at| at.min(soon));
    call::ppoll(&mut [], time_left(Some(until)).as_mut(), mask.as_ref())?;
    locked.insert(ring.lock_again()).reap();
    Ok(())
}

/// Leaves the bell to another, who is to be woken.
fn step_aside<'r>(
    locked: &mut Option<Locked<'r>>,
    ring: &'r Ring,
    seen: u32,
    mask: Option<SigSet>,
) -> Result<()> {
    ring.ring_bell();
    let mut slept = Waiters::step_aside(&ring.returns, seen);
    if slept.is_ok() {
        // Where the trap keeps signals off, those that the wait lets in.
        slept = call::ppoll(&mut [], Some(&mut Timespec { tv_sec: 0, tv_nsec: 0 }), mask.as_ref())
            .map(drop);
    }
    locked.insert(ring.lock_again()).waiters.step_back_in();
    slept
}

/// Lets the kernel count AIO completions.
#[inline(never)]
fn sleep_for_aio<'r>(
    locked: &mut Option<Locked<'r>>,
    ring: &'r Ring,
    alone: Alone,
    until: Option<i64>,
    mask: Option<SigSet>,
) -> Result<()> {
    const NONE: IoEvent = IoEvent { data: 0, obj: 0, res: 0, res2: 0 };
    let mut events = [NONE; aio::BATCH];
    let n = alone.sleep(&mut events, until, mask)?;
    locked.insert(ring.lock_again()).aio_take(&events[..n]);
    Ok(())
}

impl Locked<'_> {
    /// Everything that can be done without waiting: what kernel AIO has finished, timers that
    /// are due, links whose turn has come, overflow that fits.
    pub fn progress(&mut self) {
        if self.ring.is_shared() {
            self.heed();
        }
        self.aio_reap();
        self.fire_timers();
        self.run_tasks();
        self.aio_submit();
        self.flush_overflow();
        self.tell_untold();
    }
}

fn earliest<const N: usize>(times: [Option<i64>; N]) -> Option<i64> {
    times.into_iter().flatten().min()
}

/// What is left until a monotonic time.
#[must_use]
pub fn time_left(until: Option<i64>) -> Option<Timespec> {
    until.map(|at| {
        let left = (at - call::now(call::CLOCK_MONOTONIC)).max(0);
        Timespec { tv_sec: left / NSEC_PER_SEC, tv_nsec: left % NSEC_PER_SEC }
    })
}

/// Sleeps on an epoll instance until a monotonic time, with the signal mask given.
pub fn sleep(
    set: Fd,
    events: &mut [sysring_sys::abi::EpollEvent],
    until: Option<i64>,
    mask: Option<SigSet>,
) -> Result<usize> {
    let mut timeout = time_left(until);
    match call::epoll_pwait2(set, events, timeout.as_ref(), mask.as_ref()) {
        Err(Errno::ENOSYS | Errno::EPERM) => {}
        answer => return answer,
    }
    // Before Linux 5.11, in gVisor, or refused by a container's filter: `ppoll` has the same
    // resolution and the mask, and the instance polls.
    let mut fds = [PollFd { fd: set.raw(), events: g::EPOLLIN as i16, revents: 0 }];
    match call::ppoll(&mut fds, timeout.as_mut(), mask.as_ref())? {
        0 => Ok(0),
        _ => call::epoll_take(set, events),
    }
}

/// Wakes everybody who sleeps for `ring`, whatever they wait for.
pub fn wake_all(ring: &Ring) {
    ring.ring_bell();
}
