//! Taking completions.

use core::fmt;
use core::iter::FusedIterator;

use super::entry::{CqEntry, Cqe, Cqe32};
use super::queue::Cq;

/// How completions lie in the queue.
pub trait Slots: Sized {
    /// A place.
    type Slot: Copy;
    /// Each has one place.
    const IS_ONE: bool;

    /// # Safety
    /// A completion lies there, in as many places as it says.
    unsafe fn read(at: *const Self::Slot) -> Self;

    /// How many places it has.
    fn slots(&self) -> u32;

    /// Whether it only fills a place.
    fn is_filler(&self) -> bool;
}

macro_rules! in_one_slot {
    ($($name:ident)*) => {$(
        impl Slots for $name {
            type Slot = $name;
            const IS_ONE: bool = true;

            #[inline(always)]
            unsafe fn read(at: *const $name) -> $name {
                // SAFETY: the caller's word.
                unsafe { at.read() }
            }

            #[inline(always)]
            fn slots(&self) -> u32 {
                1
            }

            #[inline(always)]
            fn is_filler(&self) -> bool {
                false
            }
        }

        impl ExactSizeIterator for Completions<'_, $name> {}
    )*};
}

in_one_slot! { Cqe Cqe32 }

/// The completions that lie in the queue, in the order of their arrival.
///
/// Each one that was taken makes room for another when the iterator is dropped. Those that arrive
/// meanwhile are left for the next one.
pub struct Completions<'a, C: CqEntry> {
    cq: &'a mut Cq<C>,
    /// Copies, so that a loop has them in registers.
    head: u32,
    tail: u32,
}

impl<'a, C: CqEntry> Completions<'a, C> {
    #[inline(always)]
    pub(super) fn new(cq: &'a mut Cq<C>) -> Completions<'a, C> {
        let (head, tail) = (cq.head(), cq.tail());
        Completions { cq, head, tail }
    }
}

impl<C: CqEntry> Iterator for Completions<'_, C> {
    type Item = C;

    #[inline(always)]
    fn next(&mut self) -> Option<C> {
        loop {
            if self.head == self.tail {
                return None;
            }
            // SAFETY: below the tail.
            let completion = unsafe { self.cq.at(self.head) };
            self.head = self.head.wrapping_add(completion.slots());
            if !completion.is_filler() {
                return Some(completion);
            }
        }
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.tail.wrapping_sub(self.head) as usize;
        (if C::IS_ONE { left } else { 0 }, Some(left))
    }
}

impl<C: CqEntry> FusedIterator for Completions<'_, C> {}

impl<C: CqEntry> Drop for Completions<'_, C> {
    #[inline(always)]
    fn drop(&mut self) {
        self.cq.take_until(self.head);
    }
}

impl<C: CqEntry> fmt::Debug for Completions<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completions").field("left", &self.size_hint().1).finish_non_exhaustive()
    }
}
