//! Adding entries.

use core::fmt;
use core::ptr::NonNull;

use super::entry::SqEntry;
use super::queue::Sq;

/// There is no room in the submission queue: submit, and try again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the submission queue is full")
    }
}

impl core::error::Error for Full {}

/// The submission queue of a ring, borrowed: [`Ring::submission`](crate::Ring::submission).
pub struct Submission<'a, S: SqEntry> {
    sq: &'a mut Sq<S>,
    /// The room at hand: copies, so that a loop has them in registers.
    next: NonNull<S>,
    stop: NonNull<S>,
}

impl<'a, S: SqEntry> Submission<'a, S> {
    #[inline(always)]
    pub(super) fn new(sq: &'a mut Sq<S>) -> Submission<'a, S> {
        let (next, stop) = sq.room_at_hand();
        Submission { sq, next, stop }
    }

    /// Adds an entry; it is handed over by the next `submit`.
    ///
    /// # Safety
    /// As for [`Ring::push`](crate::Ring::push).
    ///
    /// # Errors
    /// [`Full`]: the entry was not added.
    #[inline(always)]
    pub unsafe fn push(&mut self, entry: impl Into<S>) -> Result<(), Full> {
        let entry = entry.into();
        if self.next == self.stop && !self.go_on() {
            return Err(Full);
        }
        // SAFETY: at hand, and filled then.
        unsafe {
            self.next.write(entry);
            self.next = self.next.add(1);
            self.sq.filled_to(self.next);
        }
        Ok(())
    }

    #[cold]
    fn go_on(&mut self) -> bool {
        self.with_queue(Sq::go_on)
    }

    /// What is at hand may be different afterwards.
    pub(super) fn with_queue<R>(&mut self, act: impl FnOnce(&mut Sq<S>) -> R) -> R {
        let answer = act(self.sq);
        (self.next, self.stop) = self.sq.room_at_hand();
        answer
    }

    /// Adds all of the entries, or none: for chains, which must not be cut in two.
    ///
    /// # Safety
    /// As for [`Ring::push`](crate::Ring::push), for each of them.
    ///
    /// # Errors
    /// [`Full`]: no entry was added.
    pub unsafe fn push_all(&mut self, entries: &[S]) -> Result<(), Full> {
        if entries.len() > self.room() {
            return Err(Full);
        }
        for entry in entries {
            // SAFETY: by the caller's word.
            unsafe { self.push(*entry)? };
        }
        Ok(())
    }

    /// How many entries there is room for.
    #[must_use]
    pub fn room(&self) -> usize {
        self.capacity() - self.len().min(self.capacity())
    }

    /// How many entries were added that the other side has not taken.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sq.len_at(self.next) as usize
    }

    /// Whether the other side has taken all that was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many entries it holds.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.sq.capacity() as usize
    }
}

impl<S: SqEntry> fmt::Debug for Submission<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submission").field("capacity", &self.capacity()).finish_non_exhaustive()
    }
}
