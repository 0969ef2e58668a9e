//! Turning a ring: submitting, sleeping, handing out, by many threads.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Release;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sysring_sys::{Result, User};

use super::ring::Ring;
use super::slots::{After, Key};
use super::state::State;
use crate::Errno;
use crate::op::{self, Fixed};
use crate::ring::{Entrance, Ring as Raw, Wait};

pub struct Shared {
    state: Mutex<State>,
    /// Told whenever a thread that slept in the ring has handed completions out.
    pub(super) handed_out: Condvar,
    /// The way to sleep in the ring without holding `state`.
    pub(super) entrance: Entrance,
    /// A thread is on that way, and has not come back.
    entered: Arc<AtomicBool>,
}

/// How long to sleep for completions.
#[derive(Clone, Copy)]
pub(crate) enum Sleep {
    Never,
    /// Until there is one. Not at all if none can come.
    UntilOne,
    /// The same, but no longer than this.
    AtMost(Duration),
    /// Until there is one, or [`Ring::fetch_sleeper`] is called.
    UntilFetched,
}

impl Shared {
    pub fn new(raw: Raw) -> Shared {
        let (entrance, entered) = (raw.entrance(), Arc::<AtomicBool>::default());
        let state = Mutex::new(State::new(raw, Arc::clone(&entered)));
        Shared { state, handed_out: Condvar::new(), entrance, entered }
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        // What panicked under the lock was an allocation at most: the state is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One turn, with the lock held before and after, and given back meanwhile.
    ///
    /// # Panics
    /// If the ring cannot be waited for at all.
    pub(super) fn turn<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        sleep: Sleep,
    ) -> MutexGuard<'a, State> {
        let (state, turned) = self.try_turn(state, sleep);
        if let Err(e) = turned {
            panic!("the ring cannot be waited for: {e}");
        }
        state
    }

    /// The same; the error is one that will not pass.
    fn try_turn<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        sleep: Sleep,
    ) -> (MutexGuard<'a, State>, Result<()>) {
        state.push_what_is_left();
        let idle = state.slots.under_way() == 0;
        let wait = match sleep {
            Sleep::Never => None,
            Sleep::UntilFetched if idle => return (self.sleep_beside(state, sleep), Ok(())),
            Sleep::UntilOne | Sleep::AtMost(_) if idle => None,
            Sleep::UntilOne | Sleep::UntilFetched => Some(Wait::at_least(1)),
            Sleep::AtMost(span) if state.knows_time => Some(Wait::at_least(1).timeout(span)),
            Sleep::AtMost(_) if state.taker => Some(Wait::at_least(1)),
            Sleep::AtMost(span) => state.push_limit(span).is_ok().then_some(Wait::at_least(1)),
        };
        let Some(wait) = wait else { return (self.look(state), Ok(())) };
        if state.taker {
            let _ = state.submit();
            return (self.sleep_beside(state, sleep), Ok(()));
        }
        let (mut state, slept) = self.enter(state, &wait);
        match slept {
            Err(Errno::EINVAL) if state.knows_time && matches!(sleep, Sleep::AtMost(_)) => {
                state.knows_time = false;
                self.try_turn(state, sleep)
            }
            Err(e) if !is_of_the_moment(e) => (state, Err(e)),
            _ => (self.hand_out(state).0, Ok(())),
        }
    }

    /// Sleeps in the ring, and hands over what was started with the same call.
    fn enter<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        wait: &Wait,
    ) -> (MutexGuard<'a, State>, Result<u32>) {
        let (count, flags) = state.go_to_sleep();
        drop(state);
        let slept = self.entrance.enter(count, flags, wait);
        // Release pairs with the Acquire of who waits for the hand-over, with the lock held.
        self.entered.store(false, Release);
        let mut state = self.lock();
        state.come_back();
        (state, slept)
    }

    /// Submits, and hands out what is there.
    fn look<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        loop {
            // A failure is of the moment: what was started stays in the queue.
            let _ = state.submit();
            if state.taker {
                // What is there will be handed out by who sleeps.
                return state;
            }
            let (next, count) = self.hand_out(state);
            state = next;
            // What had no room in the queue comes with another call, and nobody is told of it again.
            if count == 0 || state.taker || !state.raw.holds_completions_back() {
                return state;
            }
        }
    }

    /// Takes what has arrived and tells who waits for it; how many completions that was.
    fn hand_out<'a>(&'a self, mut state: MutexGuard<'a, State>) -> (MutexGuard<'a, State>, usize) {
        let mut afters = Vec::new();
        let count = state.hand_out(&mut afters);
        self.handed_out.notify_all();
        if afters.is_empty() {
            return (state, count);
        }
        // They must not be run under the lock.
        drop(state);
        afters.into_iter().for_each(After::run);
        (self.lock(), count)
    }

    /// Sleeps until another thread has handed completions out.
    fn sleep_beside<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        sleep: Sleep,
    ) -> MutexGuard<'a, State> {
        match sleep {
            Sleep::AtMost(span) => {
                let woken = self.handed_out.wait_timeout(state, span);
                woken.unwrap_or_else(PoisonError::into_inner).0
            }
            _ => self.handed_out.wait(state).unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// The handle of an operation was dropped while the kernel had it: it is cancelled, and its
    /// memory stays until it has ended.
    pub fn abandon(&self, key: Key) {
        let mut afters = Vec::new();
        {
            let mut state = self.lock();
            if state.slots.abandon(key, &mut afters) {
                state.cancel(key);
            }
        }
        afters.into_iter().for_each(After::run);
    }

    /// `io_uring_register(2)`.
    ///
    /// # Safety
    /// The argument is what the call takes, and what it lends stays.
    pub unsafe fn register<T>(&self, opcode: u32, argument: *const T, count: u32) -> Result<u32> {
        // SAFETY: the caller's word.
        unsafe { self.entrance.register(opcode, User::of(argument).cast(), count) }
    }

    /// Closes a slot of the ring's table of direct descriptors, at once: a peer may wait for it.
    pub fn close_direct(&self, slot: u32) {
        let mut state = self.lock();
        // Nobody else has the slot.
        state.push_for_nobody(op::Close::fixed(Fixed(slot)).build());
        let _ = state.submit();
    }
}

