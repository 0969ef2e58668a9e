//! The submission queue: the application fills it, the engine takes from it.

use sysring_sys::abi::io_uring::sq_flags;

use crate::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use crate::atomic::{AtomicU32, fence};

/// The words of the queue. Any of them may hold anything: the application writes there, too.
pub struct Sq<'a> {
    /// Entries the engine has taken, as the application knows it.
    pub head: &'a AtomicU32,
    /// Entries the application has published.
    pub tail: &'a AtomicU32,
    /// How many there can be: a power of two, and the engine's own copy.
    pub entries: u32,
}

/// The memory of the entries.
pub trait Entries {
    /// What is submitted.
    type Entry;

    /// The entry that stands at a position of the queue: whatever the application has written into
    /// the SQ array there, or the position itself where there is no array.
    fn index_at(&self, position: u32) -> u32;

    /// Reads an entry that exists. What it says may be nonsense.
    fn read(&self, index: u32) -> Self::Entry;
}

impl Sq<'_> {
    /// Entries that are published and not among the `taken`.
    #[inline(always)]
    #[must_use]
    pub fn available(&self, taken: u32) -> u32 {
        // Acquire pairs with the application's release of its tail: the entries are written.
        self.tail.load(Acquire).wrapping_sub(taken).min(self.entries)
    }

    /// Takes the next of those that are available, and what its index is. `None`: that is out of
    /// range, and so nobody's.
    #[inline(always)]
    pub fn take<E: Entries>(&self, taken: &mut u32, from: &E) -> Option<(E::Entry, u32)> {
        let index = from.index_at(*taken & (self.entries - 1));
        *taken = taken.wrapping_add(1);
        if index < self.entries { Some((from.read(index), index)) } else { None }
    }

    /// Lets the application fill again what was taken.
    #[inline(always)]
    pub fn give_back(&self, taken: u32) {
        // Release pairs with the application's acquire of the head: the entries have been read.
        self.head.store(taken, Release);
    }

    /// Entries that wait to be taken, by the shared words alone: a hint.
    #[inline]
    #[must_use]
    pub fn pending(&self) -> u32 {
        self.tail.load(Acquire).wrapping_sub(self.head.load(Relaxed)).min(self.entries)
    }

    /// Asks the application to wake the thread that takes entries (SQPOLL), and looks a last time:
    /// whether that thread may sleep.
    #[must_use]
    pub fn may_sleep(&self, flags: &AtomicU32) -> bool {
        flags.fetch_or(sq_flags::NEED_WAKEUP, Relaxed);
        // Pairs with the full barrier between the application's store of its tail and its load of
        // the flags: either it sees that it must wake us, or we see its entries. An operation that
        // is SeqCst in itself does not order the load behind it.
        fence(SeqCst);
        self.pending() == 0
    }

    /// That thread does not sleep. Who sees that late wakes it for nothing.
    pub fn clear_need_wakeup(&self, flags: &AtomicU32) {
        flags.fetch_and(!sq_flags::NEED_WAKEUP, Relaxed);
    }
}
