//! The completion queue, as we see it: we fill it, the application takes from it.

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use sysring_protocol::{Completions, Cq};
use sysring_sys::abi::io_uring::{Cqe, cqe_flags, setup};

use crate::locked::Locked;
use crate::ring::Ring;
use crate::shape::at;

impl Ring {
    /// The words of the queue.
    #[inline(always)]
    fn cq(&self) -> Cq<'_> {
        let [head, tail] = self.words([at::CQ_HEAD, at::CQ_TAIL]);
        Cq { head, tail }
    }

    /// Counts an event that was taken.
    pub fn cq_count_taken(&self) {
        self.word(at::CQ_HEAD).fetch_add(1, Release);
    }
}

impl Locked<'_> {
    /// CQEs in the ring that the application has not consumed.
    pub fn cq_ready(&mut self) -> u32 {
        let ready = self.ring.cq().ready(self.control().cq_tail);
        match self.ring.events() {
            None => ready,
            Some(events) if events.is_empty() => 0,
            // Others push into a ring that is shared, too, and do not count.
            Some(_) => ready.max(1),
        }
    }

    /// How many there can be.
    pub fn cq_most(&self) -> u32 {
        if self.ring.events().is_some() { u32::MAX / 2 } else { self.ring.layout().cq_entries }
    }

    /// The application's index into the completion queue.
    pub fn cq_head(&self) -> u32 {
        self.ring.word(at::CQ_HEAD).load(Acquire)
    }

    /// Whether there is room in the ring for a CQE with these flags. One of two places is never
    /// torn: where only the last place is left before the ring begins anew, that is filled up.
    #[inline(always)]
    pub fn cq_make_room(&mut self, flags: u32) -> bool {
        if self.ring.shape.takes_two(flags) {
            return self.cq_make_room_for_two();
        }
        self.cq_ready() < self.ring.layout().cq_entries
    }

    #[cold]
    fn cq_make_room_for_two(&mut self) -> bool {
        let entries = self.ring.layout().cq_entries;
        let last_place = self.control().cq_tail & (entries - 1) == entries - 1;
        if last_place && self.cq_ready() < entries {
            self.cq_put(Cqe { flags: cqe_flags::SKIP, ..Cqe::default() }, [0; 2]);
        }
        self.cq_ready().saturating_add(2) <= entries
    }

    /// Writes a CQE at the tail; there is room.
    pub fn cq_put(&mut self, cqe: Cqe, extra: [u64; 2]) {
        let shape = self.ring.layout();
        let two = shape.takes_two(cqe.flags);
        let index = (self.control().cq_tail & (shape.cq_entries - 1)) as usize;
        // SAFETY: the index is masked with our own copy of the size; volatile, as the application
        // may look at any time.
        unsafe {
            let at = self.ring.rings_at.load(Relaxed).add(at::CQES + index * shape.cqe_stride());
            at.cast::<Cqe>().write_volatile(cqe);
            if shape.has(setup::CQE32) || two {
                at.add(16).cast::<[u64; 2]>().write_volatile(extra);
            }
        }
        let tail = self.control().cq_tail.wrapping_add(if two { 2 } else { 1 });
        self.control().cq_tail = tail;
        self.ring.cq().publish(tail);
    }

    /// Counts an event that was put into the context's ring of events, which takes the place of a
    /// completion queue there.
    pub fn cq_count_event(&mut self) {
        let tail = self.control().cq_tail.wrapping_add(1);
        self.control().cq_tail = tail;
        self.ring.cq().publish(tail);
    }

    /// A completion that could not even be kept on the overflow list.
    pub fn cq_count_lost(&mut self) {
        self.ring.word(at::CQ_OVERFLOW).fetch_add(1, Relaxed);
    }
}

/// A CQE, with the second half of a long one.
pub type Told = (Cqe, [u64; 2]);

impl Completions for Locked<'_> {
    type Entry = Told;

    #[inline(always)]
    fn has_place(&mut self, (cqe, _): &Told) -> bool {
        self.cq_make_room(cqe.flags)
    }

    #[inline(always)]
    fn put(&mut self, (cqe, extra): Told) {
        self.cq_put(cqe, extra);
    }

    #[inline(always)]
    fn nothing_waits(&mut self) -> bool {
        self.overflow_is_empty()
    }

    fn keep(&mut self, (cqe, extra): Told) -> bool {
        self.overflow_push(cqe, extra)
    }

    fn first(&mut self) -> Option<Told> {
        self.overflow_first()
    }

    fn drop_first(&mut self) {
        self.overflow_drop_first();
    }

    fn flags(&self) -> &AtomicU32 {
        self.ring.sq_flags()
    }
}
