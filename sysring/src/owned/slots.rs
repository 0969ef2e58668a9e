//! The operations under way: what they lend the kernel, what has come of them, who waits.
//!
//! Nothing here speaks to a ring; completions are told to it. Code of others (wakers, destructors)
//! is never run here, for the caller holds a lock: it is handed back as an [`After`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use super::request::{Completion, Lent, Many, Once};

/// An operation's name, and the `user_data` of its entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key {
    index: u32,
    /// Slots are used again, and a late request to cancel must not meet their next user.
    generation: u32,
}

impl Key {
    /// `user_data` of entries whose completion nobody asked for. No key's: there would have to be
    /// 2^32 operations under way.
    pub const NOBODY: u64 = u64::MAX;

    pub fn user_data(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    fn of(user_data: u64) -> Key {
        Key { index: user_data as u32, generation: (user_data >> 32) as u32 }
    }
}

/// What is left to do when the lock is given back.
pub(super) enum After {
    Wake(Waker),
    Abandoned(Box<dyn Once>, Completion),
    Discard(Arc<dyn Many>, Completion),
    /// Its destructor may be anybody's.
    Drop(Waker),
}

impl After {
    pub fn run(self) {
        match self {
            After::Wake(waker) => waker.wake(),
            After::Abandoned(request, completion) => request.abandoned(completion),
            After::Discard(request, completion) => request.discard(completion),
            After::Drop(waker) => drop(waker),
        }
    }
}

#[derive(Default)]
pub(super) struct Slots {
    entries: Vec<Entry>,
    free: Vec<u32>,
    under_way: usize,
}

struct Entry {
    generation: u32,
    slot: Option<Slot>,
}

struct Slot {
    request: Lease,
    /// The kernel has let go of the memory.
    over: bool,
    /// The handle was dropped.
    abandoned: bool,
    waker: Option<Waker>,
}

/// What the kernel was lent, and what has come of it.
pub(super) enum Lease {
    Once(Lent, Option<Completion>),
    Many(Arc<dyn Many>, VecDeque<Completion>),
}

/// What there is of a multishot.
pub(super) enum Next {
    Item(Completion),
    NotYet,
    Over,
}

impl Slots {
    /// Operations that the kernel has not ended.
    pub fn under_way(&self) -> usize {
        self.under_way
    }

    pub fn begin(&mut self, request: Lease) -> Key {
        let index = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry { generation: 0, slot: None });
            (self.entries.len() - 1) as u32
        });
        let entry = &mut self.entries[index as usize];
        entry.slot = Some(Slot { request, over: false, abandoned: false, waker: None });
        self.under_way += 1;
        Key { index, generation: entry.generation }
    }

    /// Completions are told by the kernel; the engine's and ours are trusted to be for entries of
    /// ours, once and in order, but a stray one meets nobody.
    fn get(&mut self, key: Key) -> Option<&mut Slot> {
        let entry = self.entries.get_mut(key.index as usize)?;
        if entry.generation != key.generation {
            return None;
        }
        entry.slot.as_mut()
    }

    fn end(&mut self, key: Key) -> Option<Slot> {
        let slot = self.entries[key.index as usize].slot.take();
        let entry = &mut self.entries[key.index as usize];
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(key.index);
        slot
    }

    /// A completion has arrived. `more` says that others will, `notification` that this one only
    /// tells that a buffer is free again.
    pub fn arrive(
        &mut self,
        user_data: u64,
        completion: Completion,
        more: bool,
        notification: bool,
    ) -> Option<After> {
        let key = Key::of(user_data);
        if !more && self.get(key).is_some_and(|slot| !slot.over) {
            self.under_way -= 1;
        }
        let slot = self.get(key)?;
        slot.over = !more;
        match &mut slot.request {
            Lease::Once(_, result) => {
                if !notification {
                    *result = Some(completion);
                }
                if slot.abandoned && !more {
                    let (request, end) = self.finish(key)?;
                    return Some(After::Abandoned(request, end));
                }
            }
            Lease::Many(request, _) if slot.abandoned => {
                let after = After::Discard(Arc::clone(request), completion);
                if !more {
                    self.end(key);
                }
                return Some(after);
            }
            Lease::Many(_, arrived) => arrived.push_back(completion),
        }
        slot.waker.take().map(After::Wake)
    }

    /// Takes back a request that has ended.
    pub fn finish(&mut self, key: Key) -> Option<(Box<dyn Once>, Completion)> {
        if !self.get(key)?.over {
            return None;
        }
        match self.end(key)?.request {
            // SAFETY: its last completion has arrived: the kernel has let go of it.
            Lease::Once(lent, result) => Some((unsafe { lent.take_back() }, result?)),
            Lease::Many(..) => unreachable!("a multishot was begun where a request ends"),
        }
    }

    /// The result of a request, which may be known before it has ended.
    pub fn result(&mut self, key: Key) -> Option<Completion> {
        match self.get(key)?.request {
            Lease::Once(_, result) => result,
            Lease::Many(..) => None,
        }
    }

    pub fn is_over(&mut self, key: Key) -> bool {
        self.get(key).is_none_or(|slot| slot.over)
    }

    /// The next item of a multishot.
    pub fn next(&mut self, key: Key) -> Next {
        let Some(slot) = self.get(key) else { return Next::Over };
        let Lease::Many(_, arrived) = &mut slot.request else { return Next::Over };
        match arrived.pop_front() {
            Some(completion) => Next::Item(completion),
            None if slot.over => {
                self.end(key);
                Next::Over
            }
            None => Next::NotYet,
        }
    }

    /// Whom to wake when something arrives. Gives back the waker from before, to be dropped.
    #[must_use]
    pub fn wake_by(&mut self, key: Key, waker: &Waker) -> Option<Waker> {
        let slot = self.get(key)?;
        match &slot.waker {
            Some(known) if known.will_wake(waker) => None,
            _ => slot.waker.replace(waker.clone()),
        }
    }

    /// The handle is dropped. Answers whether the kernel still has to end the operation, and puts
    /// what has arrived already into `afters`.
    #[must_use]
    pub fn abandon(&mut self, key: Key, afters: &mut Vec<After>) -> bool {
        let Some(slot) = self.get(key) else { return false };
        slot.abandoned = true;
        afters.extend(slot.waker.take().map(After::Drop));
        let over = slot.over;
        match &mut slot.request {
            Lease::Many(request, arrived) => {
                let left = arrived.drain(..);
                afters.extend(left.map(|left| After::Discard(Arc::clone(request), left)));
                if over {
                    self.end(key);
                }
            }
            Lease::Once(..) if over => {
                let ended = self.finish(key);
                afters.extend(ended.map(|(request, end)| After::Abandoned(request, end)));
            }
            Lease::Once(..) => {}
        }
        !over
    }
}

impl Drop for Slots {
    /// What the kernel still has is leaked: requests by themselves, multishots here.
    fn drop(&mut self) {
        for slot in self.entries.drain(..).filter_map(|entry| entry.slot) {
            if let (false, Lease::Many(request, _)) = (slot.over, slot.request) {
                std::mem::forget(request);
            }
        }
    }
}

#[cfg(test)]
mod tests;
