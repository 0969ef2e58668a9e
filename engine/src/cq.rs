//! The completion queue, as we see it: we fill it, the application takes from it.

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use sysring_protocol::{Completions, Cq};
use sysring_sys::abi::io_uring::{Cqe, cqe_flags, setup};
use sysring_sys::odds::unlikely;

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
        // Release pairs with the Acquire in `cq_head` and `Cq::ready`: what was there has been read.
        self.word(at::CQ_HEAD).fetch_add(1, Release);
    }
}

impl Locked<'_> {
    /// CQEs in the ring that the application has not consumed.
    pub fn cq_ready(&mut self) -> u32 {
        let ready = self.cq_used();
        match self.ring.events() {
            None => ready,
            Some(events) if events.is_empty() => 0,
            // Others push into a ring that is shared, too, and do not count.
            Some(_) => ready.max(1),
        }
    }

    /// Places in the ring that are taken.
    #[inline(always)]
    fn cq_used(&mut self) -> u32 {
        self.ring.cq().ready(self.counts().cq_tail)
    }

    /// How many there can be.
    pub fn cq_most(&self) -> u32 {
        if self.ring.events().is_some() { u32::MAX / 2 } else { self.ring.layout().cq_entries }
    }

    /// The application's index into the completion queue.
    pub fn cq_head(&self) -> u32 {
        // Acquire pairs with the application's Release: it has read what it gives back.
        self.ring.word(at::CQ_HEAD).load(Acquire)
    }

    /// Whether there is room in the ring for a CQE with these flags. One of two places is never
    /// torn: where only the last place is left before the ring begins anew, that is filled up.
    #[inline(always)]
    pub fn cq_make_room(&mut self, flags: u32) -> bool {
        if self.ring.shape().takes_two(flags) {
            return self.cq_make_room_for_two();
        }
        self.cq_used() < self.ring.cq_size()
    }

    #[cold]
    fn cq_make_room_for_two(&mut self) -> bool {
        let entries = self.ring.layout().cq_entries;
        let last_place = self.counts().cq_tail & (entries - 1) == entries - 1;
        if last_place && self.cq_used() < entries {
            self.cq_put(Cqe { flags: cqe_flags::SKIP, ..Cqe::default() }, [0; 2]);
        }
        self.cq_used().saturating_add(2) <= entries
    }

    /// Puts a CQE of 16 bytes into a ring of such, if there is room and nothing waits for it, and
    /// the ring is not being torn down. Whether it did: the rest is for `post_wide`.
    #[inline(always)]
    pub fn cq_put_at_once(&mut self, user_data: u64, res: i32, flags: u32) -> bool {
        let ring = self.ring;
        if unlikely(self.closing || ring.shape().has(setup::CQE32 | setup::CQE_MIXED)) {
            return false;
        }
        let entries = ring.cq_size();
        // Relaxed: changed under the lock, which is held.
        let rings = ring.rings_at.load(Relaxed);
        let cq = ring.cq();
        let counts = self.counts();
        let tail = counts.cq_tail;
        if unlikely(counts.overflow_head != counts.overflow_tail) {
            return false;
        }
        // The head is in a line of its own, and the application only moves it on.
        if unlikely(counts.cq_end.wrapping_sub(tail).cast_signed() <= 0) {
            let ready = cq.ready(tail);
            if ready >= entries {
                return false;
            }
            counts.cq_end = tail.wrapping_add(entries - ready);
        }
        let index = (tail & (entries - 1)) as usize;
        // SAFETY: the index is masked with our own copy of the size; `rings_at` and `cq_entries` belong
        // together because the lock is held; volatile, as the application may look at any time. Field by field: they have just been written one by one, and a load
        // of two at once would wait for both stores.
        unsafe {
            let at = rings.add(at::CQES).cast::<Cqe>().add(index);
            (&raw mut (*at).user_data).write_volatile(user_data);
            (&raw mut (*at).res).write_volatile(res);
            (&raw mut (*at).flags).write_volatile(flags);
        }
        let tail = tail.wrapping_add(1);
        counts.cq_tail = tail;
        cq.publish(tail);
        true
    }

    /// Writes a CQE at the tail; there is room.
    pub fn cq_put(&mut self, cqe: Cqe, extra: [u64; 2]) {
        let ring = self.ring;
        let shape = ring.shape();
        let two = shape.takes_two(cqe.flags);
        let last = self.counts().cq_tail;
        let index = (last & (ring.cq_size() - 1)) as usize;
        // SAFETY: the index is masked with our own copy of the size; volatile, as the application
        // may look at any time.
        unsafe {
            let at = ring.rings_at.load(Relaxed).add(at::CQES + index * shape.cqe_stride());
            at.cast::<Cqe>().write_volatile(cqe);
            if shape.has(setup::CQE32) || two {
                at.add(16).cast::<[u64; 2]>().write_volatile(extra);
            }
        }
        let tail = last.wrapping_add(if two { 2 } else { 1 });
        // No room is known of: who puts at once looks at the head again, however many have been put so.
        let counts = self.counts();
        (counts.cq_tail, counts.cq_end) = (tail, tail);
        ring.cq().publish(tail);
    }

    /// Counts an event that was put into the context's ring of events, which takes the place of a
    /// completion queue there.
    pub fn cq_count_event(&mut self) {
        let tail = self.counts().cq_tail.wrapping_add(1);
        self.counts().cq_tail = tail;
        self.ring.cq().publish(tail);
    }

    /// A completion that could not even be kept on the overflow list.
    pub fn cq_count_lost(&mut self) {
        // Relaxed: a count that goes with nothing.
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

#[cfg(test)]
mod tests {
    use sysring_sys::abi::io_uring::Params;
    use sysring_sys::{Fd, User};

    use super::*;
    use crate::descriptors;

    #[test]
    fn however_many_others_were_put_a_full_queue_is_full() {
        let mut params = Params::default();
        let fd = crate::setup(8, User::of(&raw mut params)).unwrap();
        let visit = descriptors::get(Fd::new(fd as i32)).unwrap();
        let ring = visit.ring();
        let mut locked = ring.lock();
        // As 2^31 of requests that have waited leave it, all consumed.
        let tail = (1 << 31) + 1;
        locked.counts().cq_tail = tail;
        ring.word(at::CQ_HEAD).store(tail, Relaxed);
        locked.cq_put(Cqe::default(), [0; 2]);
        let at_once = (0..1000).take_while(|&data| locked.cq_put_at_once(data, 0, 0)).count();
        assert_eq!(at_once as u32 + 1, ring.cq_size());
    }
}
