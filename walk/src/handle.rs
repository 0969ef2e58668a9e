//! Open directories, and how many of them there may be.

use sysring_sys::raw::general as g;
use sysring_sys::{Fd, call};

/// A directory that is kept open, to find what is in it.
#[derive(Debug)]
pub struct Handle(Fd);

impl Handle {
    pub fn new(fd: Fd) -> Handle {
        Handle(fd)
    }

    pub fn fd(&self) -> Fd {
        self.0
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // Nothing was written; there is nothing to lose.
        let _ = call::close(self.0);
    }
}

/// Which directories may be kept open until their children are.
pub struct Allowance {
    below: usize,
}

/// What each thread may have open at a time: a directory, and two on the way to its parent.
const FOR_A_THREAD: usize = 3;
/// What the process has open besides.
const OTHERS: usize = 16;

impl Allowance {
    /// What the limit on open files leaves when so many threads work.
    pub fn new(threads: usize) -> Allowance {
        Allowance { below: limit().saturating_sub(FOR_A_THREAD * threads + OTHERS) }
    }

    /// How many threads there may be.
    pub fn threads() -> usize {
        limit().saturating_sub(OTHERS) / FOR_A_THREAD
    }

    /// Whether this one may stay open. Descriptors are numbered from the lowest that is free: its
    /// number says how many there are, and no threads have to count together.
    pub fn covers(&self, handle: &Handle) -> bool {
        usize::try_from(handle.fd().raw()).is_ok_and(|number| number < self.below)
    }
}

fn limit() -> usize {
    usize::try_from(call::soft_limit(g::RLIMIT_NOFILE)).unwrap_or(usize::MAX)
}
