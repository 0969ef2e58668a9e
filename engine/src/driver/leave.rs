//! The end of `enter`: what is under way must go on without the application.
//!
//! Who hears of completions without asking has the driver; who has promised to come is left alone;
//! and who may come or not, which most do, is not raced, but given a while.

use core::sync::atomic::Ordering::Relaxed;

use sysring_sys::abi::io_uring::{setup, sq_flags};

use super::office::is_there;
use crate::locked::Locked;
use crate::sqpoll;

/// How often an application that spins on the queue is called in for nothing, before the driver's
/// look must do.
const PATIENCE: u32 = 100;

impl Locked<'_> {
    /// At the end of `enter`: sees that what is under way goes on without us.
    pub(crate) fn leave(&mut self, waited: bool) {
        self.waits |= waited;
        self.looks = if waited { 0 } else { self.looks.saturating_add(self.asked.into()) };
        let new_timer = core::mem::take(&mut self.timers.fresh);
        self.readiness.fresh = false;
        self.tell_pollers();
        self.asked = false;
        if self.ring.shape().has(setup::SQPOLL) {
            self.see_that_it_is_lowered();
            // What becomes ready its thread hears by itself.
            if new_timer {
                sqpoll::wake_if_asleep(self.ring);
            }
            return;
        }
        let watched = self.ring.watched.load(Relaxed);
        // A descriptor that looks readable must stop to once the completions are consumed, of
        // which nobody tells us.
        let stale = watched && self.counts().signalled;
        let mut pending = self.is_pending();
        if stale {
            self.be_driven();
            // Without a driver the application must come for this, too.
            pending |= !is_there();
        }
        if !pending || self.ring.shape().polls_in_enter() {
            return;
        }
        let shape = self.ring.shape();
        let promised = shape.has(setup::DEFER_TASKRUN) && !shape.has(setup::TASKRUN_FLAG);
        let heard = self.is_heard();
        if heard {
            self.be_driven();
        } else if promised {
            // The application comes back for its completions, and has asked for no flag. It may learn
            // from the descriptor when to come.
            if !waited {
                self.show_readiness();
            }
        } else if !waited || is_there() && self.is_left_behind() {
            // Who has waited will do so again, and needs no thread for it; but where there is one,
            // it looks after what is left meanwhile.
            self.be_looked_after();
        }
        // An application that spins on the queue enters when it sees the flag, and is served at once. But
        // there are some that would have waited, and with the flag set do not. So it is not set where the
        // driver sees to progress; and who has come in for nothing often enough is not called again.
        let spins = !heard && !self.waits && self.looks < PATIENCE;
        if spins || !promised && !is_there() {
            self.ring.sq_flags().fetch_or(sq_flags::TASKRUN, Relaxed);
        }
    }

    /// Whether anything is under way that no worker will finish by itself.
    fn is_pending(&self) -> bool {
        self.may_become_ready() || !self.timers.is_empty()
    }

    pub(super) fn may_become_ready(&self) -> bool {
        self.readiness.parked != 0 || self.is_aio_to_be_told() || !self.handed_back.is_empty()
    }

    /// Whether somebody hears of completions without asking for them.
    fn is_heard(&self) -> bool {
        self.ring.watched.load(Relaxed) || self.eventfd.is_some() || self.ring.is_shared()
    }

    /// Whether anything is under way that may be looked for without a call.
    fn is_left_behind(&self) -> bool {
        self.ring.events().is_none() || !self.timers.is_empty()
    }

    /// Whether what kernel AIO completes is to be told by who asks for nothing. Answers of native calls
    /// are taken by calls, which look; a completion queue is looked at without any.
    fn is_aio_to_be_told(&self) -> bool {
        self.aio.in_flight != 0 && (self.ring.events().is_none() || self.is_heard())
    }
}
