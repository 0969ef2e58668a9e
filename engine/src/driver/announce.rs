//! Telling the application to come, where nobody else may do its work.
//!
//! That is so of rings with `DEFER_TASKRUN`, and of what is to be done as another user than the
//! driver.

use core::sync::atomic::Ordering::Relaxed;

use sysring_sys::abi::io_uring::sq_flags;
use sysring_sys::call;
use sysring_sys::raw::general as g;

use super::office::TICK;
use crate::complete::Eventfd;
use crate::locked::Locked;

impl Locked<'_> {
    /// Something is there that only a thread of the application's can do: those who wait in `enter`
    /// are woken for it, others are told.
    pub(crate) fn call_for_application(&mut self) {
        if self.ring.sleepers.load(Relaxed) == 0 {
            self.announce();
        }
    }

    /// As `announce`; but where the eventfd is unread, the application may be on its way here, and
    /// what is ready may even be the eventfd itself. It is given a moment.
    pub(super) fn announce_unless_told(&mut self) {
        let unread = |eventfd: Eventfd| call::poll_now(eventfd.fd, g::EPOLLIN as u16) != Ok(0);
        if self.announced || !self.eventfd.is_some_and(unread) {
            return self.announce();
        }
        self.announce_at = Some(call::now(call::CLOCK_MONOTONIC) + TICK);
    }

    /// That moment is over; what was ready may have been taken.
    pub(super) fn announce_what_is_left(&mut self) {
        self.announce_at = None;
        let set = self.readiness.set_if_any();
        let ready = set.is_valid() && call::poll_now(set, g::EPOLLIN as u16) != Ok(0);
        if ready || !self.handed_back.is_empty() {
            self.announce();
        }
    }

    /// A ring whose completions are posted where the application asks for them, and nowhere else
    /// (`DEFER_TASKRUN`): it is told once that there is something to ask for.
    pub(super) fn announce(&mut self) {
        if self.announced {
            return;
        }
        (self.announced, self.announce_at) = (true, None);
        self.ring.sq_flags().fetch_or(sq_flags::TASKRUN, Relaxed);
        self.signal_eventfd();
        self.tell_pollers();
    }
}
