//! Where results wait until they are asked for.
//!
//! A result has a slot from the moment its call blocks. The thread that finishes the call pushes the
//! slot onto a stack, and the context takes the whole stack at once: any number of producers, one
//! consumer, nothing that could be full.

use core::cell::Cell;
use core::ptr;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};
use core::sync::atomic::{AtomicIsize, AtomicPtr};

use sysring_sys::{Result, call};

#[cfg(target_arch = "x86_64")]
use crate::carrier::Carrier;
use crate::scope::Scope;
use crate::told::{Noted, Told};

/// Nobody finishes a call for another where contexts do not move.
#[cfg(not(target_arch = "x86_64"))]
#[derive(Debug)]
pub enum Carrier {}

/// Slots that come with a context.
pub const FIRST: usize = 64;
/// Bytes asked for when they run out.
const MORE: usize = 16 << 10;

/// The place of one result.
#[derive(Debug)]
pub struct Slot {
    /// The next in the list this slot is on.
    next: AtomicPtr<Slot>,
    /// The return register, written by the thread that finishes the call.
    pub result: AtomicIsize,
    /// Who asked, and what the call was named; the context's own.
    pub owner: Cell<*const Scope>,
    pub id: Cell<u64>,
    /// Who makes the call.
    pub carrier: Cell<*const Carrier>,
    /// It is to end before its time.
    pub cancelled: Cell<bool>,
    /// What is to be told of it; the context's own.
    pub told: Cell<Told>,
    /// What is told by the thread that finishes the call, as the result is.
    pub noted: Noted,
}

/// Slots that were asked for later.
#[repr(C)]
#[derive(Debug)]
struct Chunk {
    next: *mut Chunk,
    slots: [Slot; (MORE - 16) / size_of::<Slot>()],
}

const _: () = assert!(size_of::<Chunk>() <= MORE);

/// All slots of a context. Only `finished` is touched by other threads than the context's.
#[derive(Debug)]
pub struct Store {
    finished: AtomicPtr<Slot>,
    free: Cell<*mut Slot>,
    chunks: Cell<*mut Chunk>,
    first: [Slot; FIRST],
}

impl Store {
    /// Puts the first slots on the free list. The store lies in zeroed memory, where it stays.
    pub fn begin(&self) {
        self.first.iter().for_each(|slot| self.give_back(slot));
    }

    /// A slot for a call that may block; `None`: no memory.
    pub fn take(&self) -> Option<*mut Slot> {
        if self.free.get().is_null() {
            self.extend().ok()?;
        }
        let slot = self.free.get();
        // SAFETY: slots live as long as the store.
        self.free.set(unsafe { (*slot).next.load(Relaxed) });
        Some(slot)
    }

    /// The slot is no longer needed.
    pub fn give_back(&self, slot: &Slot) {
        slot.owner.set(ptr::null());
        slot.next.store(self.free.get(), Relaxed);
        self.free.set(ptr::from_ref(slot).cast_mut());
    }

    fn extend(&self) -> Result<()> {
        let chunk = call::map_anonymous(MORE, false)?.cast::<Chunk>();
        // SAFETY: a fresh mapping, large enough, and zeroes are a chunk of slots.
        let chunk = unsafe { &mut *chunk };
        chunk.next = self.chunks.replace(chunk);
        chunk.slots.iter().for_each(|slot| self.give_back(slot));
        Ok(())
    }

    /// The slot of a call that has not been handed over, by the call's name.
    pub fn find(&self, id: u64) -> Option<&Slot> {
        let mut found = None::<*const Slot>;
        self.each_owned(|slot| {
            if slot.id.get() == id {
                found = Some(slot);
            }
        });
        // SAFETY: slots live as long as the store.
        found.map(|slot| unsafe { &*slot })
    }