/// Whether a call may succeed the next time.
fn is_of_the_moment(e: Errno) -> bool {
    matches!(e, Errno::EINTR | Errno::ETIME | Errno::EAGAIN | Errno::EBUSY | Errno::ENOMEM)
}

impl Drop for Shared {
    /// No handle is left, so every operation under way was abandoned and cancelled.
    fn drop(&mut self) {
        const SHORTLY: Duration = Duration::from_millis(10);
        let deadline = Instant::now() + Ring::PATIENCE;
        loop {
            let state = self.lock();
            let left = deadline.saturating_duration_since(Instant::now());
            if state.slots.under_way() == 0 || left.is_zero() {
                return;
            }
            let most = if state.must_cancel_again() { left.min(SHORTLY) } else { left };
            let (_state, turned) = self.try_turn(state, Sleep::AtMost(most));
            if turned.is_err() {
                // It cannot be waited for (on this thread, say): what is under way is leaked.
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "makes a ring")]
    fn what_a_thread_hands_over_is_not_mixed_with_what_comes_after() {
        let ring = Ring::new(8).unwrap();
        let mut first = ring.nop();
        first.start();
        let (count, flags) = ring.shared.lock().go_to_sleep();
        std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                let (mut one, mut two) = (ring.nop(), ring.nop());
                ring.link(&mut [&mut one, &mut two]).unwrap();
                ring.submit().unwrap();
                (one, two)
            });
            // Were the chain published now, this thread's call could take its first half alone.
            std::thread::sleep(Duration::from_millis(20));
            assert!(!other.is_finished());
            let none = Wait::at_least(0);
            assert_eq!(ring.shared.entrance.enter(count, flags, &none), Ok(1));
            let (one, two) = other.join().unwrap();
            // From now on it sleeps, and nobody waits for it.
            let mut third = ring.nop();
            third.start();
            ring.submit().unwrap();
            ring.shared.entered.store(false, Release);
            ring.shared.lock().come_back();
            for nop in [first, one, two, third] {
                assert_eq!(nop.wait(), Ok(()));
            }
        });
    }
}
