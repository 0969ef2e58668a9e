//! Sets of buffers that one operation owns.

use sysring_sys::abi::Iovec;

use super::buf::{Buf, BufMut};

/// Several buffers that an operation reads from, one after the other: a vector or an array of them, or
/// up to four of different kinds.
///
/// # Safety
/// [`each`](BufSet::each) tells of each buffer what [`Buf`] promises, for as long.
pub unsafe trait BufSet: Send + 'static {
    /// Tells where each buffer's bytes are, and how many.
    fn each(&self, tell: &mut dyn FnMut(*const u8, usize));

    /// How many bytes there are in all.
    fn total(&self) -> usize {
        let mut total = 0;
        self.each(&mut |_, len| total += len);
        total
    }
}

/// Several buffers that an operation writes to, one after the other.
///
/// Each is filled before the next; those that were not reached hold nothing then, as far as they have
/// a length (a `Vec` has).
///
/// # Safety
/// [`each_room`](BufMutSet::each_room) tells of each buffer what [`BufMut`] promises, for as long.
pub unsafe trait BufMutSet: Send + 'static {
    /// Tells where each buffer's room is, and how many bytes it has.
    fn each_room(&mut self, tell: &mut dyn FnMut(*mut u8, usize));

    /// The first `count` bytes of all the room have been written.
    ///
    /// # Safety
    /// They have, and there are as many.
    unsafe fn filled(&mut self, count: usize);
}

/// Counts in what one buffer has of `left` bytes, and takes it off.
///
/// # Safety
/// The first bytes of its room have been written, as many as there are or `left`.
unsafe fn fill_one<B: BufMut>(buffer: &mut B, left: &mut usize) {
    let count = buffer.room().min(*left);
    *left -= count;
    // SAFETY: the caller's word.
    unsafe { buffer.filled(count) }
}

macro_rules! of_one_kind {
    ($([$($generic:tt)*] $type:ty;)*) => {$(
        // SAFETY: each buffer's own promise; the set is not changed meanwhile.
        unsafe impl<B: Buf, $($generic)*> BufSet for $type {
            fn each(&self, tell: &mut dyn FnMut(*const u8, usize)) {
                self.iter().for_each(|buffer| tell(buffer.ptr(), buffer.len()));
            }
        }

        // SAFETY: each buffer's own promise; the set is not changed meanwhile.
        unsafe impl<B: BufMut, $($generic)*> BufMutSet for $type {
            fn each_room(&mut self, tell: &mut dyn FnMut(*mut u8, usize)) {
                for buffer in self.iter_mut() {
                    let room = buffer.room();
                    tell(buffer.ptr_mut(), room);
                }
            }

            unsafe fn filled(&mut self, count: usize) {
                let mut left = count;
                // SAFETY: the caller's word, in the order in which `each_room` has told.
                self.iter_mut().for_each(|buffer| unsafe { fill_one(buffer, &mut left) });
            }
        }
    )*};
}

of_one_kind! {
    [] Vec<B>;
    [] Box<[B]>;
    [const N: usize] [B; N];
}

macro_rules! of_several_kinds {
    ($(($($name:ident $index:tt),*);)*) => {$(
        // SAFETY: each buffer's own promise.
        unsafe impl<$($name: Buf),*> BufSet for ($($name,)*) {
            fn each(&self, tell: &mut dyn FnMut(*const u8, usize)) {
                $(tell(self.$index.ptr(), self.$index.len());)*
            }
        }

        // SAFETY: each buffer's own promise.
        unsafe impl<$($name: BufMut),*> BufMutSet for ($($name,)*) {
            fn each_room(&mut self, tell: &mut dyn FnMut(*mut u8, usize)) {
                $(
                    let room = self.$index.room();
                    tell(self.$index.ptr_mut(), room);
                )*
            }

            unsafe fn filled(&mut self, count: usize) {
                let mut left = count;
                // SAFETY: the caller's word, in the order in which `each_room` has told.
                unsafe { $(fill_one(&mut self.$index, &mut left);)* }
            }
        }
    )*};
}

of_several_kinds! {
    (A 0, B 1);
    (A 0, B 1, C 2);
    (A 0, B 1, C 2, D 3);
}

/// What an entry for several buffers points to.
#[derive(Debug, Default)]
pub(super) struct Vectors(Vec<Iovec>);

// SAFETY: its pointers are for the kernel, and are set anew where the buffers stay.
unsafe impl Send for Vectors {}

impl Vectors {
    /// Points to the bytes of a set, where that is to stay.
    pub fn of(&mut self, set: &impl BufSet) -> (*mut Iovec, u32) {
        set.each(&mut |at, len| self.add(at.cast_mut(), len));
        self.parts()
    }

    /// Points to the room of a set, where that is to stay.
    pub fn of_room(&mut self, set: &mut impl BufMutSet) -> (*mut Iovec, u32) {
        set.each_room(&mut |at, room| self.add(at, room));
        self.parts()
    }

    /// How many bytes of room there are.
    pub fn total(&self) -> usize {
        self.0.iter().map(|vector| vector.iov_len as usize).sum()
    }

    fn add(&mut self, at: *mut u8, len: usize) {
        self.0.push(Iovec { iov_base: at.cast(), iov_len: len as u64 });
    }

    fn parts(&mut self) -> (*mut Iovec, u32) {
        let count = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        (self.0.as_mut_ptr(), count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_filled_one_after_the_other() {
        let mut set = (vec![b'.'; 3], [b'.'; 2], Vec::with_capacity(4));
        let mut vectors = Vectors::default();
        let (at, count) = vectors.of_room(&mut set);
        assert!(count == 3 && vectors.total() >= 9);
        // SAFETY: room of the set's, written as the kernel would.
        unsafe {
            let first = (*at).iov_len as usize;
            (*at).iov_base.cast::<u8>().write_bytes(b'a', first);
            (*at.add(1)).iov_base.cast::<u8>().write_bytes(b'b', 1);
            set.filled(first + 1);
            assert_eq!(set.0, vec![b'a'; first]);
        }
        assert_eq!((&set.1, set.2.len()), (b"b.", 0));
        let mut two = vec![vec![b'.'; 4], vec![b'.'; 4]];
        // SAFETY: they hold bytes.
        unsafe { two.filled(0) };
        assert_eq!(BufSet::total(&two), 0);
        assert_eq!(BufSet::total(&["ab", "cde"]), 5);
    }
}
