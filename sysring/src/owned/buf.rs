//! Buffers that an operation can own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// Bytes that an operation reads from: what is written to a file, or sent.
///
/// # Safety
/// From the moment [`ptr`](Buf::ptr) is called until the value is moved, changed or dropped,
/// [`len`](Buf::len) bytes at that address are initialised and stay where they are. (A value that
/// holds its bytes itself, as an array does, may be a buffer: an operation gives it a place that
/// does not move before it asks for the address.)
pub unsafe trait Buf: Send + 'static {
    /// Where the bytes are.
    fn ptr(&self) -> *const u8;

    /// How many there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Room that an operation writes to: what is read from a file, or received.
///
/// What is read fills the buffer from its start. Afterwards a `Vec` holds just that, whatever it
/// held before; its whole capacity is used. To read behind what it holds already, use [`Tail`].
///
/// # Safety
/// From the moment [`ptr_mut`](BufMut::ptr_mut) is called until the value is moved, used otherwise
/// or dropped, [`room`](BufMut::room) bytes at that address may be written and stay where they are.
/// (Operations write there. Other code must not: a [`SharedBuf`](super::SharedBuf) is one buffer for
/// several.)
pub unsafe trait BufMut: Send + 'static {
    /// Where the room is.
    fn ptr_mut(&mut self) -> *mut u8;

    /// How many bytes it has.
    fn room(&self) -> usize;

    /// The first `count` bytes of the room have been written.
    ///
    /// # Safety
    /// They have, and `count` is at most [`room`](BufMut::room).
    unsafe fn filled(&mut self, count: usize);
}

// SAFETY: a vector's bytes lie on the heap, and stay there until it is changed or dropped.
unsafe impl Buf for Vec<u8> {
    fn ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn len(&self) -> usize {
        self.len()
    }
}

// SAFETY: a vector's whole capacity lies on the heap, and stays there until it is changed or
// dropped.
unsafe impl BufMut for Vec<u8> {
    fn ptr_mut(&mut self) -> *mut u8 {
        self.as_mut_ptr()
    }

    fn room(&self) -> usize {
        self.capacity()
    }

    unsafe fn filled(&mut self, count: usize) {
        // SAFETY: the caller's word: within the capacity, and written.
        unsafe { self.set_len(count) }
    }
}

// SAFETY: as for a vector.
unsafe impl Buf for String {
    fn ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn len(&self) -> usize {
        self.len()
    }
}

macro_rules! whole_slices {
    ($($(#[$safety:meta])* [$($generic:tt)*] $type:ty;)*) => {
        $(
            // SAFETY: the bytes are initialised, belong to the value, and stay while it does.
            unsafe impl<$($generic)*> Buf for $type {
                fn ptr(&self) -> *const u8 {
                    self.as_ref().as_ptr()
                }

                fn len(&self) -> usize {
                    self.as_ref().len()
                }
            }
        )*
    };
}

whole_slices! {
    [] Box<[u8]>;
    [] Arc<[u8]>;
    [const N: usize] [u8; N];
}

macro_rules! whole_rooms {
    ($([$($generic:tt)*] $type:ty;)*) => {
        $(
            // SAFETY: as for `Buf`; the value is the only way to the bytes.
            unsafe impl<$($generic)*> BufMut for $type {
                fn ptr_mut(&mut self) -> *mut u8 {
                    self.as_mut().as_mut_ptr()
                }

                fn room(&self) -> usize {
                    self.as_ref().len()
                }

                unsafe fn filled(&mut self, _: usize) {}
            }
        )*
    };
}

whole_rooms! {
    [] Box<[u8]>;
    [const N: usize] [u8; N];
}

// SAFETY: static bytes stay for ever.
unsafe impl Buf for &'static [u8] {
    fn ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn len(&self) -> usize {
        <[u8]>::len(self)
    }
}

// SAFETY: static bytes stay for ever.
unsafe impl Buf for &'static str {
    fn ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn len(&self) -> usize {
        str::len(self)
    }
}

/// What a buffer holds from some byte on: the rest of a partial write, or of a partial read.
///
/// As [`Buf`] it is the bytes behind the first `at`; as [`BufMut`] the room behind them.
///
/// ```
/// use sysring::owned::{Buf, Tail};
///
/// let rest = Tail::new(b"all of it".to_vec(), 4);
/// assert_eq!(rest.len(), 5);
/// assert_eq!(rest.into_inner(), b"all of it");
/// ```
#[derive(Clone, Debug)]
pub struct Tail<B> {
    buffer: B,
    at: usize,
}

impl<B: Buf> Tail<B> {
    /// What lies behind the first `at` bytes.
    ///
    /// # Panics
    /// If the buffer holds fewer.
    #[must_use]
    pub fn new(buffer: B, at: usize) -> Tail<B> {
        assert!(at <= buffer.len(), "a tail from {at} on, of {} bytes", buffer.len());
        Tail { buffer, at }
    }

    /// The whole buffer.
    #[must_use]
    pub fn into_inner(self) -> B {
        self.buffer
    }
}

// SAFETY: a part of what the buffer promises, which holds `at` bytes at least: nothing has
// changed it since `new` looked, or it has grown.
unsafe impl<B: Buf> Buf for Tail<B> {
    fn ptr(&self) -> *const u8 {
        self.buffer.ptr().wrapping_add(self.at)
    }

