//! Waiting in `enter` for completions.

mod sleep;
mod waiter;

use core::sync::atomic::Ordering::Relaxed;

use sysring_sys::abi::signal::SigSet;
use sysring_sys::{Errno, Result, User};

use crate::Caller;
use crate::locked::Locked;
use crate::ring::Ring;

pub use sleep::{sleep, time_left};
use waiter::Waiter;

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

/// Waits until there are `min_complete` CQEs, or the time is up, or a signal was handled.
///
/// # Errors
/// `ETIME`, `EINTR`, and of the signal mask `EFAULT` and `EINVAL`: only where there is no completion
/// at all to look at.
pub fn wait<'r>(mut locked: Locked<'r>, how: Wait, caller: &Caller) -> (Locked<'r>, Result<()>) {
    let ring = locked.ring;
    locked.progress();
    let mut waiter = Waiter::new(&locked, &how, caller);
    let mut result = Ok(());
    loop {
        // Seen once: the application moves the queue's head.
        let (enough, ready) = (waiter.enough, locked.cq_ready());
        if ready >= enough || waiter.is_called_back(&mut locked) {
            result = Ok(());
            break;
        }
        if result.is_err() {
            // Woken for another reason, we may have been the one the epoll instance told.
            locked.reap();
            break;
        }
        if locked.readiness.has_bare && locked.end_strays() {
            // What was linked to them has its turn.
            locked.progress();
            continue;
        }
        let mask = match waiter.mask() {
            Ok(mask) => mask,
            Err(e) => {
                result = Err(e);
                break;
            }
        };
        let bed = waiter.lie_down(&mut locked, enough, ready);
        drop(locked);
        (locked, result) = waiter.sleep(ring, bed, mask);
        let passed = waiter.passed();
        if passed.deadline {
            result = result.and(Err(Errno::ETIME));
        }
        if passed.min_deadline && locked.cq_ready() != 0 {
            // The first stage is over and there is something: that is enough.
            break;
        }
        locked.progress();
    }
    waiter.leave();
    if result.is_err() && locked.cq_ready() != 0 {
        result = Ok(());
    }
    if ring.sleepers.load(Relaxed) != 0 {
        // The bell wakes one sleeper: it is passed on.
        wake_next(ring);
    }
    (locked, result)
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

/// Wakes one who sleeps for `ring`, whatever it waits for. Who ends its wait then wakes the next.
pub fn wake_next(ring: &Ring) {
    ring.ring_bell();
}
