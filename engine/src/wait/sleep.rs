//! The ways to sleep: on the ring's epoll instance, for its thread's bell, for AIO, or for a moment.
//!
//! One that acts on what it brought leaves the ring locked.

use sysring_protocol::Waiters;
use sysring_sys::abi::aio::IoEvent;
use sysring_sys::abi::signal::SigSet;
use sysring_sys::abi::{NSEC_PER_MSEC, NSEC_PER_SEC, PollFd, Timespec};
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, call};

use crate::aio::{self, Alone};
use crate::locked::Locked;
use crate::poll::{BATCH, NO_EVENT};
use crate::ring::Ring;

/// Sleeps on the ring's epoll instance and acts on what it brought. (Out of line, as the next: the
/// stack of one way to sleep is enough.)
#[inline(never)]
pub fn for_anything<'r>(
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
pub fn for_bell(ring: &Ring, until: Option<i64>, mask: Option<SigSet>) -> Result<()> {
    let bell = ring.bell();
    let mut fds = [PollFd { fd: bell.raw(), events: g::EPOLLIN as i16, revents: 0 }];
    let rung = call::ppoll(&mut fds, time_left(until).as_mut(), mask.as_ref())?;
    if rung != 0 {
        let _ = call::eventfd_take(bell);
    }
    Ok(())
}

/// How long a sleeper that nobody can wake sleeps at a time.
const NAP: i64 = NSEC_PER_MSEC;

/// Without descriptors for waiting: what workers and timers complete is found a moment later.
pub fn nap<'r>(
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
pub fn step_aside<'r>(
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
pub fn for_aio<'r>(
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

/// The first of the times that there are.
pub fn earliest<const N: usize>(times: [Option<i64>; N]) -> Option<i64> {
    times.into_iter().flatten().min()
}

/// What is left until a monotonic time.
#[must_use]
pub fn time_left(until: Option<i64>) -> Option<Timespec> {
    until.map(|at| {
        let left = at.saturating_sub(call::now(call::CLOCK_MONOTONIC)).max(0);
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
