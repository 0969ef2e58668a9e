//! The submission queue, as we see it: the application fills it, we take from it.

use core::mem::transmute;
use core::sync::atomic::Ordering::Relaxed;

use sysring_protocol::{Entries, Sq};
use sysring_sys::abi::io_uring::{Sqe, setup};

use crate::locked::Locked;
use crate::ring::Ring;
use crate::shape::at;

impl Ring {
    /// The words of the queue.
    #[inline(always)]
    #[must_use]
    pub fn sq(&self) -> Sq<'_> {
        let [head, tail] = self.words([at::SQ_HEAD, at::SQ_TAIL]);
        Sq { head, tail, entries: self.sq_size() }
    }
}

/// The entries of a ring.
struct Sqes<'r>(&'r Ring);

impl Entries for Sqes<'_> {
    type Entry = Sqe;

    #[inline(always)]
    fn index_at(&self, position: u32) -> u32 {
        let array = self.0.array_at.load(Relaxed);
        if array.is_null() {
            return position;
        }
        // SAFETY: the array has a place for every position; the application writes there, too.
        unsafe { &*array.add(position as usize) }.load(Relaxed)
    }

    #[inline(always)]
    fn read(&self, index: u32) -> Sqe {
        let offset = index as usize * self.0.shape().sqe_stride();
        // SAFETY: the index was checked against our own copy of the size. The application may
        // write the entry at any time: volatile, and whatever was read is only numbers. In words, for
        // the fields of one are more loads.
        unsafe {
            let words = self.0.sqes_at.load(Relaxed).add(offset).cast::<[u64; 8]>().read_volatile();
            transmute::<[u64; 8], Sqe>(words)
        }
    }
}

impl Locked<'_> {
    /// SQEs that the application has published and we have not taken.
    #[inline(always)]
    pub fn sq_available(&mut self) -> u32 {
        let sq = self.ring.sq();
        if self.ring.shape().has(setup::SQ_REWIND) {
            // Who submits says how many.
            return sq.entries;
        }
        sq.available(self.counts().sq_head)
    }

    /// Up to where SQEs have been taken.
    #[inline(always)]
    pub fn sq_position(&mut self) -> u32 {
        self.counts().sq_head
    }

    /// Whether that is short of a position, which is not further away than the queue is long.
    #[inline(always)]
    pub fn sq_is_before(&mut self, end: u32) -> bool {
        end.wrapping_sub(self.sq_position()).cast_signed() > 0
    }

    /// Takes the next SQE, and says at which index it lay. `None`: that, in the SQ array, is out of
    /// range; it is dropped.
    #[inline(always)]
    pub fn sq_take(&mut self) -> Option<(Sqe, u32)> {
        let ring = self.ring;
        let taken = ring.sq().take(&mut self.counts().sq_head, &Sqes(ring));
        if taken.is_none() {
            ring.word(at::SQ_DROPPED).fetch_add(1, Relaxed);
        }
        taken
    }

    /// An SQE that is to be taken, by its position, as it is now.
    pub fn sq_peek(&self, position: u32) -> Option<Sqe> {
        self.ring.sq().take(&mut { position }, &Sqes(self.ring)).map(|(sqe, _)| sqe)
    }

    /// Takes the second half of an SQE that is twice as long as others.
    pub fn sq_take_half(&mut self) {
        self.counts().sq_head = self.counts().sq_head.wrapping_add(1);
    }

    /// Tells the application which SQEs are free to be filled again.
    pub fn sq_publish(&mut self) {
        if self.ring.shape().has(setup::SQ_REWIND) {
            // The next batch begins at the first place, and nobody looks at the head.
            self.counts().sq_head = 0;
            return;
        }
        let head = self.counts().sq_head;
        self.ring.sq().give_back(head);
    }
}
