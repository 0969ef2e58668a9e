//! What became of a call.

use sysring_engine::native;
use sysring_events::Seen;
use sysring_events::attr::{self, Answers, Attribute};
use sysring_sys::{Errno, Result};

use super::Calls;

/// A pending call, as long as it is pending.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Id(u64);

impl Id {
    /// The number, as a C program sees it.
    #[must_use]
    pub fn raw(self) -> u64 {
        self.0
    }
}

/// What became of a call when it was issued.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Issued {
    /// It did not block: what it answered.
    Done(Result<usize>),
    /// It goes on elsewhere, and its answer will carry this id.
    Pending(Id),
}

impl Issued {
    #[inline]
    pub(super) fn from_native(issued: native::Issued) -> Issued {
        match issued {
            native::Issued::Done(answer) => Issued::Done(Errno::from_ret(answer)),
            native::Issued::Pending(id) => Issued::Pending(Id(id)),
        }
    }
}

/// The answer of a call that was pending.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    id: u64,
    result: i64,
    answers: Answers<'static>,
}

impl Event {
    pub(super) fn of(seen: Seen<'_>) -> Event {
        let answers = seen.answers();
        Event { id: seen.id(), result: seen.result(), answers }
    }

    /// Which call it was.
    #[must_use]
    pub fn id(&self) -> Id {
        Id(self.id)
    }

    /// What the call was given along; 0 if nothing was. It is the event's trace id: one that is asked
    /// for as an attribute takes its place.
    #[must_use]
    pub fn user_data(&self) -> u64 {
        self.attr::<attr::Trace>().map_or(0, |trace| trace.0)
    }

    /// What it answered.
    ///
    /// # Errors
    /// The call's own; `ECANCELED`: it was cancelled.
    pub fn result(&self) -> Result<usize> {
        Errno::from_ret(self.result as isize)
    }

    /// The value of an attribute; nothing if it was not handled.
    #[must_use]
    pub fn attr<A: Attribute>(&self) -> Option<A> {
        self.answers.get()
    }

    /// What the handler of an extension answered.
    #[must_use]
    pub fn extension(&self, number: u32) -> Option<u64> {
        self.answers.extension(number)
    }

    /// Which attributes were handled, by mask.
    #[must_use]
    pub fn handled(&self) -> u64 {
        self.answers.handled()
    }
}

/// The answers that are there, oldest first.
#[derive(Debug)]
pub struct Events<'c, 'm> {
    calls: &'c Calls<'m>,
}

impl<'c, 'm> Events<'c, 'm> {
    pub(super) fn of(calls: &'c Calls<'m>) -> Events<'c, 'm> {
        Events { calls }
    }
}

impl Iterator for Events<'_, '_> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.calls.next()
    }
}
