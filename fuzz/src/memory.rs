//! The memory that addresses in an input lead to, and no other.
//!
//! An operation may write wherever the application says, and here the application is the fuzzer. So
//! it has memory at a known place, far from everything else, with nothing behind it for longer than
//! any length reaches; and no number in an input can be an address where this process has its own.

use std::ptr;

/// Where it lies: above what 32 bits can name, far below what Linux hands out.
pub const START: u64 = 0x10_0000_0000;
pub const LEN: usize = 64 << 10;

/// Nothing is here: what reaches beyond the memory faults.
const BEHIND: usize = 8 << 30;

/// Addresses that Linux hands out begin with a byte like these.
const OURS: std::ops::RangeInclusive<u8> = 0x50..=0x7f;

/// Fresh memory, in place of what operations have left of the old one.
pub fn renew() {
    let map = |start: u64, len, protection| {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED;
        let at = ptr::without_provenance_mut(start as usize);
        // SAFETY: nothing else in this process is there.
        let at = unsafe { libc::mmap(at, len, protection, flags, -1, 0) };
        assert_ne!(at, libc::MAP_FAILED);
    };
    map(START, LEN + BEHIND, libc::PROT_NONE);
    map(START, LEN, libc::PROT_READ | libc::PROT_WRITE);
}

/// Puts bytes at an offset, and gives their address.
pub fn put(offset: usize, bytes: &[u8]) -> u64 {
    let bytes = &tame(bytes)[..bytes.len().min(LEN - offset)];
    let to = ptr::with_exposed_provenance_mut::<u8>(START as usize + offset);
    // SAFETY: inside the memory, which is there since `renew`.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    START + offset as u64
}

/// The same bytes without an address of this process's own, however they are aligned.
pub fn tame(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for at in 0..bytes.len() {
        // What follows the last byte are zeros.
        let zero = |at: usize| bytes.get(at).is_none_or(|byte| *byte == 0);
        if OURS.contains(&bytes[at]) && zero(at + 1) && zero(at + 2) {
            bytes[at] &= 0x0f;
        }
    }
    bytes
}

/// A number that may be used as an address.
pub fn tame_word(word: u64) -> u64 {
    let ours = u64::from(*OURS.start()) << 40..(u64::from(*OURS.end()) + 1) << 40;
    if ours.contains(&word) { START + word % LEN as u64 } else { word }
}
