//! How a ring is in the driver's care: driven, listened to, or looked after.
//!
//! To hear of everything at once costs a wake-up for each completion, so that is for rings whose
//! completions somebody waits for elsewhere. The others it looks after later, and listens to if
//! they stay.

use core::sync::atomic::Ordering::Relaxed;

use sysring_sys::abi::io_uring::setup;
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Result, call};

use super::bell::ask_for;
use super::office::{TICK, is_there};
use super::start::driver;
use crate::locked::Locked;

/// After what time a program that left work behind, and has been seen to come back for such, is taken not
/// to, so that completions appear for it as they happen.
pub(super) const LOOK_IN: i64 = 500_000;

impl Locked<'_> {
    /// Puts the ring into the driver's care.
    pub(super) fn be_driven(&mut self) {
        if !self.driven && self.show_driver(g::EPOLLET).is_err() {
            // It hears nothing of this ring, but it can look.
            return self.be_looked_after();
        }
        self.driven = true;
        let due = if self.counts().signalled && self.ring.watched.load(Relaxed) {
            Some(call::now(call::CLOCK_MONOTONIC) + TICK)
        } else {
            None
        };
        let due = [due, self.timers.next_deadline()].into_iter().flatten().min();
        if let Some(due) = due {
            ask_for(due);
        }
    }

    /// Lets the driver look in: at once, for an application may spin on the queue; or later, where this
    /// one has come to wait in `enter`, as most do. The driver would take the lock that it comes for.
    pub(crate) fn be_looked_after(&mut self) {
        if !is_there() && driver().is_err() {
            // No thread to be had.
            return self.show_readiness();
        }
        (self.unattended, self.listened_to) = (true, false);
        let later = if self.waits { LOOK_IN } else { 0 };
        self.look_in_at = call::now(call::CLOCK_MONOTONIC) + later;
        if self.look_in_at < self.driver_comes_at {
            ask_for(self.look_in_at);
        }
    }

    /// The application stays away, so the driver listens for what becomes ready next; whether it can,
    /// and need not look in.
    pub(super) fn be_listened_to(&mut self) -> bool {
        // What the driver only announces stays ready: shown again, it would be heard again at once.
        let taken = !self.ring.shape().has(setup::DEFER_TASKRUN);
        self.listened_to = self.handed_back.is_empty()
            && (self.driven || taken && self.show_driver(g::EPOLLONESHOT).is_ok());
        self.listened_to
    }

    /// Has the driver hear of what becomes ready: `how` often, as `epoll` names it.
    fn show_driver(&mut self, how: u32) -> Result<()> {
        let (set, driver, events) = (self.set()?, driver()?, g::EPOLLIN | how);
        let data = core::ptr::from_ref(self.ring) as usize as u64;
        // Most often it has listened before; and to add a set, or to try to, has the kernel look at all
        // that is in it.
        match call::epoll_ctl(driver, call::EpollOp::Mod, set, events, data) {
            Err(Errno::ENOENT) => call::epoll_ctl(driver, call::EpollOp::Add, set, events, data),
            answer => answer,
        }
    }

    /// A descriptor that somebody polls, and that is readable, must stop to be once the completions are
    /// consumed, of which nobody tells us: the driver looks. It may have become readable long before it
    /// was polled.
    #[inline(always)]
    pub(crate) fn see_that_it_is_lowered(&mut self) {
        if !self.lowers && self.ring.watched.load(Relaxed) && self.counts().signalled {
            self.have_it_lowered();
        }
    }

    #[inline(never)]
    fn have_it_lowered(&mut self) {
        if is_there() || driver().is_ok() {
            self.lowers = true;
            ask_for(call::now(call::CLOCK_MONOTONIC) + TICK);
        }
    }

    /// Has the driver come at a time and tell workers once more that they are to stop. (Where there
    /// can be none, once must do.)
    pub(crate) fn have_it_told_again(&mut self, at: i64) {
        come_at(at);
    }
}

/// Has the driver come at a time, for what others left to workers. Not by a thread with credentials of
/// its own.
pub(crate) fn come_at(due: i64) {
    if driver().is_ok() {
        ask_for(due);
    }
}
