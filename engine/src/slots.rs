//! The memory of a table of registered things: as many slots as were asked for, each filled.

use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use sysring_sys::Result;

use crate::memory;

/// The slots; none at first.
#[derive(Debug)]
pub struct Slots<T: Copy> {
    start: NonNull<T>,
    len: usize,
}

// SAFETY: what a slot holds moves with the table, which alone knows the memory.
unsafe impl<T: Copy + Send> Send for Slots<T> {}

impl<T: Copy> Slots<T> {
    pub const NONE: Slots<T> = Slots { start: NonNull::dangling(), len: 0 };

    /// This many, all alike.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new(len: u32, empty: T) -> Result<Slots<T>> {
        const { assert!(align_of::<T>() <= memory::ALIGN) };
        let len = len as usize;
        let start = memory::allocate(len * size_of::<T>())?.cast::<T>();
        for i in 0..len {
            // SAFETY: inside the block just allocated, which is aligned to more than a slot is.
            unsafe { start.add(i).write(empty) };
        }
        Ok(Slots { start, len })
    }
}

impl<T: Copy> Deref for Slots<T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        // SAFETY: `new` has filled that many, of which there are none before.
        unsafe { core::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl<T: Copy> DerefMut for Slots<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above, and the table is borrowed for as long.
        unsafe { core::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl<T: Copy> Drop for Slots<T> {
    fn drop(&mut self) {
        if self.len != 0 {
            // SAFETY: what `new` allocated, for as many.
            unsafe { memory::release(self.start.cast(), self.len * size_of::<T>()) };
        }
    }
}
