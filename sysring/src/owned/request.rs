//! What an operation is made of: its entry, the memory that entry points to, and its result.

use std::any::Any;
use std::ptr::NonNull;

use crate::Errno;
use sysring_sys::Result;

use crate::ring::Sqe;

/// How an operation ended, or one event of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Completion {
    /// What the kernel answered.
    pub result: Result<u32>,
    /// `IORING_CQE_F_*`.
    pub flags: u32,
    refused: bool,
}

impl Completion {
    pub(super) fn new(result: Result<u32>, flags: u32) -> Completion {
        Completion { result, flags, refused: false }
    }

    /// An end without the kernel: the entry could not be given to it.
    pub(super) fn refused(errno: Errno) -> Completion {
        Completion { result: Err(errno), flags: 0, refused: true }
    }

    /// Whether the entry was never given to the kernel, for want of room in the submission queue:
    /// nothing of the operation has been done.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.refused
    }

    /// The buffer that the kernel chose, if it chose one.
    pub(super) fn buffer(&self) -> Option<u16> {
        const BUFFER: u32 = 1;
        (self.flags & BUFFER != 0).then_some((self.flags >> 16) as u16)
    }
}

/// An operation that ends once: its arguments, and what they own.
///
/// Implement it for an operation that this module lacks, and hand it to
/// [`Ring::operation`](super::Ring::operation).
///
/// # Safety
/// Every address in the entry is of memory that `self` owns or that is static. It stays valid,
/// and nothing but the kernel touches what the kernel may write, while `self` is neither moved nor
/// dropped. The entry asks for one result (no multishot flag), and `user_data` and the flags that
/// link entries are not set in it.
pub unsafe trait Request: Send + 'static {
    /// What the operation ends with.
    type Output: Send;

    /// The entry. It is asked for once, when `self` is where it will stay until the end.
    fn entry(&mut self) -> Sqe;

    /// The operation has ended.
    fn finish(self, completion: Completion) -> Self::Output;

    /// The operation has ended, and nobody waits for it: its handle was dropped. What it brought
    /// (a descriptor, bytes from a socket) may be kept for others here; dropping it closes it.
    fn abandoned(self, completion: Completion)
    where
        Self: Sized,
    {
        drop(self.finish(completion));
    }
}

/// An operation that goes on: each completion is an item.
///
/// # Safety
/// As for [`Request`], but that the entry asks for many results; the kernel writes to none of the
/// memory that `self` owns itself.
pub unsafe trait Multishot: Send + Sync + 'static {
    /// What each completion brings.
    type Item: Send;

    /// The entry. It is asked for once, when `self` is where it will stay until the end.
    fn entry(&self) -> Sqe;

    /// One has arrived. Those that nobody waits for any more are dropped.
    fn item(&self, completion: Completion) -> Self::Item;

    /// Whether nothing can follow this one. Otherwise, should the kernel stop here, the operation is
    /// begun anew.
    fn is_last(completion: &Completion) -> bool {
        completion.result.is_err()
    }
}

/// A request whose type has been forgotten.
pub(super) trait Once: Any + Send {
    fn abandoned(self: Box<Self>, completion: Completion);
}

/// A multishot whose type has been forgotten.
pub(super) trait Many: Send + Sync {
    fn discard(&self, completion: Completion);
}

impl<T: Multishot> Many for T {
    fn discard(&self, completion: Completion) {
        drop(self.item(completion));
    }
}

/// The memory of a request while the kernel has it.
///
/// A raw pointer, for a box asserts that nobody else writes there; and dropping it frees nothing:
/// what is not taken back is leaked.
pub(super) struct Lent(NonNull<dyn Once>);

// SAFETY: what it points to is `Send`, and it is the only way there.
unsafe impl Send for Lent {}

impl Lent {
    pub fn new<T: Once>(request: Box<T>) -> (Lent, *mut T) {
        let at = Box::into_raw(request);
        // SAFETY: a box is never null.
        (Lent(unsafe { NonNull::new_unchecked(at as *mut dyn Once) }), at)
    }

    /// # Safety
    /// The kernel has it no more.
    pub unsafe fn take_back(self) -> Box<dyn Once> {
        // SAFETY: it came of a box, and `self` was the only way to it.
        unsafe { Box::from_raw(self.0.as_ptr()) }
    }
}
