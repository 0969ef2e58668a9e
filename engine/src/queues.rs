//! The memory of the two queues, which the application maps or has lent, and its exchange for
//! memory of another size.

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use sysring_sys::abi::io_uring::{Params, setup};
use sysring_sys::{Errno, Result, User};

use crate::locked::Locked;
use crate::region::Region;
use crate::shape::{Shape, at};

/// Both queues and their header, and the SQEs.
#[derive(Debug)]
pub struct Queues {
    pub rings: Region,
    pub sqes: Region,
}

/// Words of the header that move with the queues.
const MOVES: [usize; 7] = [
    at::SQ_HEAD,
    at::SQ_TAIL,
    at::CQ_HEAD,
    at::SQ_DROPPED,
    at::SQ_FLAGS,
    at::CQ_FLAGS,
    at::CQ_OVERFLOW,
];

impl Queues {
    /// Empty queues of a shape.
    ///
    /// # Errors
    /// `ENOMEM`; of memory that the application lends, as [`Region::lent`].
    pub fn new(shape: Shape, given: &Params) -> Result<Queues> {
        let region = |address, len| match shape.has(setup::NO_MMAP) {
            true => Region::lent(User::new(address), len),
            false => Region::own(len),
        };
        let rings = region(given.cq_off.user_addr, shape.rings_len())?;
        let sqes = region(given.sq_off.user_addr, shape.sqes_len())?;
        let queues = Queues { rings, sqes };
        // SAFETY: the header is inside the region, of which nobody else makes use yet.
        unsafe { queues.rings.start().write_bytes(0, at::CQES) };
        queues.word(at::SQ_MASK).store(shape.sq_entries - 1, Relaxed);
        queues.word(at::CQ_MASK).store(shape.cq_entries - 1, Relaxed);
        queues.word(at::SQ_ENTRIES).store(shape.sq_entries, Relaxed);
        queues.word(at::CQ_ENTRIES).store(shape.cq_entries, Relaxed);
        Ok(queues)
    }

    fn word(&self, offset: usize) -> &AtomicU32 {
        // SAFETY: `offset` is one of `at`'s, inside the first page and aligned; the application
        // writes these words too, hence atomics.
        unsafe { AtomicU32::from_ptr(self.rings.start().add(offset).cast()) }
    }

    /// Gives memory that was lent back to the application.
    pub fn give_back(&self) {
        self.rings.give_back();
        self.sqes.give_back();
    }

    /// Copies entries from these queues into others, which nobody looks at yet.
    fn copy(&self, part: impl Fn(&Queues) -> *mut u8, to: &Queues, entries: Entries) {
        for i in 0..entries.count {
            let index = entries.first.wrapping_add(i);
            let [from, to] = [(self, entries.from), (to, entries.to)].map(|(queues, size)| {
                // SAFETY: masked with our own copies of the sizes the memory was made for.
                unsafe { part(queues).add((index & (size - 1)) as usize * entries.stride) }
            });
            for word in (0..entries.stride).step_by(8) {
                // SAFETY: inside the entries, which are aligned to 8; volatile, as the application
                // may write to them at any time.
                unsafe {
                    to.add(word)
                        .cast::<u64>()
                        .write_volatile(from.add(word).cast::<u64>().read_volatile());
                }
            }
        }
    }
}

/// A stretch of a queue: free-running indexes, and how many there are in the old and the new one.
struct Entries {
    first: u32,
    count: u32,
    from: u32,
    to: u32,
    stride: usize,
}

impl Locked<'_> {
    /// Goes on with other queues, and with what is in the old ones.
    ///
    /// # Errors
    /// `EOVERFLOW`: it is more than they hold; nothing has changed then.
    pub fn move_queues(&mut self, shape: Shape, new: Queues) -> Result<()> {
        let made = self.ring.layout();
        let cq_tail = self.counts().cq_tail;
        let Some(old) = self.queues.as_ref() else { return Err(Errno::ENXIO) };
        let first = old.word(at::SQ_HEAD).load(Relaxed);
        // Acquire pairs with the application's release of its tail: the SQEs are written.
        let count = old.word(at::SQ_TAIL).load(Acquire).wrapping_sub(first);
        let sq = Entries {
            first,
            count,
            from: made.sq_entries,
            to: shape.sq_entries,
            stride: made.sqe_stride(),
        };
        let first = old.word(at::CQ_HEAD).load(Relaxed);
        let cq = Entries {
            first,
            count: cq_tail.wrapping_sub(first),
            from: made.cq_entries,
            to: shape.cq_entries,
            stride: made.cqe_stride(),
        };
        if sq.count > sq.to || cq.count > cq.to {
            return Err(Errno::EOVERFLOW);
        }
        old.copy(|queues| queues.sqes.start(), &new, sq);
        old.copy(|queues| queues.rings.start().wrapping_add(at::CQES), &new, cq);
        for word in MOVES {
            new.word(word).store(old.word(word).load(Relaxed), Relaxed);
        }
        // Release: as for every CQE.
        new.word(at::CQ_TAIL).store(cq_tail, Release);
        self.ring.lay_out(shape, &new);
        self.counts().cq_end = cq_tail;
        self.queues = Some(new);
        Ok(())
    }
}
