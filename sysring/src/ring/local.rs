//! A ring of one thread.

use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::time::Duration;

use sysring_door as door;
use sysring_sys::abi::io_uring::{RsrcUpdate, enter, register as regs};
use sysring_sys::{Errno, User};

use super::handle::{Handle, Way};
use super::{CqEntry, Cqe, Ring, SqEntry, Sqe, Wait};

/// A ring whose calls name it by an index of this thread's, which spares the look-up of its
/// descriptor: [`Ring::enter_by_index`].
///
/// It is a [`Ring`] in all else. To another thread it cannot go, for the index is known to this one
/// alone; [`into_ring`](LocalRing::into_ring) makes it one that can.
///
/// ```compile_fail,E0277
/// let ring = sysring::Ring::new(8).unwrap().enter_by_index();
/// std::thread::spawn(move || ring.report().is_kernel());
/// ```
pub struct LocalRing<S: SqEntry = Sqe, C: CqEntry = Cqe> {
    /// Goes first.
    index: Index,
    ring: Ring<S, C>,
}

/// A place in the thread's table of rings, given back when it is dropped.
struct Index {
    of: Way,
    /// The ring, by [`Handle::id`].
    ring: u64,
    at: Result<u32, Errno>,
    here: PhantomData<*mut ()>,
}

impl Index {
    fn new(ring: &Handle) -> Index {
        // Any index will do.
        let mut entry = RsrcUpdate { offset: u32::MAX, resv: 0, data: ring.fd.raw() as u64 };
        let answer = ring.register(regs::RING_FDS, User::of(&raw mut entry).cast(), 1);
        Index { of: ring.way(), ring: ring.id, at: answer.map(|_| entry.offset), here: PhantomData }
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        if let Ok(offset) = self.at {
            let mut entry = RsrcUpdate { offset, ..RsrcUpdate::default() };
            let address = User::of(&raw mut entry).cast();
            let (serves, fd) = (self.of.serves, self.of.number);
            let _ = door::register(serves, fd, regs::UNREGISTER_RING_FDS, address, 1);
        }
    }
}

impl<S: SqEntry, C: CqEntry> LocalRing<S, C> {
    pub(super) fn new(ring: Ring<S, C>) -> LocalRing<S, C> {
        LocalRing { index: Index::new(&ring.handle), ring }
    }

    /// The index. Where there is none, the calls name the ring by its descriptor.
    ///
    /// # Errors
    /// - `EBUSY`: the thread has 16 such rings.
    /// - `EINVAL` before Linux 5.18.
    /// - `ENOMEM`: out of memory.
    pub fn index(&self) -> Result<u32, Errno> {
        self.index.at
    }

    /// The ring, which may go to other threads.
    #[must_use]
    pub fn into_ring(self) -> Ring<S, C> {
        self.ring
    }

    #[inline(always)]
    fn way(&self) -> Way {
        let by_descriptor = self.ring.handle.way();
        match self.index.at {
            // Through `&mut` there may be another ring by now, with the same number even.
            Ok(index) if self.index.ring == self.ring.handle.id => {
                Way { number: index as i32, flags: enter::REGISTERED_RING, ..by_descriptor }
            }
            _ => by_descriptor,
        }
    }

    /// As [`Ring::submit`].
    ///
    /// # Errors
    /// Its.
    #[inline(always)]
    pub fn submit(&mut self) -> Result<u32, Errno> {
        self.submit_and_wait(0)
    }

    /// As [`Ring::submit_and_wait`].
    ///
    /// # Errors
    /// Its.
    #[inline(always)]
    pub fn submit_and_wait(&mut self, want: u32) -> Result<u32, Errno> {
        self.ring.submit_by(self.way(), want)
    }

    /// As [`Ring::submit_and_wait_timeout`].
    ///
    /// # Errors
    /// Its.
    pub fn submit_and_wait_timeout(&mut self, want: u32, span: Duration) -> Result<u32, Errno> {
        self.submit_with(&Wait::at_least(want).timeout(span))
    }

    /// As [`Ring::submit_with`].
    ///
    /// # Errors
    /// Its.
    pub fn submit_with(&mut self, wait: &Wait) -> Result<u32, Errno> {
        self.ring.submit_with_by(self.way(), wait)
    }

    /// As [`Ring::wait`].
    ///
    /// # Errors
    /// Its.
    pub fn wait(&self, wait: &Wait) -> Result<(), Errno> {
        self.ring.wait_by(self.way(), wait)
    }
}

impl<S: SqEntry, C: CqEntry> Deref for LocalRing<S, C> {
    type Target = Ring<S, C>;

    fn deref(&self) -> &Ring<S, C> {
        &self.ring
    }
}

impl<S: SqEntry, C: CqEntry> DerefMut for LocalRing<S, C> {
    fn deref_mut(&mut self) -> &mut Ring<S, C> {
        &mut self.ring
    }
}

impl<S: SqEntry, C: CqEntry> fmt::Debug for LocalRing<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalRing")
            .field("index", &self.index.at)
            .field("ring", &self.ring)
            .finish()
    }
}
