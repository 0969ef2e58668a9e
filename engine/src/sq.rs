//! The submission queue, as we see it: the application fills it, we take from it.

use core::sync::atomic::Ordering::Relaxed;

use sysring_protocol::{Entries, Sq};
use sysring_sys::abi::io_uring::{Sqe, setup};

use crate::locked::Locked;
use crate::ring::Ring;
use crate::shape::{Shape, at};

impl Ring {
    /// The words of the queue.
    #[inline(always)]
    #[must_use]
    pub fn sq(&self) -> Sq<'_> {
        self.sq_of(self.sq_size())
    }

    #[inline(always)]
    fn sq_of(&self, entries: u32) -> Sq<'_> {
        let [head, tail] = self.words([at::SQ_HEAD, at::SQ_TAIL]);
        Sq { head, tail, entries }
    }
}

/// The entries of a ring, laid out as it is now.
struct Sqes<'r> {
    ring: &'r Ring,
    shape: Shape,
}

impl Entries for Sqes<'_> {
    type Entry = Sqe;

    #[inline(always)]
    fn index_at(&self, position: u32) -> u32 {
        if self.shape.has(setup::NO_SQARRAY) {
            return position;
        }
        self.ring.word(self.shape.array_at() + position as usize * 4).load(Relaxed)
    }

    #[inline(always)]
    fn read(&self, index: u32) -> Sqe {
        // SAFETY: the index was checked against our own copy of the size. The application may
        // write the entry at any time: volatile, and whatever was read is only numbers.
        unsafe {
            let at = self.ring.sqes_at.load(Relaxed).add(index as usize * self.shape.sqe_stride());
            at.cast::<Sqe>().read_volatile()
        }
    }
}

impl Locked<'_> {
    /// SQEs that the application has published and we have not taken.
    pub fn sq_available(&mut self) -> u32 {
        let sq = self.ring.sq();
        if self.ring.shape.has(setup::SQ_REWIND) {
            // Who submits says how many.
            return sq.entries;
        }
        sq.available(self.control().sq_head)
    }

    /// Takes the next SQE; also, how many places there are behind it. `None`: its index in the SQ
    /// array is out of range, it is dropped.
    pub fn sq_take(&mut self) -> Option<(Sqe, u32)> {
        let ring = self.ring;
        let shape = ring.layout();
        let taken =
            ring.sq_of(shape.sq_entries).take(&mut self.control().sq_head, &Sqes { ring, shape });
        if taken.is_none() {
            ring.word(at::SQ_DROPPED).fetch_add(1, Relaxed);
        }
        taken.map(|(sqe, index)| (sqe, shape.sq_entries - 1 - index))
    }

    /// Takes the second half of an SQE that is twice as long as others.
    pub fn sq_take_half(&mut self) {
        self.control().sq_head = self.control().sq_head.wrapping_add(1);
    }

    /// Tells the application which SQEs are free to be filled again.
    pub fn sq_publish(&mut self) {
        if self.ring.shape.has(setup::SQ_REWIND) {
            // The next batch begins at the first place, and nobody looks at the head.
            self.control().sq_head = 0;
            return;
        }
        let head = self.control().sq_head;
        self.ring.sq().give_back(head);
    }
}
