//! What is known of a call, by which it is tried, handed on and kept.

use crate::native::{Attempt, Call};

/// How a call may be tried.
#[derive(Clone, Copy, Debug)]
pub enum How {
    /// Never waits for others, nor for a device.
    Inline,
    /// Mostly answered from a cache: made at once.
    Cached,
    /// About the calling thread: made by it, at once, and by no other.
    Own,
    /// Has a form that does not block, or a readiness to ask for; which, and what follows.
    Attempt(fn(&Call, bool) -> Attempt, &'static str),
    /// Waits for a device.
    Worker,
    /// Waits for others, and has no form that does not.
    Sleeper,
    /// Makes no sense on another thread or later, or changes the thread that makes it.
    Refused,
    /// Has no row.
    Unknown,
}

/// What is copied when a call outlives its submitter; the rest stays its submitter's to keep.
#[derive(Clone, Copy, Debug)]
pub enum Keep {
    /// A path, in this argument.
    Path(usize),
    /// A structure of so many bytes.
    Structure(usize, usize),
    /// A structure as long as another argument says.
    Sized(usize, usize),
    /// A vector of buffers, with as many members as another argument says.
    Vector(usize, usize),
    /// A message's header and its vector.
    Message(usize),
}

impl Keep {
    /// The argument that is copied.
    #[must_use]
    pub fn argument(self) -> usize {
        match self {
            Keep::Path(at)
            | Keep::Structure(at, _)
            | Keep::Sized(at, _)
            | Keep::Vector(at, _)
            | Keep::Message(at) => at,
        }
    }
}

/// What changes when a transfer has moved in part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moves {
    /// Nothing: it does not move in part.
    Nothing,
    /// A buffer in the second argument, its length in the third.
    Flat,
    /// The same, and an offset in the fourth.
    FlatAt,
    /// A vector in the second argument, its length in the third.
    Vector,
    /// The same, and an offset in the fourth.
    VectorAt,
    /// A message's vector.
    Message,
}

/// No argument.
pub const NONE: usize = usize::MAX;

/// What is known of a call.
#[derive(Debug)]
pub struct Row {
    /// How it may be tried.
    pub how: How,
    /// As the field calls it.
    pub name: &'static str,
    /// The argument that is a descriptor: it is kept open for a pending call, and is what is waited
    /// for.
    pub fd: usize,
    /// What is copied when it outlives its submitter.
    pub keeps: &'static [Keep],
    /// What changes when it has moved in part.
    pub moves: Moves,
    /// What else is to be known, for the table in the documentation.
    pub note: &'static str,
}
