//! The producers' lock: a word that says which process is at which band, and whose turn it is.
//!
//! A holder may be killed, or stopped for an hour. So who waits takes the lock from it after a while
//! ([`PATIENCE_NS`]), at once if it is dead; and because nobody can know that it will not go on, it
//! keeps the *band* that it was at: that band stays as it is until its push is over, and the others
//! put their events into the other one. Nothing of what the late one does can hurt then. It writes
//! where nobody else does, it publishes what is whole, and when it finds the lock gone it gives the
//! band free. A band that a dead process has kept is free as well.
//!
//! The word names a turn: a number that grows with each holder. Who acts late compares it, and finds
//! out. To take the lock is to set a bit beside the holder's name; what follows from it, to note the
//! band as kept and to free the word, is done by whoever comes along, for the thief may be stopped,
//! too.
//!
//! Two more bits tell the holder whom to wake when it is done: producers that sleep for the lock, and
//! consumers that sleep for an event.

use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use sysring_sys::{Result, arch};

use crate::atomic::{AtomicU32, AtomicU64, peek};
use crate::host::Host;
use crate::kept::Kept;

/// The holder's process id: 22 bits at most (`PID_MAX_LIMIT`). 0: the lock is free.
pub(crate) const PID: u64 = CONTENDED - 1;
/// Producers may sleep for the lock. It lies in the half of the word that they sleep on.
pub(crate) const CONTENDED: u64 = 1 << 22;
/// The holder is at the overflow area, and not at the ring.
pub(crate) const AREA: u64 = 1 << 23;
/// The lock is being taken from its holder.
pub(crate) const STOLEN: u64 = 1 << 24;
/// The turn, which grows with each holder.
pub(crate) const TURN: u64 = ASLEEP - NEXT;
const NEXT: u64 = 1 << 25;
/// Consumers may sleep for an event.
pub(crate) const ASLEEP: u64 = 1 << 63;

/// What names a holder for all time.
const HOLDER: u64 = TURN | AREA | PID;

/// How often to look again before sleeping: about as long as a push takes.
#[cfg(not(loom))]
const SPINS: u32 = 100;
#[cfg(loom)]
const SPINS: u32 = 0;

/// How long to sleep before it is asked whether the holder lives.
const LOOK_NS: i64 = 5_000_000;
/// How long a living holder may take: much longer than a push, and than the scheduler lets a thread
/// wait. A mistake costs room, until the holder is done.
pub(crate) const PATIENCE_NS: i64 = 50_000_000;

/// The two stretches of records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    Ring,
    Area,
}

impl Side {
    pub fn of(word: u64) -> Side {
        if word & AREA == 0 { Side::Ring } else { Side::Area }
    }

    fn bit(self) -> u64 {
        if self == Side::Ring { 0 } else { AREA }
    }
}

/// The lock is held: the word's [`HOLDER`].
#[derive(Clone, Copy, Debug)]
#[must_use]
pub(crate) struct Held(u64);

impl Held {
    #[inline]
    pub fn side(self) -> Side {
        Side::of(self.0)
    }
}

pub(crate) struct Lock<'a, H> {
    pub word: &'a AtomicU64,
    pub signal: &'a AtomicU32,
    pub kept: &'a [Kept; 2],
    pub host: &'a H,
}

