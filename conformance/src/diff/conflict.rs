//! What may run at the same time without a race.
//!
//! Requests that are not linked run in no promised order, so the generator lets two of them out
//! together only if neither changes what the other uses. The rules, by resource:
//!
//! - contents and position of a file, a name in the scratch folder, a descriptor's entry in its
//!   table: many may look, or one may change;
//! - a stream (pipe, socket, listener, counter) has one consumer and one producer at a time. A
//!   consumer that waits is met by one producer per batch, so that what it reads is whole;
//! - consumer and producer of one stream are in the same batch only where submission order
//!   settles who is first: single requests, neither `ASYNC` nor `DRAIN`;
//! - one request per batch cancels, removes or updates others;
//! - one request per batch wakes words: whether one that waits for several is woken by the second, too,
//!   depends on how soon it has left;
//! - what takes milliseconds, tens of thousands of buffers, is in no batch with a timeout;
//! - in a batch with a `CLOSE` nothing else uses the stream: the kernel lets go of a closed file when
//!   the submission is over, not when it says so;
//! - `DRAIN` stands only where everything ends by itself, and after it nothing waits any more:
//!   nothing would ever get past what waits, and Linux 6.18 may hold back requests after the
//!   drained one as well until everything before them has ended.

use std::collections::HashMap;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Resource {
    /// Contents and length of a file.
    Contents(usize),
    /// The position of an open file.
    Position(i32),
    /// The extended attributes of an open file.
    Attributes(i32),
    /// A descriptor's entry in the process's table.
    Descriptor(i32),
    /// The registered table.
    FixedTable,
    /// A name in the scratch folder.
    Name(usize),
    /// An address that sockets are bound to.
    Address(u64),
    /// Taking from a stream, and putting into it.
    Out(u32),
    In(u32),
    /// The set of requests that wait.
    Waiting,
    EpollSet,
    /// Waking words.
    Wakes,
    /// Memory that several requests may name.
    SharedMemory,
    /// A group of provided buffers.
    Group(u16),
    /// A child.
    Child(i32),
    /// The time that a submission takes: on the kernel what is complete is told at its end, and a
    /// timeout that was linked to it is due by then, if it took longer.
    Time,
}

/// Everything a group of linked requests, or a batch of groups, uses.
#[derive(Clone, Default, Debug)]
pub struct Claims {
    pub(super) uses: HashMap<Resource, (bool, u32)>,
    /// Some request is `ASYNC`, `DRAIN` or linked: submission order is not order of execution.
    pub(super) rough: bool,
    pub(super) drains: bool,
    /// Some request waits for others.
    pub(super) waits: bool,
    /// What stays in use when the batch is at rest.
    pub(super) stays: Vec<Resource>,
    /// Streams that are closed.
    pub(super) closes: Vec<u32>,
    /// A stream is used behind its own `CLOSE`.
    pub(super) closed_before_use: bool,
}

impl Resource {
    fn stream(self) -> Option<u32> {
        match self {
            Resource::In(stream) | Resource::Out(stream) => Some(stream),
            _ => None,
        }
    }
}

impl Claims {
    pub(super) fn streams(&self) -> impl Iterator<Item = u32> {
        self.uses.keys().filter_map(|used| used.stream())
    }

    pub(super) fn claim(&mut self, resource: Resource, changes: bool) {
        let entry = self.uses.entry(resource).or_insert((false, 0));
        entry.0 |= changes;
        entry.1 += 1;
    }

    /// Whether `other` may be in one batch with these.
    #[must_use]
    pub fn allows(&self, other: &Claims) -> bool {
        if (self.drains || other.drains) && (self.waits || other.waits) || other.closed_before_use {
            return false;
        }
        if other.streams().any(|stream| self.closes.contains(&stream))
            || self.streams().any(|stream| other.closes.contains(&stream))
        {
            return false;
        }
        other.uses.iter().all(|(resource, (changes, _))| {
            let clash = self.uses.get(resource).is_some_and(|(mine, _)| *mine || *changes);
            let opposite = match resource {
                Resource::In(stream) => Some(Resource::Out(*stream)),
                Resource::Out(stream) => Some(Resource::In(*stream)),
                _ => None,
            };
            let meets = opposite.is_some_and(|opposite| self.uses.contains_key(&opposite));
            !clash && !(meets && (self.rough || other.rough))
        })
    }

    /// Adds a group to a batch.
    pub fn add(&mut self, other: Claims) {
        for (resource, (changes, count)) in other.uses {
            let entry = self.uses.entry(resource).or_insert((false, 0));
            entry.0 |= changes;
            entry.1 += count;
        }
        self.rough |= other.rough;
        self.drains |= other.drains;
        self.waits |= other.waits;
        self.stays.extend(other.stays);
        self.closes.extend(other.closes);
    }
}

/// What requests of earlier batches may still use.
#[derive(Default)]
pub struct Held {
    resources: Vec<Resource>,
    any: bool,
    drained: bool,
}

impl Held {
    #[must_use]
    pub fn allows(&self, group: &Claims) -> bool {
        if (self.any && group.drains) || (self.drained && group.waits) {
            return false;
        }
        self.resources.iter().all(|held| {
            let opposite = match held {
                Resource::In(stream) => Some(Resource::Out(*stream)),
                Resource::Out(stream) => Some(Resource::In(*stream)),
                _ => None,
            };
            let met = opposite.and_then(|resource| group.uses.get(&resource));
            !group.uses.contains_key(held) && met.is_none_or(|(_, count)| *count <= 1)
        })
    }

    pub fn add(&mut self, batch: &Claims) {
        self.resources.extend(&batch.stays);
        self.any |= batch.waits;
        self.drained |= batch.drains;
    }
}
