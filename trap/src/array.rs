//! Arrays in memory of their own: there is no allocator here, and stacks are small.

use core::ops::{Deref, DerefMut};

use sysring_sys::{Result, call};

/// An array of values that need not be dropped.
#[derive(Debug)]
pub struct Array<T> {
    memory: *mut T,
    len: usize,
}

impl<T: Default> Array<T> {
    /// `len` default values.
    ///
    /// # Errors
    /// The kernel's, from `mmap`.
    pub fn new(len: usize) -> Result<Array<T>> {
        const { assert!(!core::mem::needs_drop::<T>()) };
        let memory = call::map_anonymous(len * size_of::<T>(), false)?.cast::<T>();
        for i in 0..len {
            // SAFETY: mapped just now, page-aligned, and long enough.
            unsafe { memory.add(i).write(T::default()) };
        }
        Ok(Array { memory, len })
    }
}

impl<T> Deref for Array<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: mapped and written by `new`, and this value's alone.
        unsafe { core::slice::from_raw_parts(self.memory, self.len) }
    }
}

impl<T> DerefMut for Array<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`.
        unsafe { core::slice::from_raw_parts_mut(self.memory, self.len) }
    }
}

impl<T> Drop for Array<T> {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`, and no borrow is left.
        let _ = unsafe { call::munmap(self.memory as usize, self.len * size_of::<T>()) };
    }
}
