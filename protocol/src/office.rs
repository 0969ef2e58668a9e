//! The driver's office: when it wakes, who holds it, and when it keeps its hands off.
//!
//! The driver is a thread that sleeps until the first timer of any ring is due, or something is
//! ready, or its bell rings. Its bell wakes one thread. When the ids of the thread that submits have
//! changed another driver takes its place, and for a while there are two: the older one may be woken
//! by what is meant for the newer.

use crate::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use crate::atomic::{AtomicBool, AtomicI64, AtomicU32, fence};

/// What the driver and those who rely on it tell each other.
#[derive(Debug)]
pub struct Office {
    /// When the driver wakes by itself.
    next: AtomicI64,
    /// Counts drivers: of two, the older one is about to end.
    term: AtomicU32,
    /// One that ended was woken by what was ready in rings, and has not looked at them.
    left: AtomicBool,
    /// Drivers that may hold a ring's lock.
    at_work: AtomicU32,
    /// The process is about to end: they are to take no lock that others share.
    rests: AtomicBool,
}

impl Default for Office {
    fn default() -> Self {
        Self::new()
    }
}

macro_rules! new {
    () => {
        Office {
            next: AtomicI64::new(i64::MAX),
            term: AtomicU32::new(0),
            left: AtomicBool::new(false),
            at_work: AtomicU32::new(0),
            rests: AtomicBool::new(false),
        }
    };
}

impl Office {
    /// Nobody's.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Office {
        new!()
    }

    #[cfg(loom)]
    #[allow(missing_docs)]
    pub fn new() -> Office {
        new!()
    }

    /// In a child of `fork` there is no driver.
    pub fn after_fork(&self) {
        self.next.store(i64::MAX, Relaxed);
        self.left.store(false, Relaxed);
        self.at_work.store(0, Relaxed);
        self.rests.store(false, Relaxed);
    }

    /// The present term.
    #[must_use]
    pub fn term(&self) -> u32 {
        self.term.load(Relaxed)
    }

    /// Gives the office to the driver of this term. The bell is to be rung then, so that the one
    /// before hears of it.
    pub fn appoint(&self, term: u32) {
        // Relaxed: nothing goes along with it, and who goes is told by the bell.
        self.term.store(term, Relaxed);
    }

    /// Whether the driver of a term is to end. (One may be so new that it is not said yet.)
    #[must_use]
    pub fn is_over(&self, term: u32) -> bool {
        self.term.load(Relaxed).wrapping_sub(term) as i32 > 0
    }

    /// A driver whose term is over goes; `woken`, if rings have woken it that it has not looked at.
    /// It must then ring the bell: the one that woke it may have been for its successor, who sleeps
    /// and knows nothing of it.
    pub fn leave(&self, woken: bool) {
        if woken {
            // Relaxed: the bell comes after, and with it this.
            self.left.store(true, Relaxed);
        }
    }

    /// Whether there are rings that a driver before this one was woken for, and did not look at.
    #[must_use]
    pub fn inherits(&self) -> bool {
        self.left.load(Relaxed) && self.left.swap(false, Relaxed)
    }

    /// The driver has looked at all rings, and will wake by itself at this time.
    pub fn sleeps_until(&self, due: Option<i64>) {
        // Relaxed, as below: who sets a timer holds its ring's lock. Either the driver looks at that
        // ring later, or it has done so before, and then its lock has brought along the word that
        // the driver was awake; and what it says later counts the timers it has seen.
        self.next.store(due.unwrap_or(i64::MAX), Relaxed);
    }

    /// The driver is awake: from here on every timer that is set is looked at, or rings the bell.
    pub fn note_awake(&self) {
        self.next.store(i64::MAX, Relaxed);
    }

    /// Whether the bell must be rung for the driver to be awake at a time. The lock is held of the
    /// ring whose timer it is.
    #[must_use]
    pub fn must_hear_of(&self, due: i64) -> bool {
        due < self.next.load(Relaxed)
    }

    /// The driver is about to take locks; whether it may.
    #[must_use]
    pub fn begin(&self) -> bool {
        self.at_work.fetch_add(1, Relaxed);
        // Pairs with the fence in `close`: either we see that we are to rest, or we are seen at work.
        fence(SeqCst);
        let may = !self.rests.load(Relaxed);
        if !may {
            self.end();
        }
        may
    }

    /// It holds none any more.
    pub fn end(&self) {
        // Release pairs with the Acquire in `is_quiet`: the locks are free.
        self.at_work.fetch_sub(1, Release);
    }

    /// From here on no work is begun.
    pub fn close(&self) {
        self.rests.store(true, Relaxed);
        fence(SeqCst);
    }

    /// After `close`: whether none is under way.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.at_work.load(Acquire) == 0
    }

    /// The process did not end after all.
    pub fn open(&self) {
        self.rests.store(false, Relaxed);
    }
}
