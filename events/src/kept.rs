//! A band that a producer keeps from which the lock was taken: whose it is, until when.
//!
//! The word is a turn of the lock, with the process's id while it keeps the band, and without once it
//! has let go. Turns grow, so no value comes back: who exchanges late does nothing.

use core::sync::atomic::AtomicI64;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

use crate::atomic::AtomicU64;
use crate::host::Host;
use crate::lock::PID;

/// How long to wait before it is asked again whether who keeps a band lives.
const LOOK_NS: i64 = 5_000_000;

/// Of one band, in shared memory.
#[cfg_attr(not(loom), repr(C))]
pub(crate) struct Kept {
    /// The turn; the process id, or 0.
    pub word: AtomicU64,
    /// When the lock was taken, or later: a process that began after that is another one of the
    /// same id. In ns since boot.
    pub since: AtomicI64,
    /// When somebody last looked whether the process lives.
    pub looked: AtomicI64,
    pub _1: u64,
}

impl Kept {
    /// Notes that the holder of that turn keeps the band. The lock is not freed before; `held` says
    /// whether that turn lasts.
    pub fn keep(&self, turn: u64, pid: u64, now: i64, held: impl Fn() -> bool) {
        loop {
            let word = self.word.load(Acquire);
            // Somebody else was faster. (A band that is kept for another turn cannot have been
            // chosen: such a word is nonsense.)
            if word & !PID == turn || word & PID != 0 {
                return;
            }
            // After the word was read: so if the turn is over, and the band let go again, then the
            // word has changed since, or the reading of it shows that the turn is over.
            if !held() {
                return;
            }
            // Relaxed: what is later than the truth makes a dead process look alive, and not the
            // other way round; and the exchange releases them.
            self.since.store(now, Relaxed);
            self.looked.store(0, Relaxed);
            // Release pairs with the Acquire in `is_kept`.
            if self.word.compare_exchange(word, turn | pid, AcqRel, Relaxed).is_ok() {
                return;
            }
        }
    }

    /// The push of that turn is over.
    pub fn let_go(&self, turn: u64, pid: u64) {
        // Release pairs with the Acquire in `is_kept`: who finds the band free sees the event in it.
        let _ = self.word.compare_exchange(turn | pid, turn, AcqRel, Relaxed);
    }

    /// Whether somebody keeps it, who lives.
    #[inline]
    pub fn is_kept(&self, host: &impl Host) -> bool {
        let word = self.word.load(Acquire);
        word & PID != 0 && self.is_kept_by_the_living(word, host)
    }

    #[cold]
    fn is_kept_by_the_living(&self, word: u64, host: &impl Host) -> bool {
        let now = host.now();
        // Relaxed: several may look at once.
        let looked = self.looked.load(Relaxed);
        if looked != 0 && (0..LOOK_NS).contains(&now.wrapping_sub(looked)) {
            return true;
        }
        self.looked.store(now, Relaxed);
        if !host.is_gone(word & PID, self.since.load(Relaxed)) {
            return true;
        }
        let free = self.word.compare_exchange(word, word & !PID, AcqRel, Acquire);
        free.is_err_and(|now| now & PID != 0)
    }
}
