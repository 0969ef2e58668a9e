//! Futexes.

use core::sync::atomic::AtomicU32;

use sysring_sys::abi::FutexWaitv;

use super::{address, alone, operation};

/// A word of 32 bits (`FUTEX2_SIZE_U32`).
const SIZE_U32: u32 = 2;
/// Of this process alone (`FUTEX2_PRIVATE`).
const PRIVATE: u32 = 128;
/// Any bit (`FUTEX_BITSET_MATCH_ANY`).
const ANY: u64 = 0xffff_ffff;

macro_rules! futex_errors {
    () => {
        "- `EFAULT`: the word is not in the program's memory.\n\
         - `EINVAL`: flags that are not known, a word that is not aligned, or no bit."
    };
}

/// What waits and wakes have in common.
macro_rules! word {
    ($($name:ident)*) => {$(
        impl $name {
            /// Other processes that share the memory may take part.
            #[inline]
            pub fn shared(mut self) -> $name {
                self.0.fd &= !(PRIVATE as i32);
                self
            }

            /// Only waits and wakes that have one of these bits in common meet.
            #[inline]
            pub fn mask(mut self, mask: u32) -> $name {
                self.0.addr3 = u64::from(mask);
                self
            }
        }
    )*};
}

word! { FutexWait FutexWake }

operation! {
    /// Waits to be woken, as `futex(2)` with `FUTEX_WAIT_BITSET` (Linux 6.7).
    ///
    /// The value is 0.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::sync::atomic::AtomicU32;
    /// use sysring::{Ring, op};
    ///
    /// static WORD: AtomicU32 = AtomicU32::new(5);
    /// let mut ring = Ring::new(8)?;
    /// // SAFETY: the word is there for ever.
    /// unsafe { ring.push(op::FutexWait::new(&WORD, 5))? };
    /// ring.submit()?;
    /// // SAFETY: the same.
    /// unsafe { ring.push(op::FutexWake::new(&WORD, 1))? };
    /// ring.submit_and_wait(2)?;
    /// let mut values: Vec<u32> =
    ///     ring.completions().map(|completion| completion.result()).collect::<Result<_, _>>()?;
    /// values.sort();
    /// assert_eq!(values, [0, 1]); // one waited, and one was woken
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// - `EAGAIN`: the word has another value.
    #[doc = futex_errors!()]
    FutexWait = FUTEX_WAIT
}

impl FutexWait {
    /// At this word, if it still has this value.
    #[inline]
    pub fn new(word: *const AtomicU32, value: u32) -> FutexWait {
        let mut entry = alone(FutexWait::CODE);
        entry.fd = (SIZE_U32 | PRIVATE) as i32;
        (entry.addr, entry.off, entry.addr3) = (address(word), u64::from(value), ANY);
        FutexWait(entry)
    }
}

operation! {
    /// Wakes who waits at a word, as `futex(2)` with `FUTEX_WAKE_BITSET` (Linux 6.7).
    ///
    /// The value is how many were woken.
    ///
    /// # Errors
    #[doc = futex_errors!()]
    FutexWake = FUTEX_WAKE
}

impl FutexWake {
    /// Up to so many that wait at this word.
    #[inline]
    pub fn new(word: *const AtomicU32, count: u32) -> FutexWake {
        let mut entry = alone(FutexWake::CODE);
        entry.fd = (SIZE_U32 | PRIVATE) as i32;
        (entry.addr, entry.off, entry.addr3) = (address(word), u64::from(count), ANY);
        FutexWake(entry)
    }
}

operation! {
    /// Waits to be woken at one of several words, as `futex_waitv(2)` (Linux 6.7).
    ///
    /// The value is the index of the word.
    ///
    /// # Errors
    /// - `EAGAIN`: one of the words has another value.
    #[doc = futex_errors!()]
    /// - `EINVAL`: none, or more than 128.
    FutexWaitV = FUTEX_WAITV
}

impl FutexWaitV {
    /// At the `count` words that are described at `words`.
    #[inline]
    pub fn new(words: *const FutexWaitv, count: u32) -> FutexWaitV {
        let mut entry = alone(FutexWaitV::CODE);
        (entry.fd, entry.addr, entry.len) = (0, address(words), count);
        FutexWaitV(entry)
    }
}
