//! Provided buffers: groups of them, from which a request takes one when it has something to put
//! there, and not before.
//!
//! A group is either a pile that operations fill (PROVIDE_BUFFERS), or a ring in memory shared with
//! the application, which fills it without a call (`REGISTER_PBUF_RING`). Under the ring's lock.

mod pile;
mod ring;
mod take;

use core::ptr::NonNull;

use sysring_sys::{Errno, Result};

use crate::memory;
use crate::region::Region;
use pile::Pile;
use ring::BufRing;

pub use pile::Run;
pub use ring::Shape;
pub use take::Bundle;

/// A buffer that a request has taken.
#[derive(Clone, Copy, Debug, Default)]
pub struct Taken {
    pub address: u64,
    pub len: u32,
    pub id: u16,
    /// Its ring counts it as used already: a worker has it, part of it is filled, or it is sent.
    pub consumed: bool,
    /// A part of it was not, and is left in its ring.
    pub more: bool,
}

impl Taken {
    /// None.
    pub const NONE: Taken = Taken { address: 0, len: 0, id: 0, consumed: false, more: false };
}

/// All groups of a ring.
#[derive(Debug)]
pub struct Groups {
    first: Option<NonNull<Group>>,
}

#[derive(Debug)]
struct Group {
    next: Option<NonNull<Group>>,
    id: u16,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Pile(Pile),
    Ring(BufRing),
}

impl Default for Groups {
    fn default() -> Self {
        Self::new()
    }
}

impl Groups {
    pub const fn new() -> Groups {
        Groups { first: None }
    }

    /// The group with this number, which moves to the front: a ring mostly has one in use.
    fn find(&mut self, id: u16) -> Option<&mut Group> {
        let mut before: Option<NonNull<Group>> = None;
        let mut at = self.first?;
        loop {
            // SAFETY: listed groups are alive, and only reached through `self`.
            let group = unsafe { at.as_mut() };
            if group.id == id {
                if let Some(mut before) = before {
                    // SAFETY: a listed group, alive and only reached through `self`; another than
                    // `group`.
                    unsafe { before.as_mut() }.next = group.next;
                    group.next = self.first;
                    self.first = Some(at);
                }
                return Some(group);
            }
            before = Some(at);
            at = group.next?;
        }
    }

    fn add(&mut self, id: u16, source: Source) -> Result<()> {
        let block = memory::allocate(size_of::<Group>())?.cast::<Group>();
        // SAFETY: just allocated, large and aligned enough, and nobody else's.
        unsafe { block.write(Group { next: self.first, id, source }) };
        self.first = Some(block);
        Ok(())
    }

    /// Takes a group out of the list and drops it.
    fn remove(&mut self, id: u16) {
        if self.find(id).is_some()
            && let Some(front) = self.first
        {
            // SAFETY: `find` has put the group at the front; nobody keeps a reference to it.
            unsafe {
                let group = front.read();
                self.first = group.next;
                memory::release(front.cast(), size_of::<Group>());
                group.source.free();
            }
        }
    }

    /// Forgets all groups.
    pub fn clear(&mut self) {
        while let Some(front) = self.first {
            // SAFETY: listed groups are alive.
            let id = unsafe { front.as_ref() }.id;
            self.remove(id);
        }
    }

    /// PROVIDE_BUFFERS: of a run as many buffers as the group has room for.
    ///
    /// # Errors
    /// `EINVAL`: the group is a ring. `EOVERFLOW`: there is no room for any. `ENOMEM`.
    pub fn provide(&mut self, id: u16, mut run: Run) -> Result<()> {
        if self.find(id).is_none() {
            self.add(id, Source::Pile(Pile::default()))?;
        }
        let Source::Pile(pile) = &mut self.find(id).ok_or(Errno::ENOMEM)?.source else {
            return Err(Errno::EINVAL);
        };
        run.count = run.count.min(pile.room());
        if run.count == 0 {
            return Err(Errno::EOVERFLOW);
        }
        pile.push_back(run)
    }

    /// REMOVE_BUFFERS: how many were there to remove, at most `count`.
    ///
    /// # Errors
    /// `ENOENT`: no such group. `EINVAL`: it is a ring.
    pub fn remove_buffers(&mut self, id: u16, count: u32) -> Result<usize> {
        let group = self.find(id).ok_or(Errno::ENOENT)?;
        let Source::Pile(pile) = &mut group.source else { return Err(Errno::EINVAL) };
        let mut removed = 0;
        while removed < count && pile.pop().is_some() {
            removed += 1;
        }
        Ok(removed as usize)
    }

    /// `REGISTER_PBUF_RING`.
    ///
    /// # Errors
    /// `EEXIST`: the group has buffers, or is a ring. `ENOMEM`.
    pub fn register_ring(&mut self, id: u16, shape: &Shape) -> Result<()> {
        match self.find(id).map(|group| &group.source) {
            None => {}
            Some(Source::Pile(pile)) if pile.is_empty() => self.remove(id),
            Some(_) => return Err(Errno::EEXIST),
        }
        let ring = BufRing::new(id, shape)?;
        self.add(id, Source::Ring(ring))
    }

    /// `UNREGISTER_PBUF_RING`.
    ///
    /// # Errors
    /// `ENOENT`: no such group. `EINVAL`: not a ring.
    pub fn unregister_ring(&mut self, id: u16) -> Result<()> {
        match self.find(id).ok_or(Errno::ENOENT)?.source {
            Source::Pile(_) => Err(Errno::EINVAL),
            Source::Ring(_) => {
                self.remove(id);
                Ok(())
            }
        }
    }

    /// How far a ring has been used.
    ///
    /// # Errors
    /// As `unregister_ring`.
    pub fn head(&mut self, id: u16) -> Result<u16> {
        match &self.find(id).ok_or(Errno::ENOENT)?.source {
            Source::Pile(_) => Err(Errno::EINVAL),
            Source::Ring(ring) => Ok(ring.head),
        }
    }

    /// The memory of a ring that the application is to map.
    #[must_use]
    pub fn mapping(&mut self, id: u16) -> Option<&Region> {
        match &self.find(id)?.source {
            Source::Pile(_) => None,
            Source::Ring(ring) => ring.mapping(),
        }
    }
}

impl Source {
    fn free(self) {
        if let Source::Pile(mut pile) = self {
            pile.clear();
        }
    }
}
