//! A thread's alarm: a call that should not have slept ends soon, with `EINTR`.
//!
//! It is a timer that sends the thread SIGSYS, as who calls a worker back does. A thread that has set one
//! is likely to set it again, so timers are kept: to stop and to start one is a call each.

use sysring_sys::abi::NSEC_PER_MSEC;
use sysring_sys::abi::signal::{SIG_SETMASK, SIG_UNBLOCK, SIGSYS, SigSet};
use sysring_sys::call;

use crate::sync::Mutex;
use crate::thread;

/// When it goes off. Again and again: the first signal may come a moment before the call it is to end. (No
/// sooner: one that is due before the processor's next tick takes longer to set.)
const AFTER: i64 = 10 * NSEC_PER_MSEC;

/// A timer, and the thread that it is for.
#[derive(Clone, Copy)]
struct Timer {
    tid: i32,
    id: i32,
}

/// Timers that nobody uses now, by the low bits of the thread id. (A thread that has ended leaves its own
/// until another needs the place. One that gets the very id of such a thread has a timer that reaches
/// nobody: ids come round after all others.)
static KEPT: Mutex<[Option<Timer>; 16]> = Mutex::new([None; 16]);

/// In a child of `fork`, which inherits no timers.
pub fn after_fork() {
    KEPT.reset();
    *KEPT.lock() = [None; 16];
}

/// As long as it lives, a call of this thread's that sleeps is interrupted.
#[must_use]
pub struct Alarm {
    timer: Timer,
    /// The mask to go back to: handlers of the trap run with SIGSYS blocked.
    before: Option<SigSet>,
}

impl Alarm {
    /// Sets it. `None`: no signal would do, as the program has a handler for it, or there is no timer to be
    /// had.
    pub fn set() -> Option<Alarm> {
        if !thread::can_kick() {
            return None;
        }
        let tid = call::gettid();
        let timer = match take(tid) {
            Some(timer) => timer,
            None => Timer { tid, id: call::timer_create(tid, SIGSYS).ok()? },
        };
        let before = call::sigprocmask(SIG_UNBLOCK, Some(SigSet::EMPTY.with(SIGSYS))).ok();
        let alarm = Alarm { timer, before: before.filter(|before| before.has(SIGSYS)) };
        call::timer_set(timer.id, AFTER).is_ok().then_some(alarm)
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        // What it has sent arrives at the end of this call at the latest, and does nothing.
        if call::timer_set(self.timer.id, 0).is_ok() {
            keep(self.timer);
        } else {
            let _ = call::timer_delete(self.timer.id);
        }
        if let Some(before) = self.before {
            let _ = call::sigprocmask(SIG_SETMASK, Some(before));
        }
    }
}

fn place(tid: i32) -> usize {
    tid as usize % 16
}

/// The timer that is kept for a thread.
fn take(tid: i32) -> Option<Timer> {
    KEPT.lock()[place(tid)].take_if(|timer| timer.tid == tid)
}

fn keep(timer: Timer) {
    let other = KEPT.lock()[place(timer.tid)].replace(timer);
    if let Some(other) = other {
        let _ = call::timer_delete(other.id);
    }
}
