//! The completion queue: the engine fills it, the application takes from it. What it has no room
//! for waits on a list of the engine's.

use sysring_sys::abi::io_uring::sq_flags;

use crate::atomic::AtomicU32;
use crate::atomic::Ordering::{Acquire, Relaxed, Release};

/// The words of the queue. The head may hold anything: the application writes it.
pub struct Cq<'a> {
    /// Entries the application has consumed.
    pub head: &'a AtomicU32,
    /// Entries the engine has put there.
    pub tail: &'a AtomicU32,
}

impl Cq<'_> {
    /// Of `put` entries, those that the application has not consumed.
    #[inline(always)]
    #[must_use]
    pub fn ready(&self, put: u32) -> u32 {
        // Acquire pairs with the application's release of its head: it has read what it frees.
        put.wrapping_sub(self.head.load(Acquire))
    }

    /// Shows the application what was written.
    #[inline(always)]
    pub fn publish(&self, put: u32) {
        // Release pairs with the application's acquire of the tail: the entries are written.
        self.tail.store(put, Release);
    }
}

/// A completion queue with its list of what did not fit, as the holder of the ring's lock has it.
pub trait Completions {
    /// What is told.
    type Entry: Copy;

    /// Whether the queue has room for an entry like this one.
    fn has_place(&mut self, entry: &Self::Entry) -> bool;

    /// Writes it there, and publishes it.
    fn put(&mut self, entry: Self::Entry);

    /// Whether nothing waits on the list.
    fn nothing_waits(&mut self) -> bool;

    /// Puts an entry at the end of the list; whether there was room.
    fn keep(&mut self, entry: Self::Entry) -> bool;

    /// The first of the list, which stays there.
    fn first(&mut self) -> Option<Self::Entry>;

    /// Takes it off.
    fn drop_first(&mut self);

    /// The flags that the application looks at.
    fn flags(&self) -> &AtomicU32;

    /// Whether an entry would go into the queue: not before those that wait.
    #[inline(always)]
    fn has_room(&mut self, entry: &Self::Entry) -> bool {
        self.nothing_waits() && self.has_place(entry)
    }

    /// Puts what there was no room for on the list; `false`: there is no room either, it is lost.
    fn put_off(&mut self, entry: Self::Entry) -> bool {
        let kept = self.keep(entry);
        if kept {
            // The application looks at the flag when it has emptied the queue. If it does that too
            // early to see it, it finds it the next time: only `move_up` takes it away.
            self.flags().fetch_or(sq_flags::CQ_OVERFLOW, Relaxed);
        }
        kept
    }

    /// Moves what waits into the queue, as far as there is room; how many.
    fn move_up(&mut self) -> u32 {
        if self.nothing_waits() {
            return 0;
        }
        let mut moved = 0;
        while let Some(entry) = self.first()
            && self.has_place(&entry)
        {
            self.drop_first();
            self.put(entry);
            moved += 1;
        }
        if self.nothing_waits() {
            // Release pairs with an acquiring look at the flags: who finds the flag gone finds the
            // entries in the queue.
            self.flags().fetch_and(!sq_flags::CQ_OVERFLOW, Release);
        }
        moved
    }
}
