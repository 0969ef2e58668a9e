//! The two queues, in memory that is shared with who serves the ring.
//!
//! Each queue has two indexes that only grow, and wrap. Who adds owns the tail, who takes owns the
//! head; the difference is what lies in the queue, and the low bits are the place.

use core::ptr::NonNull;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use core::sync::atomic::{AtomicU32, fence};

use sysring_sys::abi::io_uring::{Params, cq_flags, setup, sq_flags};

use super::entry::{CqEntry, SqEntry};
use super::memory::Memory;

/// A word of the shared memory.
#[derive(Clone, Copy)]
struct Word(NonNull<AtomicU32>);

impl Word {
    /// # Safety
    /// The mapping must have the offset, and stay as long as the word is used.
    unsafe fn at(mapping: NonNull<u8>, offset: u32) -> Word {
        // SAFETY: by the caller's word.
        Word(unsafe { mapping.add(offset as usize) }.cast())
    }

    #[inline(always)]
    fn get(&self) -> &AtomicU32 {
        // SAFETY: mapped while the ring is there, which has the only words.
        unsafe { self.0.as_ref() }
    }
}

/// The submission queue: we add, the other side takes.
pub struct Sq<S> {
    /// Where the next entry goes. The other side sees it when it is published.
    next: NonNull<S>,
    /// Where to stop and think: the end of the memory, or of the room that we know of.
    stop: NonNull<S>,
    /// The address at which the entry of index 0 would lie, had the memory neither end nor beginning:
    /// the distance from there is the tail.
    origin: usize,
    shared_head: Word,
    shared_tail: Word,
    flags: Word,
    dropped: Word,
    first: NonNull<S>,
    entries: u32,
}

impl<S: SqEntry> Sq<S> {
    /// # Safety
    /// The memory must be of the ring that the parameters describe, and outlive the queue.
    pub unsafe fn new(memory: &Memory, params: &Params) -> Sq<S> {
        let off = &params.sq_off;
        // SAFETY: the offsets are of this memory.
        unsafe {
            let word = |offset| Word::at(memory.sq(), offset);
            let entries = word(off.ring_entries).get().load(Relaxed);
            if params.flags & setup::NO_SQARRAY == 0 {
                // Entries are used in order, so each index is its own.
                let array = memory.sq().add(off.array as usize).cast::<u32>();
                (0..entries).for_each(|i| array.add(i as usize).write(i));
            }
            let shared_tail = word(off.tail);
            // Only we store it: 0 in a new ring, and where it was in one of another size.
            let tail = shared_tail.get().load(Relaxed);
            let first = memory.sqes().cast::<S>();
            let next = first.add((tail & (entries - 1)) as usize);
            Sq {
                next,
                stop: next,
                origin: (next.as_ptr() as usize).wrapping_sub(tail as usize * size_of::<S>()),
                shared_head: word(off.head),
                shared_tail,
                flags: word(off.flags),
                dropped: word(off.dropped),
                first,
                entries,
            }
        }
    }

    /// Takes an entry; `false` where there is no room.
    #[inline(always)]
    pub fn push(&mut self, entry: S) -> bool {
        if self.next == self.stop && !self.go_on() {
            return false;
        }
        // SAFETY: before the stop, so in the memory, and the other side is through with the place.
        unsafe {
            self.next.write(entry);
            self.next = self.next.add(1);
        }
        true
    }

    /// Where entries may go now: from the first place up to the second.
    #[inline(always)]
    pub fn room_at_hand(&self) -> (NonNull<S>, NonNull<S>) {
        (self.next, self.stop)
    }

    /// The places before `next` were filled.
    ///
    /// # Safety
    /// They were at hand, and are.
    #[inline(always)]
    pub unsafe fn filled_to(&mut self, next: NonNull<S>) {
        self.next = next;
    }

    /// Finds room at the stop; `false` where there is none.
    #[cold]
    pub fn go_on(&mut self) -> bool {
        // Acquire pairs with the other side's Release of the head: it has read the entries.
        let head = self.shared_head.get().load(Acquire);
        let tail = self.tail();
        let taken = tail.wrapping_sub(head).min(self.entries);
        // SAFETY: the end of the memory, and what lies between it and a place in it.
        unsafe {
            let end = self.first.add(self.entries as usize);
            if self.next == end {
                self.next = self.first;
                let bytes = self.entries as usize * size_of::<S>();
                self.origin = self.origin.wrapping_sub(bytes);
            }
            let left = end.offset_from_unsigned(self.next);
            self.stop = self.next.add(left.min((self.entries - taken) as usize));
        }
        self.next != self.stop
    }

    #[inline(always)]
    fn tail(&self) -> u32 {
        self.tail_at(self.next)
    }

    /// The tail when `next` is where the next entry goes.
    #[inline(always)]
    fn tail_at(&self, next: NonNull<S>) -> u32 {
        ((next.as_ptr() as usize).wrapping_sub(self.origin) / size_of::<S>()) as u32
    }