    /// The result is there.
    ///
    /// # Safety
    /// `slot` belongs to this store, and its call has not been answered.
    pub unsafe fn finish(&self, slot: *mut Slot, result: isize) {
        // SAFETY: slots live as long as the store.
        let slot_ref = unsafe { &*slot };
        slot_ref.result.store(result, Relaxed);
        let mut head = self.finished.load(Relaxed);
        loop {
            slot_ref.next.store(head, Relaxed);
            // Pairs with `take_finished`, which then sees the result; and with `has_finished`,
            // sequentially consistent because the consumer announces its sleep in between.
            match self.finished.compare_exchange_weak(head, slot, SeqCst, Relaxed) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// Whether there is something to take.
    pub fn has_finished(&self) -> bool {
        !self.finished.load(SeqCst).is_null()
    }

    /// Hands over all that is finished, in the order in which it was.
    pub fn take_finished(&self, mut each: impl FnMut(&Slot)) {
        if self.finished.load(Acquire).is_null() {
            return;
        }
        let mut slot = self.finished.swap(ptr::null_mut(), AcqRel);
        let mut in_order = ptr::null_mut::<Slot>();
        while !slot.is_null() {
            // SAFETY: slots live as long as the store, and these are nobody else's now.
            let next = unsafe { (*slot).next.swap(in_order, Relaxed) };
            in_order = slot;
            slot = next;
        }
        while !in_order.is_null() {
            // SAFETY: taken off the list of the finished: a slot of the store, and nobody else's
            // now.
            let slot = unsafe { &*in_order };
            in_order = slot.next.load(Relaxed);
            each(slot);
        }
    }

    /// Every slot that an unanswered call has: those with an owner.
    pub fn each_owned(&self, mut each: impl FnMut(&Slot)) {
        let mut chunk = self.chunks.get();
        self.first.iter().filter(|slot| !slot.owner.get().is_null()).for_each(&mut each);
        while !chunk.is_null() {
            // SAFETY: chunks live as long as the store.
            let here = unsafe { &*chunk };
            here.slots.iter().filter(|slot| !slot.owner.get().is_null()).for_each(&mut each);
            chunk = here.next;
        }
    }

    /// Gives the memory back.
    ///
    /// # Safety
    /// No slot is used any more.
    pub unsafe fn end(&self) {
        let mut chunk = self.chunks.replace(ptr::null_mut());
        while !chunk.is_null() {
            // SAFETY: a chunk of this store, which nobody uses.
            let next = unsafe { (*chunk).next };
            // SAFETY: the same chunk, mapped with this length; what it said of the next one is
            // read.
            let _ = unsafe { call::munmap(chunk as usize, MORE) };
            chunk = next;
        }
    }
}

/// Results in the order of their arrival: a scope's own list.
#[derive(Debug)]
pub struct Arrived {
    first: Cell<*const Slot>,
    last: Cell<*const Slot>,
    count: Cell<usize>,
}

impl Arrived {
    pub const fn new() -> Arrived {
        Arrived { first: Cell::new(ptr::null()), last: Cell::new(ptr::null()), count: Cell::new(0) }
    }

    pub fn count(&self) -> usize {
        self.count.get()
    }

    pub fn push(&self, slot: &Slot) {
        slot.next.store(ptr::null_mut(), Relaxed);
        let last = self.last.replace(slot);
        if last.is_null() {
            self.first.set(slot);
        } else {
            // SAFETY: a slot of the list, which lives as long as its store.
            unsafe { (*last).next.store(ptr::from_ref(slot).cast_mut(), Relaxed) };
        }
        self.count.set(self.count.get() + 1);
    }

    pub fn pop<'a>(&self) -> Option<&'a Slot> {
        let first = self.first.get();
        if first.is_null() {
            return None;
        }
        // SAFETY: a slot of the list, which lives as long as its store.
        let slot = unsafe { &*first };
        self.first.set(slot.next.load(Relaxed));
        if self.first.get().is_null() {
            self.last.set(ptr::null());
        }
        self.count.set(self.count.get() - 1);
        Some(slot)
    }
}
