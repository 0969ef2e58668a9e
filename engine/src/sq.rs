//! The submission queue, as we see it: the application fills it, we take from it.

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use sysring_sys::abi::io_uring::{Sqe, setup};

use crate::locked::Locked;
use crate::shape::at;

impl Locked<'_> {
    /// SQEs that the application has published and we have not taken.
    pub fn sq_available(&mut self) -> u32 {
        if self.ring.shape.has(setup::SQ_REWIND) {
            // Who submits says how many.
            return self.ring.layout().sq_entries;
        }
        // Acquire pairs with the application's release of its tail: the SQEs are written.
        let tail = self.ring.word(at::SQ_TAIL).load(Acquire);
        tail.wrapping_sub(self.control().sq_head).min(self.ring.layout().sq_entries)
    }

    /// Takes the next SQE; also, how many places there are behind it. `None`: its index in the SQ
    /// array is out of range, it is dropped.
    pub fn sq_take(&mut self) -> Option<(Sqe, u32)> {
        let shape = self.ring.layout();
        let position = self.control().sq_head & (shape.sq_entries - 1);
        self.control().sq_head = self.control().sq_head.wrapping_add(1);
        let index = if shape.has(setup::NO_SQARRAY) {
            position
        } else {
            self.ring.word(shape.array_at() + position as usize * 4).load(Relaxed)
        };
        if index >= shape.sq_entries {
            self.ring.word(at::SQ_DROPPED).fetch_add(1, Relaxed);
            return None;
        }
        // SAFETY: the index was checked against our own copy of the size. The application may
        // write the entry at any time: volatile, and whatever was read is only numbers.
        let sqe = unsafe {
            let at = self.ring.sqes_at.load(Relaxed).add(index as usize * shape.sqe_stride());
            at.cast::<Sqe>().read_volatile()
        };
        Some((sqe, shape.sq_entries - 1 - index))
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
        // Release: we have read the entries before they are handed back.
        let head = self.control().sq_head;
        self.ring.word(at::SQ_HEAD).store(head, Release);
    }
}
