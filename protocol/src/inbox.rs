//! What threads hand in to whoever holds a lock.
//!
//! A worker that has finished does not wait for the ring's lock: it leaves the request here, and
//! takes the lock only if that is free. Whoever holds it takes what is here before letting go, and
//! looks once more after.

use core::ptr::NonNull;
use core::{marker::PhantomData, ptr};

use crate::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use crate::atomic::{AtomicPtr, RawLock, fence};

/// A handle on something with a place for another handle of the kind in it.
///
/// # Safety
/// `of(ptr)` is the handle whose `ptr` it was, and what it names stays while it is in an inbox.
pub unsafe trait Handle: Copy {
    /// What is named.
    type Node;

    /// The handle's address.
    fn ptr(self) -> NonNull<Self::Node>;

    /// # Safety
    /// The address is that of a handle, of which the caller may make use.
    unsafe fn of(ptr: NonNull<Self::Node>) -> Self;

    /// The handle in it.
    fn next(self) -> Option<Self>;

    /// Puts another there.
    fn set_next(self, next: Option<Self>);
}

/// A stack of handles that any thread adds to.
#[derive(Debug)]
pub struct Inbox<H: Handle> {
    newest: AtomicPtr<H::Node>,
    handles: PhantomData<H>,
}

// SAFETY: a handle goes from the thread that puts it in to the one that takes it out.
unsafe impl<H: Handle + Send> Sync for Inbox<H> {}

impl<H: Handle> Default for Inbox<H> {
    fn default() -> Self {
        Self::new()
    }
}

impl<H: Handle> Inbox<H> {
    /// With nothing in it.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Inbox<H> {
        Inbox { newest: AtomicPtr::new(ptr::null_mut()), handles: PhantomData }
    }

    #[cfg(loom)]
    #[allow(missing_docs)]
    pub fn new() -> Inbox<H> {
        Inbox { newest: AtomicPtr::new(ptr::null_mut()), handles: PhantomData }
    }

    /// Puts something in. Who does must then see that it is found: by [`Inbox::settle`], or by
    /// taking the lock.
    pub fn put(&self, handle: H) {
        let mut newest = self.newest.load(Relaxed);
        loop {
            // SAFETY: a handle's address; only stored as the next link, never dereferenced here: it may
            // have been taken meanwhile, and then the exchange fails.
            handle.set_next(NonNull::new(newest).map(|ptr| unsafe { H::of(ptr) }));
            let mine = handle.ptr().as_ptr();
            // Release pairs with the Acquire in `take`: what is named comes along.
            match self.newest.compare_exchange_weak(newest, mine, Release, Relaxed) {
                Ok(_) => return,
                Err(now) => newest = now,
            }
        }
    }

    /// After `put`: whether the caller now holds the lock, and is to look. If not, the holder will.
    #[must_use]
    pub fn settle(&self, lock: &RawLock) -> bool {
        // With the fence in `was_left`: either our attempt sees the lock free, or the holder, having
        // let go, sees what was put in.
        fence(SeqCst);
        lock.try_lock()
    }

    /// After letting go of the lock: whether something was left meanwhile, so that the lock must be
    /// taken again, if nobody else has.
    #[inline]
    #[must_use]
    pub fn was_left(&self) -> bool {
        // See `settle`.
        fence(SeqCst);
        !self.newest.load(Relaxed).is_null()
    }

    /// Takes everything out; the handle is the oldest one's, with the next in it.
    #[inline]
    pub fn take(&self) -> Option<H> {
        if self.newest.load(Relaxed).is_null() {
            return None;
        }
        let mut at = NonNull::new(self.newest.swap(ptr::null_mut(), Acquire));
        // The newest is on top: turned round, so that order is kept.
        let mut oldest: Option<H> = None;
        while let Some(here) = at {
            // SAFETY: put in by somebody who has let go of it.
            let handle = unsafe { H::of(here) };
            at = handle.next().map(H::ptr);
            handle.set_next(oldest);
            oldest = Some(handle);
        }
        oldest
    }

    /// Forgets what is in it: for a child of `fork`, to which none of it belongs.
    pub fn forget(&self) {
        self.newest.store(ptr::null_mut(), Relaxed);
    }
}
