//! What the driver does with a ring.
//!
//! It does what the application would do if it came, or tells it to come (`DEFER_TASKRUN`); and it
//! keeps its hands off a ring that somebody waits in, who is woken by the same and would find
//! nothing.

use core::sync::atomic::Ordering::Relaxed;

use sysring_sys::abi::io_uring::setup;
use sysring_sys::call;

use super::care::LOOK_IN;
use super::office::TICK;
use crate::descriptors;
use crate::locked::Locked;
use crate::ring::Ring;

/// Does what can be done for a ring that nobody waits for in `enter`.
pub(super) fn tend(ring: &Ring) {
    let mut locked = ring.lock();
    if ring.sleepers.load(Relaxed) != 0 {
        return;
    }
    if ring.shape().has(setup::DEFER_TASKRUN) {
        return locked.announce_unless_told();
    }
    locked.catch_up();
}

/// The same, by the driver, if it was to listen. It may have been before the application came by, and
/// may come again: then it looks in later.
pub(super) fn tend_what_was_heard(ring: &Ring) {
    let listened = {
        let locked = ring.lock();
        locked.driven || locked.unattended && locked.listened_to
    };
    if !listened {
        return;
    }
    tend(ring);
    let mut locked = ring.lock();
    if locked.unattended && locked.may_become_ready() && !locked.be_listened_to() {
        locked.be_looked_after();
    }
}

/// Which of the driver's rings woke the one before it is not known.
pub(super) fn tend_inherited(ring: &Ring) {
    if !ring.shape().has(setup::DEFER_TASKRUN) {
        return tend_what_was_heard(ring);
    }
    let mut locked = ring.lock();
    if locked.driven && ring.sleepers.load(Relaxed) == 0 {
        locked.announce_what_is_left();
    }
}

/// Timers that are due, and descriptors that look readable for no reason any more. When to look
/// again.
pub(super) fn tend_all() -> Option<i64> {
    let mut next: Option<i64> = None;
    // Once for all rings, as each time it is a system call: what comes due meanwhile wakes the driver again.
    let now = call::now(call::CLOCK_MONOTONIC);
    descriptors::each(|ring| {
        let mut locked = ring.lock();
        if locked.stopping.is_some() {
            let told_again = locked.stop_again(now);
            next = [next, told_again].into_iter().flatten().min();
        }
        if locked.lowers {
            locked.hear();
            locked.tell_pollers();
            locked.lowers = ring.watched.load(Relaxed) && locked.counts().signalled;
            let again = locked.lowers.then_some(now + TICK);
            next = [next, again].into_iter().flatten().min();
        }
        let due = locked.timers.next_deadline();
        let attended = !(locked.driven || locked.unattended) || ring.sleepers.load(Relaxed) != 0;
        locked.driver_comes_at = i64::MAX;
        if !locked.driven && !locked.listened_to && now < locked.look_in_at {
            // The application is to come first. Also if it is there now: it may go before that time, and
            // would have to ring.
            let wanted = [due, locked.announce_at].into_iter().flatten().min();
            let wanted = wanted.filter(|_| !attended);
            if wanted.is_none_or(|at| now < at) {
                locked.driver_comes_at = locked.look_in_at;
                next = [next, Some(locked.look_in_at), wanted].into_iter().flatten().min();
                return;
            }
        }
        if attended {
            return;
        }
        if locked.unattended && now >= locked.look_in_at {
            // It may have begun to spin.
            locked.waits = false;
        }
        let deferred = ring.shape().has(setup::DEFER_TASKRUN);
        if !deferred {
            // As in `catch_up`.
            if locked.unattended || due.is_some_and(|due| due <= now) {
                locked.reap();
            }
            locked.progress();
        } else if due.is_some_and(|due| due <= now) {
            locked.announce();
        } else if locked.announced {
            // The application is to come.
        } else if locked.announce_at.map_or(locked.unattended, |at| at <= now) {
            locked.announce_what_is_left();
        }
        locked.tell_pollers();
        // What has been announced waits for the application.
        let told = deferred && locked.announced;
        let away = locked.unattended && locked.may_become_ready() && !told;
        let again = (away && !locked.be_listened_to()).then(|| now + LOOK_IN);
        let tick = (ring.watched.load(Relaxed) && locked.counts().signalled).then_some(now + TICK);
        let timer = locked.timers.next_deadline().filter(|_| !told);
        next = [next, again, tick, timer, locked.announce_at].into_iter().flatten().min();
    });
    next
}

impl Locked<'_> {
    /// Before the descriptor stops to be readable: polls that are to hear of it.
    fn hear(&mut self) {
        match self.is_unheard() {
            true if self.ring.shape().has(setup::DEFER_TASKRUN) => self.announce_unless_told(),
            true => self.reap(),
            false => {}
        }
    }

    /// What the application would do if it came.
    fn catch_up(&mut self) {
        // First what is ready: who comes late must not find the time up for what came in time.
        self.reap();
        self.progress();
        self.tell_pollers();
    }
}
