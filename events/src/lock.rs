//! The producers' lock: a word that says which process holds it.
//!
//! A holder that was killed is found out by who waits: it asks whether that process is still there.
//! A process is named by its id *and* its start time, so a name never comes back, and the word of a
//! dead holder cannot be written again by anybody but who takes the lock over. Nothing has to be
//! repaired then: a record is published by one store, and until then nobody looks at it. (The other
//! way, claiming room first and committing later, needs the same certainty before a dead producer's
//! claim may be skipped, because a slow one would write into what is somebody else's by then; and it
//! leaves the skipping to every reader.)
//!
//! Two bits tell the holder whom to wake when it is done: producers that sleep for the lock, and
//! consumers that sleep for an event.

use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use sysring_sys::{Result, arch};

use crate::atomic::{AtomicU32, AtomicU64, peek};
use crate::host::Host;

/// A process's name: the bits of the word but these two.
pub(crate) const OWNER: u64 = !(CONTENDED | ASLEEP);
/// Producers may sleep for the lock. It lies in the half of the word that they sleep on.
pub(crate) const CONTENDED: u64 = 1 << 22;
/// Consumers may sleep for an event.
pub(crate) const ASLEEP: u64 = 1 << 63;

/// How often to look again before sleeping: about as long as a push takes.
#[cfg(not(loom))]
const SPINS: u32 = 100;
#[cfg(loom)]
const SPINS: u32 = 0;

/// How long to sleep before it is asked whether the holder lives.
const PATIENCE_NS: i64 = 5_000_000;

pub(crate) struct Lock<'a, H> {
    pub word: &'a AtomicU64,
    pub signal: &'a AtomicU32,
    pub host: &'a H,
}

impl<H: Host> Lock<'_, H> {
    /// Takes the lock. Waits as long as a living process holds it.
    ///
    /// # Errors
    /// `EXDEV`: this process is in another world than the ring's other users, since a `fork`.
    #[inline]
    pub fn lock(&self) -> Result<()> {
        let me = self.host.me()?;
        let word = peek(self.word, Relaxed);
        // Acquire pairs with the Release in `unlock`: what the last holder wrote is seen here.
        if word & OWNER == 0
            && self.word.compare_exchange(word, word | me, Acquire, Relaxed).is_ok()
        {
            return Ok(());
        }
        self.lock_slowly(me);
        Ok(())
    }

    #[cold]
    fn lock_slowly(&self, me: u64) {
        for _ in 0..SPINS {
            let word = peek(self.word, Relaxed);
            if word & OWNER == 0
                && self.word.compare_exchange(word, word | me, Acquire, Relaxed).is_ok()
            {
                return;
            }
            arch::relax();
        }
        loop {
            let word = peek(self.word, Relaxed);
            let asleep = word & ASLEEP;
            let holder = word & OWNER;
            // Others may sleep, too, so the bit stays: whoever unlocks will wake one more.
            if holder == 0 {
                let mine = me | CONTENDED | asleep;
                if self.word.compare_exchange(word, mine, Acquire, Relaxed).is_ok() {
                    return;
                }
                continue;
            }
            let marked = word | CONTENDED;
            if word != marked && self.word.compare_exchange(word, marked, Relaxed, Relaxed).is_err()
            {
                continue;
            }
            self.host.sleep_for_lock(self.word, marked, PATIENCE_NS);
            let gone = peek(self.word, Relaxed) & OWNER == holder && self.host.is_dead(holder);
            if gone && self.take_over(holder, me) {
                return;
            }
        }
    }

    /// Takes the lock from a dead holder; false if others were faster.
    fn take_over(&self, holder: u64, me: u64) -> bool {
        loop {
            let word = peek(self.word, Relaxed);
            if word & OWNER != holder {
                return false;
            }
            let mine = me | CONTENDED | word & ASLEEP;
            // Acquire: what the dead wrote, as far as it came, is seen.
            if self.word.compare_exchange(word, mine, Acquire, Relaxed).is_ok() {
                // It may have cleared the consumers' bit and not come to wake them.
                self.wake_consumers();
                return true;
            }
        }
    }

    /// Lets the next one in, and wakes who sleeps.
    #[inline]
    pub fn unlock(&self) {
        loop {
            let word = peek(self.word, Relaxed);
            if word & ASLEEP != 0 {
                // Still under the lock: if we are killed before they are woken, who takes the lock
                // over wakes them.
                self.word.fetch_and(!ASLEEP, AcqRel);
                self.wake_consumers();
                continue;
            }
            // Release pairs with the Acquire in `lock`, and with the one in `doze`: a consumer whose
            // bit is not seen here sees what was published. No other fence is needed, because the
            // bit and the lock are one word.
            if self.word.compare_exchange(word, 0, Release, Relaxed).is_ok() {
                if word & CONTENDED != 0 {
                    self.host.wake_for_lock(self.word);
                }
                return;
            }
        }
    }

    /// Tells that a consumer is about to sleep; the signal to sleep on. It must look for events
    /// once more before it does.
    pub fn doze(&self) -> u32 {
        // Before the bit is set: whoever sees the bit changes the signal later than this.
        let signal = self.signal.load(Acquire);
        self.word.fetch_or(ASLEEP, AcqRel);
        signal
    }

    #[cold]
    fn wake_consumers(&self) {
        // Release pairs with the Acquire in `doze`: who reads the new signal sees the event.
        self.signal.fetch_add(1, Release);
        self.host.wake(self.signal);
    }
}