impl<H: Host> Lock<'_, H> {
    /// Takes the lock, for the band that `choose` finds. Waits for a holder, but not for ever.
    ///
    /// `choose` may see a band change while it looks at it: then the lock is not taken, and it is asked
    /// again.
    ///
    /// # Errors
    /// `EXDEV`: this process is in another world than the ring's other users, since a `fork`. What
    /// `choose` answers.
    #[inline]
    pub fn lock(&self, choose: impl Fn() -> Result<Side>) -> Result<Held> {
        let me = self.host.me()?;
        // Acquire pairs with the Release in `unlock` and `clear_away`: what the last holder wrote is
        // seen by `choose`. That nobody had the lock since, the exchange says.
        let word = peek(self.word, Acquire);
        if word & (PID | STOLEN) == 0
            && let Ok(side) = choose()
            && let Some(held) = self.try_take(word, me, side, 0)
        {
            return Ok(held);
        }
        self.lock_slowly(me, &choose)
    }

    #[inline(always)]
    fn try_take(&self, free: u64, me: u64, side: Side, contended: u64) -> Option<Held> {
        let turn = free.wrapping_add(NEXT) & TURN;
        let held = turn | side.bit() | me;
        let word = held | contended | free & (ASLEEP | CONTENDED);
        self.word.compare_exchange(free, word, Acquire, Relaxed).is_ok().then_some(Held(held))
    }

    #[cold]
    fn lock_slowly(&self, me: u64, choose: &dyn Fn() -> Result<Side>) -> Result<Held> {
        let mut spins = 0;
        // Others may sleep, too, so the bit stays: whoever unlocks will wake one more.
        let mut contended = 0;
        // Whom we wait for, and until when.
        let mut patience = (0, 0);
        loop {
            let word = peek(self.word, Acquire);
            let holder = word & HOLDER;
            if word & STOLEN != 0 {
                self.clear_away(word);
            } else if word & PID == 0 {
                match choose() {
                    Ok(side) => {
                        if let Some(held) = self.try_take(word, me, side, contended) {
                            return Ok(held);
                        }
                    }
                    // If nobody had the lock since, it is so.
                    Err(error) => {
                        if self.word.compare_exchange(word, word, Acquire, Relaxed).is_ok() {
                            return Err(error);
                        }
                    }
                }
            } else if spins < SPINS {
                spins += 1;
                arch::relax();
            } else if word & CONTENDED == 0 {
                let _ = self.word.compare_exchange(word, word | CONTENDED, Relaxed, Relaxed);
                contended = CONTENDED;
            } else {
                contended = CONTENDED;
                if patience.0 != holder {
                    patience = (holder, self.host.now() + PATIENCE_NS);
                }
                self.host.sleep_for_lock(self.word, word, LOOK_NS);
                let now = peek(self.word, Relaxed);
                let over = || self.host.now() >= patience.1 || self.host.is_dead(holder & PID);
                if now & (HOLDER | STOLEN) == holder && over() {
                    // Acquire: what the holder wrote, as far as it came, is seen.
                    let _ = self.word.compare_exchange(now, now | STOLEN, Acquire, Relaxed);
                }
            }
        }
    }

    /// Frees a lock that has been taken from its holder, which keeps its band. Any number of threads
    /// may be at it, and one may be as late as it likes.
    #[cold]
    fn clear_away(&self, stolen: u64) {
        let still = |word: u64| word & (HOLDER | STOLEN) == stolen & (HOLDER | STOLEN);
        let kept = &self.kept[Side::of(stolen) as usize];
        kept.keep(stolen & TURN, stolen & PID, self.host.now(), || still(peek(self.word, Acquire)));
        loop {
            let word = peek(self.word, Relaxed);
            if !still(word) {
                return;
            }
            // Release pairs with the Acquire in `lock`: who finds the lock free knows of the band.
            if self.word.compare_exchange(word, word & (TURN | ASLEEP), Release, Relaxed).is_ok() {
                self.host.wake_for_lock(self.word);
                // The holder may have cleared the consumers' bit and not come to wake them.
                return self.wake_consumers();
            }
        }
    }

    /// Lets the next one in, and wakes who sleeps.
    #[inline]
    pub fn unlock(&self, held: Held) {
        loop {
            let word = peek(self.word, Relaxed);
            if word & (HOLDER | STOLEN) != held.0 {
                return self.give_band_free(held);
            }
            if word & ASLEEP != 0 {
                // Still under the lock: if we are killed before they are woken, who takes it from us
                // wakes them.
                self.word.fetch_and(!ASLEEP, AcqRel);
                self.wake_consumers();
                continue;
            }
            // Release pairs with the Acquire in `lock`, and with the one in `doze`: a consumer whose
            // bit is not seen here sees what was published. No other fence is needed, because the
            // bit and the lock are one word.
            if self.word.compare_exchange(word, word & TURN, Release, Relaxed).is_ok() {
                if word & CONTENDED != 0 {
                    self.host.wake_for_lock(self.word);
                }
                return;
            }
        }
    }

    /// The lock was taken from us meanwhile, and the band was ours until now.
    #[cold]
    fn give_band_free(&self, held: Held) {
        // As in `unlock`: consumers sleep who have not seen what was published, or they have.
        self.word.fetch_and(!ASLEEP, AcqRel);
        self.wake_consumers();
        let word = peek(self.word, Acquire);
        if word & (HOLDER | STOLEN) == held.0 | STOLEN {
            self.clear_away(word);
        }
        self.kept[held.side() as usize].let_go(held.0 & TURN, held.0 & PID);
    }

    /// Whether a producer that was too slow keeps this band.
    #[inline]
    pub fn is_kept(&self, side: Side) -> bool {
        self.kept[side as usize].is_kept(self.host)
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
    pub fn wake_consumers(&self) {
        // Release pairs with the Acquire in `doze`: who reads the new signal sees the event.
        self.signal.fetch_add(1, Release);
        self.host.wake(self.signal);
    }
}
