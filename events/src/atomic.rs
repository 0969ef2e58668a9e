//! The processor's atomics, or the model checker's, and two ways to load that it must know of.
//!
//! loom looks for another order only where an access races with the *latest* one to the same word:
//! a load of one's own just before one's store hides the others' loads before it.

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A word that only who holds the lock writes, read by who holds it.
#[inline(always)]
pub(crate) fn own(word: &AtomicU32) -> u32 {
    #[cfg(loom)]
    // SAFETY: loom itself checks that nobody writes at the same time.
    return unsafe { word.unsync_load() };
    #[cfg(not(loom))]
    word.load(Ordering::Relaxed)
}

/// A word that is read in order to be compared and swapped: if what is read is old, that fails.
#[inline(always)]
pub(crate) fn peek(word: &AtomicU64, order: Ordering) -> u64 {
    #[cfg(loom)]
    if FRESH.get() {
        return word.fetch_or(0, order);
    }
    word.load(order)
}

// Whether `peek` is an access that hides no other: then the past is never read. Models are run
// with both.
#[cfg(loom)]
std::thread_local! {
    pub(crate) static FRESH: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}