    fn len(&self) -> usize {
        self.buffer.len().saturating_sub(self.at)
    }
}

// SAFETY: a part of what the buffer promises, which holds `at` bytes at least. The bytes before
// `at` are initialised, so that `filled` may count them in.
unsafe impl<B: Buf + BufMut> BufMut for Tail<B> {
    fn ptr_mut(&mut self) -> *mut u8 {
        self.buffer.ptr_mut().wrapping_add(self.at)
    }

    fn room(&self) -> usize {
        self.buffer.room().saturating_sub(self.at)
    }

    unsafe fn filled(&mut self, count: usize) {
        // SAFETY: by the caller's word, and `new`'s.
        unsafe { self.buffer.filled(self.at + count) }
    }
}

/// The first bytes of a buffer.
///
/// ```
/// use sysring::owned::{Buf, Head};
///
/// let line = Head::new([0u8; 4096], 80);
/// assert_eq!(line.len(), 80);
/// ```
#[derive(Clone, Debug)]
pub struct Head<B> {
    buffer: B,
    most: usize,
}

impl<B> Head<B> {
    /// The first `most` bytes, or as many as there are.
    #[must_use]
    pub fn new(buffer: B, most: usize) -> Head<B> {
        Head { buffer, most }
    }

    /// The whole buffer.
    #[must_use]
    pub fn into_inner(self) -> B {
        self.buffer
    }
}

// SAFETY: a part of what the buffer promises.
unsafe impl<B: Buf> Buf for Head<B> {
    fn ptr(&self) -> *const u8 {
        self.buffer.ptr()
    }

    fn len(&self) -> usize {
        self.buffer.len().min(self.most)
    }
}

// SAFETY: a part of what the buffer promises.
unsafe impl<B: BufMut> BufMut for Head<B> {
    fn ptr_mut(&mut self) -> *mut u8 {
        self.buffer.ptr_mut()
    }

    fn room(&self) -> usize {
        self.buffer.room().min(self.most)
    }

    unsafe fn filled(&mut self, count: usize) {
        // SAFETY: by the caller's word.
        unsafe { self.buffer.filled(count) }
    }
}

/// Puts bytes into a buffer, as an operation would; how many there was room for.
pub(crate) fn fill(buffer: &mut impl BufMut, bytes: &[u8]) -> usize {
    let count = bytes.len().min(buffer.room());
    let to = buffer.ptr_mut();
    for (i, byte) in bytes[..count].iter().enumerate() {
        // SAFETY: within the room. Atomic, for other clones of a `SharedBuf` may be filled by other
        // threads; they do it here, too.
        unsafe { AtomicU8::from_ptr(to.add(i)) }.store(*byte, Relaxed);
    }
    // SAFETY: they have just been written.
    unsafe { buffer.filled(count) };
    count
}

/// The first bytes of a buffer's room.
///
/// # Safety
/// They have been written.
pub(crate) unsafe fn filled_part(buffer: &mut impl BufMut, count: usize) -> Vec<u8> {
    let from = buffer.ptr_mut();
    // SAFETY: the caller's word; atomic for the reason that `fill` has.
    (0..count).map(|i| unsafe { AtomicU8::from_ptr(from.add(i)) }.load(Relaxed)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(buffer: &impl Buf) -> &[u8] {
        // SAFETY: that many bytes are initialised there.
        unsafe { std::slice::from_raw_parts(buffer.ptr(), buffer.len()) }
    }

    #[test]
    fn a_vector_holds_what_was_read_and_nothing_else() {
        let mut buffer = b"much longer than what comes".to_vec();
        fill(&mut buffer, b"short");
        assert_eq!(buffer, b"short");
        let mut empty = Vec::with_capacity(3);
        assert_eq!(fill(&mut empty, b"abcdef"), empty.capacity().min(6));
        assert_eq!(bytes(&empty)[..3], *b"abc");
    }

    #[test]
    fn an_array_keeps_its_length() {
        let mut buffer = [b'.'; 6];
        fill(&mut buffer, b"abc");
        assert_eq!(bytes(&buffer), b"abc...");
    }

    #[test]
    fn tails_count_what_lies_before_them() {
        let mut whole = Vec::with_capacity(10);
        whole.extend_from_slice(b"0123");
        let mut tail = Tail::new(whole, 2);
        assert_eq!(bytes(&tail), b"23");
        fill(&mut tail, b"ab");
        assert_eq!(tail.into_inner(), b"01ab");
        assert_eq!(bytes(&Tail::new(&b"x"[..], 1)), b"");
    }

    #[test]
    #[should_panic = "a tail from 2 on"]
    fn a_tail_begins_within_what_is_initialised() {
        let _ = Tail::new(Vec::with_capacity(64), 2);
    }

    #[test]
    fn heads_are_short() {
        let mut head = Head::new(vec![b'.'; 8], 3);
        assert_eq!(bytes(&head), b"...");
        assert_eq!(fill(&mut head, b"abcdef"), 3);
        assert_eq!(head.into_inner(), b"abc");
        assert_eq!(bytes(&Head::new("ab", 9)), b"ab");
    }
}
