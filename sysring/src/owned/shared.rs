//! One buffer for several operations.

use std::cell::UnsafeCell;
use std::fmt;
use std::sync::Arc;

use super::buf::{Buf, BufMut};

/// A buffer that several operations use, as the read and the write of a linked copy do.
///
/// Its bytes are not seen while there is more than one clone: the program gets at them with
/// [`into_inner`](SharedBuf::into_inner), when the operations have ended and given theirs back.
/// What operations do with it at the same time is between them: a read and a write that are not
/// [linked](super::Ring::link) may meet each other's bytes in part.
///
/// It is as long as what it holds at first, and stays so.
pub struct SharedBuf<B>(Arc<UnsafeCell<Whole<B>>>);

struct Whole<B> {
    buffer: B,
    at: *mut u8,
    len: usize,
}

// SAFETY: `buffer` is reached by who has the only clone alone, and what lies at `at` by the kernel
// alone; the rest never changes.
unsafe impl<B: Send> Send for SharedBuf<B> {}
// SAFETY: as said for `Send`: a clone alone reaches nothing that changes, but by way of the kernel.
unsafe impl<B: Send> Sync for SharedBuf<B> {}

impl<B: Buf + BufMut> SharedBuf<B> {
    /// Shares a buffer.
    #[must_use]
    pub fn new(buffer: B) -> SharedBuf<B> {
        let whole = Whole { buffer, at: std::ptr::null_mut(), len: 0 };
        let mut shared = Arc::new(UnsafeCell::new(whole));
        // The address is asked for here, where the buffer stays.
        let whole = Arc::get_mut(&mut shared).expect("there are no clones").get_mut();
        whole.at = whole.buffer.ptr_mut();
        whole.len = whole.buffer.len().min(whole.buffer.room());
        SharedBuf(shared)
    }

    /// The buffer, if this is the only clone.
    ///
    /// # Errors
    /// The clone, unchanged: an operation is under way, or its result was not taken.
    pub fn into_inner(self) -> Result<B, SharedBuf<B>> {
        Arc::try_unwrap(self.0).map(|cell| cell.into_inner().buffer).map_err(SharedBuf)
    }

    fn at(&self) -> *mut u8 {
        // SAFETY: set once, before there were clones.
        unsafe { (*self.0.get()).at }
    }

    fn length(&self) -> usize {
        // SAFETY: set once, before there were clones.
        unsafe { (*self.0.get()).len }
    }
}

// SAFETY: the bytes are initialised, and stay while there is a clone: the buffer neither moves nor
// changes before the last one is taken apart.
unsafe impl<B: Buf + BufMut> Buf for SharedBuf<B> {
    fn ptr(&self) -> *const u8 {
        self.at()
    }

    fn len(&self) -> usize {
        self.length()
    }
}

// SAFETY: the bytes stay while there is a clone; nothing but operations touches them meanwhile.
unsafe impl<B: Buf + BufMut> BufMut for SharedBuf<B> {
    fn ptr_mut(&mut self) -> *mut u8 {
        self.at()
    }

    fn room(&self) -> usize {
        self.length()
    }

    unsafe fn filled(&mut self, _: usize) {}
}

impl<B> Clone for SharedBuf<B> {
    fn clone(&self) -> SharedBuf<B> {
        SharedBuf(Arc::clone(&self.0))
    }
}

impl<B> fmt::Debug for SharedBuf<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedBuf").field("clones", &Arc::strong_count(&self.0)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_seen_again_when_the_clones_are_gone() {
        let mut one = SharedBuf::new([b'.'; 4]);
        let other = one.clone();
        // SAFETY: four bytes, as the kernel would write them.
        unsafe { one.ptr_mut().write_bytes(b'x', other.len()) };
        let one = one.into_inner().unwrap_err();
        drop(other);
        assert_eq!(one.into_inner().unwrap(), [b'x'; 4]);
    }
}