    /// Shows the other side what was added; how much it has yet to take.
    #[inline(always)]
    pub fn publish(&self) -> u32 {
        let tail = self.tail();
        // Release pairs with the other side's Acquire of the tail (a polling thread's; a call is a
        // barrier by itself): the entries are written.
        self.shared_tail.get().store(tail, Release);
        self.not_taken(tail)
    }

    /// How many entries the other side has not taken.
    pub fn len(&self) -> u32 {
        self.len_at(self.next)
    }

    /// The same, when `next` is where the next entry goes.
    pub fn len_at(&self, next: NonNull<S>) -> u32 {
        self.not_taken(self.tail_at(next))
    }

    #[inline(always)]
    fn not_taken(&self, tail: u32) -> u32 {
        // Only a number: what the head says of the entries' memory is learnt in `go_on`.
        tail.wrapping_sub(self.shared_head.get().load(Relaxed))
    }

    /// Whether the other side has taken all that was published.
    #[cfg(feature = "std")]
    pub fn is_taken(&self) -> bool {
        self.shared_tail.get().load(Relaxed) == self.shared_head.get().load(Relaxed)
    }

    /// How many entries there is room for.
    pub fn room(&self) -> u32 {
        self.entries - self.len().min(self.entries)
    }

    /// Whether the next entry goes to the last place, behind which there is none side by side.
    pub fn is_at_last_place(&self) -> bool {
        self.tail() & (self.entries - 1) == self.entries - 1
    }

    /// How many entries it holds.
    pub fn capacity(&self) -> u32 {
        self.entries
    }

    /// How many entries the other side found to be invalid, by their index.
    pub fn dropped(&self) -> u32 {
        self.dropped.get().load(Relaxed)
    }

    /// Completions are waiting that only a call brings into the queue.
    #[inline(always)]
    pub fn holds_completions_back(&self) -> bool {
        // A hint; the call that follows is the barrier.
        self.flags.get().load(Relaxed) & (sq_flags::CQ_OVERFLOW | sq_flags::TASKRUN) != 0
    }

    /// Whether the polling thread must be woken for what was published.
    pub fn thread_sleeps(&self) -> bool {
        // The thread says that it goes to sleep, and then looks at the tail once more; the tail
        // was stored, and then we look at what it said: with a full fence on both sides, one of the
        // two sees the other.
        fence(SeqCst);
        self.flags.get().load(Relaxed) & sq_flags::NEED_WAKEUP != 0
    }
}

/// The completion queue: the other side adds, we take.
pub struct Cq<C: CqEntry> {
    shared_head: Word,
    shared_tail: Word,
    first: NonNull<C::Slot>,
    mask: u32,
    overflow: Word,
    /// None before Linux 5.8.
    flags: Option<Word>,
}

impl<C: CqEntry> Cq<C> {
    /// # Safety
    /// The memory must be of the ring that the parameters describe, and outlive the queue.
    pub unsafe fn new(memory: &Memory, params: &Params) -> Cq<C> {
        let off = &params.cq_off;
        // SAFETY: the offsets are of this memory.
        unsafe {
            let word = |offset| Word::at(memory.cq(), offset);
            Cq {
                shared_head: word(off.head),
                shared_tail: word(off.tail),
                first: memory.cq().add(off.cqes as usize).cast(),
                mask: word(off.ring_mask).get().load(Relaxed),
                overflow: word(off.overflow),
                flags: (off.flags != 0).then(|| word(off.flags)),
            }
        }
    }

    /// The index of the first completion.
    #[inline(always)]
    pub fn head(&self) -> u32 {
        // Only we store it.
        self.shared_head.get().load(Relaxed)
    }

    /// The index behind the last completion.
    #[inline(always)]
    pub fn tail(&self) -> u32 {
        // Acquire pairs with the other side's Release of the tail: the completions are written.
        self.shared_tail.get().load(Acquire)
    }

    /// The completion at an index.
    ///
    /// # Safety
    /// The index must lie between head and tail.
    #[inline(always)]
    pub unsafe fn at(&self, index: u32) -> C {
        // SAFETY: masked, so in the mapping, as is what belongs to it; written before the tail was, and
        // left alone by the other side until the head passes it.
        unsafe { C::read(self.first.add((index & self.mask) as usize).as_ptr()) }
    }

    /// Gives the places before `head` back.
    #[inline(always)]
    pub fn take_until(&mut self, head: u32) {
        // Release pairs with the other side's Acquire of the head: we have read the completions.
        self.shared_head.get().store(head, Release);
    }

    /// How many completions were lost.
    pub fn overflow(&self) -> u32 {
        self.overflow.get().load(Relaxed)
    }

    /// Whether the eventfd of the ring is told of completions; `false` where that cannot be chosen.
    pub fn tell_eventfd(&self, tell: bool) -> bool {
        let Some(flags) = &self.flags else { return false };
        // Only we change the word, and each change is whole: nothing else is published by it.
        let bits = flags.get().load(Relaxed);
        let disabled = cq_flags::EVENTFD_DISABLED;
        flags.get().store(if tell { bits & !disabled } else { bits | disabled }, Relaxed);
        true
    }
}
