//! Where code makes system calls.
//!
//! A filter that tells a program's calls from those of its children does so by their addresses. It
//! is given every address at which the program's code has the instruction, and no other: the code of
//! a child often lies where some of its parent's lay, an instruction of its own hardly ever does.
//!
//! The instruction is looked for as bytes, at every place where code could begin. What is found
//! too much (constants, the inside of other instructions) does no harm, for nobody calls from there.
//! Which call is made at an address is not asked: the number may be loaded far away, and the one
//! that stands before the instruction need not be its only one.

use core::ops::Range;

use sysring_engine::user;
use sysring_sys::{Result, User};

use crate::array::Array;

/// As many places as are told apart; [`crate::filter`] has room for them.
pub const MOST: usize = 1200;

/// So much code is copied and looked through at a time.
const PIECE: usize = 16 * 1024;

/// The length of the instruction, and what its address is a multiple of.
#[cfg(target_arch = "x86_64")]
const LENGTH: usize = 2;
#[cfg(target_arch = "x86_64")]
const ALIGNMENT: usize = 1;
#[cfg(target_arch = "aarch64")]
const LENGTH: usize = 4;
#[cfg(target_arch = "aarch64")]
const ALIGNMENT: usize = 4;

/// The instruction pointers of a program's system calls, in ascending order: what seccomp sees, the
/// address after the instruction.
///
/// Where there are more than [`MOST`], those that lie closest together become ranges.
#[derive(Debug)]
pub struct Sites {
    places: Array<Range<usize>>,
    len: usize,
    /// Places with a gap of no more than this between them are one.
    grain: usize,
    piece: Array<u8>,
}

impl Sites {
    /// Of no code yet.
    ///
    /// # Errors
    /// The kernel's, from `mmap`.
    pub fn new() -> Result<Sites> {
        let (places, piece) = (Array::new(MOST)?, Array::new(PIECE + LENGTH - 1)?);
        Ok(Sites { places, len: 0, grain: 0, piece })
    }

    /// Adds those of mapped code, which must lie behind all that was added before. Code that cannot
    /// be read may call from anywhere.
    pub fn add(&mut self, code: Range<usize>) {
        let mut at = code.start;
        while at < code.end {
            let next = code.end.min(at + PIECE);
            // An instruction may reach into the next piece, which finds its own.
            let end = code.end.min(next + LENGTH - 1);
            let copy = &mut self.piece[..end - at];
            if user::read_slice(copy, User::<u8>::of(at as *mut u8)).is_ok() {
                self.look_through(at, end - at);
            } else {
                self.put(at + 1..next + LENGTH);
            }
            at = next;
        }
    }

    /// What was found.
    #[must_use]
    pub fn places(&self) -> &[Range<usize>] {
        &self.places[..self.len]
    }

    /// Adds what is found in the first `len` bytes of the piece, which is a copy of `start`.
    fn look_through(&mut self, start: usize, len: usize) {
        let mut from = 0;
        while let Some(found) = find(&self.piece[from..len]) {
            let after = start + from + found + LENGTH;
            self.put(after..after + 1);
            from += found + ALIGNMENT;
        }
    }

    fn put(&mut self, place: Range<usize>) {
        if self.joins_last(&place) {
            return;
        }
        while self.len == self.places.len() {
            self.coarsen();
        }
        if !self.joins_last(&place) {
            self.places[self.len] = place;
            self.len += 1;
        }
    }

    /// Whether the place is none of its own, for the last one is or becomes one with it.
    fn joins_last(&mut self, place: &Range<usize>) -> bool {
        match self.places[..self.len].last_mut() {
            Some(last) if place.start <= last.end + self.grain => {
                last.end = last.end.max(place.end);
                true
            }
            _ => false,
        }
    }

    /// Makes places one that lie closer together than any that were made so before.
    fn coarsen(&mut self) {
        self.grain = (self.grain * 2).max(LENGTH);
        let len = core::mem::take(&mut self.len);
        for i in 0..len {
            let place = self.places[i].clone();
            if !self.joins_last(&place) {
                self.places[self.len] = place;
                self.len += 1;
            }
        }
    }
}

/// Where in `code` the instruction is first found. By hand, so that builds without optimisation find
/// it in time, too.
#[cfg(target_arch = "x86_64")]
fn find(code: &[u8]) -> Option<usize> {
    use core::arch::x86_64::{
        _mm_and_si128, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8,
    };
    const BLOCK: usize = 16;

    // SAFETY: x86-64 has SSE2.
    let (first, second) = unsafe { (_mm_set1_epi8(0x0f), _mm_set1_epi8(0x05)) };
    let mut at = 0;
    while at + BLOCK < code.len() {
        // SAFETY: x86-64 has SSE2; the later of the two blocks ends where `code` does, or before.
        let pairs = unsafe {
            let here = _mm_loadu_si128(code.as_ptr().add(at).cast());
            let behind = _mm_loadu_si128(code.as_ptr().add(at + 1).cast());
            let (here, behind) = (_mm_cmpeq_epi8(here, first), _mm_cmpeq_epi8(behind, second));
            _mm_movemask_epi8(_mm_and_si128(here, behind))
        };
        if pairs != 0 {
            return Some(at + pairs.trailing_zeros() as usize);
        }
        at += BLOCK;
    }
    code[at..].windows(2).position(|pair| pair == [0x0f, 0x05]).map(|found| at + found)
}

/// Where in `code`, which is aligned, the instruction is first found. The kernel does not look at
/// the number that it carries.
#[cfg(target_arch = "aarch64")]
fn find(code: &[u8]) -> Option<usize> {
    let (words, _) = code.as_chunks::<4>();
    let is_here = |word: &[u8; 4]| u32::from_le_bytes(*word) & 0xffe0_001f == 0xd400_0001;
    words.iter().position(is_here).map(|at| 4 * at)
}

#[cfg(test)]
#[path = "sites/tests.rs"]
mod tests;
