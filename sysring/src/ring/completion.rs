//! Taking completions.

use core::fmt;
use core::iter::FusedIterator;

use super::entry::CqEntry;
use super::queue::Cq;

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
        if self.head == self.tail {
            return None;
        }
        // SAFETY: below the tail.
        let completion = unsafe { self.cq.at(self.head) };
        self.head = self.head.wrapping_add(1);
        Some(completion)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.tail.wrapping_sub(self.head) as usize;
        (left, Some(left))
    }
}

impl<C: CqEntry> ExactSizeIterator for Completions<'_, C> {}
impl<C: CqEntry> FusedIterator for Completions<'_, C> {}

impl<C: CqEntry> Drop for Completions<'_, C> {
    #[inline(always)]
    fn drop(&mut self) {
        self.cq.take_until(self.head);
    }
}

impl<C: CqEntry> fmt::Debug for Completions<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completions").field("left", &self.len()).finish_non_exhaustive()
    }
}
