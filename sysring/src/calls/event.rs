//! What became of a call.

use sysring_engine::native;
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
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event(native::Event);

impl Event {
    pub(super) fn from_native(event: native::Event) -> Event {
        Event(event)
    }

    /// Which call it was.
    #[must_use]
    pub fn id(&self) -> Id {
        Id(self.0.id)
    }

    /// What the call was given along.
    #[must_use]
    pub fn user_data(&self) -> u64 {
        self.0.user_data
    }

    /// What it answered.
    ///
    /// # Errors
    /// The call's own; `ECANCELED`: it was cancelled.
    pub fn result(&self) -> Result<usize> {
        Errno::from_ret(self.0.result as isize)
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
