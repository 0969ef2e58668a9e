//! What an attempt came to: the word between an operation, which tries, and the road, which knows what
//! follows.

use sysring_sys::{Fd, Result};

/// What an attempt came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Issued {
    /// Complete, with this result; negative fails the link.
    Done(i32),
    /// Complete, with result and flags in the request; `fail` was called if it failed.
    Set,
    /// Would block: try again when the file is ready for these events (`EPOLL*`).
    Wait(u32),
    /// Would block, or must be assumed to: a worker may.
    Work,
    /// Queued with kernel AIO.
    Aio,
    /// The operation keeps the request and completes it itself.
    Held,
}

impl Issued {
    /// The plain form of a system call's result.
    #[must_use]
    pub fn of<T: Into<Value>>(result: Result<T>) -> Issued {
        Issued::Done(res(result))
    }
}

/// A CQE's `res` from a system call's result.
#[must_use]
pub fn res<T: Into<Value>>(result: Result<T>) -> i32 {
    match result {
        Ok(value) => value.into().0,
        Err(e) => e.to_res(),
    }
}

/// What a call answers when it succeeds, as a CQE carries it.
pub struct Value(i32);

impl From<()> for Value {
    fn from((): ()) -> Value {
        Value(0)
    }
}

impl From<usize> for Value {
    fn from(n: usize) -> Value {
        // A transfer is at most MAX_RW_COUNT, which fits.
        Value(n as i32)
    }
}

impl From<Fd> for Value {
    fn from(fd: Fd) -> Value {
        Value(fd.raw())
    }
}
