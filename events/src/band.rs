//! One stretch of records, of which a ring has two: its own, and the overflow area.
//!
//! Head and tail count bytes and run freely through 32 bits; only the place in memory is masked.
//! Producers, who hold the ring's lock, write behind the tail and then move it. Consumers copy
//! from the head on and then move it by a compare-and-swap: what they copied is theirs if it
//! succeeds, and may have been overwritten meanwhile if not. Whoever dies leaves a record that is
//! published or not, taken or not, and nothing in between.

use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use sysring_sys::{Errno, Result};

use crate::atomic::{AtomicU32, AtomicU64, own, peek};
use crate::event::{self, Event};

/// The words of a band: in memory that is mapped twice, so that `index` may run into the second
/// half while a record is copied.
pub(crate) trait Words {
    fn word(&self, index: usize) -> &AtomicU64;
}

pub(crate) struct Band<'a, W> {
    pub head: &'a AtomicU64,
    pub tail: &'a AtomicU32,
    pub words: W,
    /// Bytes; a private copy, a power of two (or zero: no such band).
    pub size: u32,
}

/// What a consumer found, and still has to make its own.
#[derive(Clone, Copy)]
pub(crate) struct Found {
    head: u64,
    len: u32,
}

impl<W: Words> Band<'_, W> {
    /// The bytes in use, as a producer sees them.
    ///
    /// # Errors
    /// `EBADMSG`: the counts cannot be true.
    pub fn used(&self) -> Result<u32> {
        // Relaxed: what is read of a producer that is at it now is not used ([`crate::lock`]).
        let tail = self.tail.load(Relaxed);
        // Acquire pairs with the Release in `take`: what was there has been read before we reuse it.
        let head = self.head.load(Acquire) as u32;
        let used = tail.wrapping_sub(head);
        if used > self.size || !used.is_multiple_of(8) { Err(Errno::EBADMSG) } else { Ok(used) }
    }

    /// Writes an event behind the tail, where nobody looks yet; the caller holds the lock and has
    /// seen that there is room.
    pub fn write(&self, event: &Event<'_>) {
        let start = self.index(own(self.tail));
        for (i, word) in event.words().enumerate() {
            // Relaxed: `publish` releases it.
            self.words.word(start + i).store(word, Relaxed);
        }
    }

    /// Shows what was written.
    pub fn publish(&self, len: u32) {
        let tail = own(self.tail);
        // Release pairs with the Acquire in `bounds`: who sees the tail sees the record.
        self.tail.store(tail.wrapping_add(len), Release);
    }

    /// Head, with its generation, and tail. The head is read first: then what lies between was
    /// published, even if it has been taken since.
    pub fn bounds(&self) -> (u64, u32) {
        let head = peek(self.head, Acquire);
        (head, self.tail.load(Acquire))
    }

    /// Copies whole records into `into`: as many as fit, or one.
    ///
    /// # Errors
    /// `EMSGSIZE`: not even one does. `EBADMSG`: they are not records, unless others were faster:
    /// [`Band::is_still`] tells.
    pub fn copy(&self, (head, tail): (u64, u32), into: &mut [u64], one: bool) -> Result<Found> {
        let available = tail.wrapping_sub(head as u32);
        if available > self.size || !(head as u32).is_multiple_of(8) {
            return Err(Errno::EBADMSG);
        }
        let mut done = 0;
        while done < available {
            let start = self.index((head as u32).wrapping_add(done));
            let first = self.words.word(start).load(Relaxed);
            let len = event::len_of(first);
            if !event::is_len(len) || len > available - done {
                return Err(Errno::EBADMSG);
            }
            let from = done as usize / 8;
            let Some(room) = into.get_mut(from..from + len as usize / 8) else {
                if done == 0 {
                    return Err(Errno::EMSGSIZE);
                }
                break;
            };
            room[0] = first;
            for (i, word) in room.iter_mut().enumerate().skip(1) {
                *word = self.words.word(start + i).load(Relaxed);
            }
            done += len;
            if one {
                break;
            }
        }
        Ok(Found { head, len: done })
    }

    /// Makes what was copied the caller's; the bytes, or nothing if others were faster.
    pub fn take(&self, found: Found) -> Option<usize> {
        let head = (found.head as u32).wrapping_add(found.len);
        let generation = (found.head >> 32).wrapping_add(1) << 32;
        // Release pairs with the Acquire in `used`: our copy is made before a producer may write
        // there. Acquire orders us behind the consumer before us.
        self.head
            .compare_exchange(found.head, generation | u64::from(head), AcqRel, Relaxed)
            .is_ok()
            .then_some(found.len as usize)
    }

    /// Whether nobody has taken anything since `bounds`. A compare-and-swap, because a load could
    /// be answered with the past.
    pub fn is_still(&self, (head, _): (u64, u32)) -> bool {
        self.head.compare_exchange(head, head, AcqRel, Relaxed).is_ok()
    }

    fn index(&self, count: u32) -> usize {
        (count & (self.size - 1)) as usize / 8
    }
}
