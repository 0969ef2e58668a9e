//! Open directories, and how many of them there may be.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use sysring_sys::raw::general as g;
use sysring_sys::{Fd, call};

/// Directories that are open at this moment, of all walks of the process.
static OPEN: AtomicUsize = AtomicUsize::new(0);

/// A directory that is kept open, to find what is in it.
#[derive(Debug)]
pub struct Handle(Fd);

impl Handle {
    pub fn new(fd: Fd) -> Handle {
        OPEN.fetch_add(1, Relaxed);
        Handle(fd)
    }

    pub fn fd(&self) -> Fd {
        self.0
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Relaxed);
        // Nothing was written; there is nothing to lose.
        let _ = call::close(self.0);
    }
}

/// How many directories may be kept open until their children are.
pub struct Allowance(usize);

/// What each thread may have open at a time: a directory, and two on the way to its parent.
const FOR_A_THREAD: usize = 3;
/// What the process has open besides.
const OTHERS: usize = 16;

impl Allowance {
    /// What the limit on open files leaves when so many threads work.
    pub fn new(threads: usize) -> Allowance {
        let taken = FOR_A_THREAD * threads + OTHERS;
        Allowance(limit().saturating_sub(taken).min(1 << 14))
    }

    /// How many threads there may be.
    pub fn threads() -> usize {
        limit().saturating_sub(OTHERS) / FOR_A_THREAD
    }

    /// Whether one more may stay open. That others ask at the same moment does no harm: each of
    /// them has room for its own.
    pub fn has_room(&self) -> bool {
        OPEN.load(Relaxed) < self.0
    }
}

fn limit() -> usize {
    usize::try_from(call::soft_limit(g::RLIMIT_NOFILE)).unwrap_or(usize::MAX)
}
