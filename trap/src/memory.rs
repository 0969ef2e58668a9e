//! Copies from and to the application's memory, which may be anything: they fail, we never fault.

use core::mem::MaybeUninit;

use sysring_sys::{Errno, Result, User, call, copy};

/// A value that any bytes may be.
///
/// # Safety
/// Every bit pattern is a valid value, and there is no padding.
pub unsafe trait Plain: Copy {}

// SAFETY: integers, and structures of integers without gaps.
unsafe impl Plain for u64 {}
// SAFETY: an array of integers, without gaps.
unsafe impl Plain for [u64; 2] {}
// SAFETY: one u64.
unsafe impl Plain for sysring_sys::abi::signal::SigSet {}
// SAFETY: four u64.
unsafe impl Plain for sysring_sys::abi::signal::SigAction {}

/// Reads a value.
pub fn read<T: Plain>(from: User<T>) -> Result<T> {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: `value` is `size_of::<T>()` bytes of ours; on success all of them were written, and
    // any bytes make a `T`.
    unsafe {
        copy::copy_in(call::gettid(), value.as_mut_ptr().cast(), from.cast(), size_of::<T>())?;
        Ok(value.assume_init())
    }
}

/// Fills `to` from the application's memory.
pub fn read_bytes(to: &mut [u8], from: User<u8>) -> Result<()> {
    // SAFETY: the range is the slice's.
    unsafe { copy::copy_in(call::gettid(), to.as_mut_ptr(), from, to.len()) }
}

/// Writes a value.
pub fn write<T: Plain>(to: User<T>, value: &T) -> Result<()> {
    let from = core::ptr::from_ref(value).cast();
    // SAFETY: the value is so long; `to` is the application's.
    unsafe { copy::copy_out(call::gettid(), to.cast(), from, size_of::<T>()) }
}

/// Copies for the calls that deal in signals, made where all of them are blocked. A program that confines
/// itself allows what it calls (`rt_sigprocmask`), and may be killed for another call: so that one is all
/// that these make. It says whether the memory is there, word by word, and leaves the mask as it is.
pub mod confined {
    use core::mem::MaybeUninit;

    use sysring_sys::abi::signal::{SIG_BLOCK, SIGSET_SIZE};
    use sysring_sys::raw::general as g;
    use sysring_sys::{Errno, Result, User, call};

    use super::Plain;

    /// Reads a value.
    pub fn read<T: Plain>(from: User<T>) -> Result<T> {
        match probe::<T>(from.address(), |word| [word, 0]) {
            Err(Errno::EFAULT) => Err(Errno::EFAULT),
            Err(_) => super::read(from),
            // SAFETY: the kernel has just read there; any bytes make a `T`.
            Ok(()) => Ok(unsafe {
                let mut value = MaybeUninit::<T>::uninit();
                let bytes = value.as_mut_ptr().cast::<u8>();
                let from = from.address() as *const u8;
                for at in 0..size_of::<T>() {
                    bytes.add(at).write(from.add(at).read_volatile());
                }
                value.assume_init()
            }),
        }
    }

    /// Writes a value.
    pub fn write<T: Plain>(to: User<T>, value: &T) -> Result<()> {
        match probe::<T>(to.address(), |word| [0, word]) {
            Err(Errno::EFAULT) => Err(Errno::EFAULT),
            Err(_) => super::write(to, value),
            // SAFETY: the kernel has just written there, by the program's wish.
            Ok(()) => unsafe {
                let bytes = core::ptr::from_ref(value).cast::<u8>();
                let to = to.address() as *mut u8;
                for at in 0..size_of::<T>() {
                    to.add(at).write_volatile(bytes.add(at).read());
                }
                Ok(())
            },
        }
    }

    /// Asks for the first and for the last word: no page lies between.
    fn probe<T: Plain>(address: u64, sets: impl Fn(usize) -> [usize; 2]) -> Result<()> {
        const WORD: usize = size_of::<u64>();
        let first = address as usize;
        let last = first.wrapping_add(size_of::<T>() - WORD);
        for word in [Some(first), (last != first).then_some(last)].into_iter().flatten() {
            let [new, old] = sets(word);
            // SAFETY: the kernel checks the addresses; what it reads is blocked in addition to
            // everything, what it writes is a place for an answer.
            unsafe {
                let args = [SIG_BLOCK as usize, new, old, SIGSET_SIZE, 0, 0];
                call::raw(g::__NR_rt_sigprocmask, args)?;
            }
        }
        Ok(())
    }
}

/// The pointers of an array, up to its null; a null array has none.
pub struct Pointers {
    next: User<u64>,
    chunk: [u64; 32],
    used: usize,
    filled: usize,
    ended: bool,
}

impl Pointers {
    /// The pointers at `array`.
    pub fn of(array: User<u64>) -> Pointers {
        Pointers { next: array, chunk: [0; 32], used: 0, filled: 0, ended: array.is_null() }
    }

    /// The next one; `None` at the null.
    pub fn next(&mut self) -> Result<Option<u64>> {
        if self.ended {
            return Ok(None);
        }
        if self.used == self.filled {
            // Up to the end of an aligned block, never into a page that the array does not touch.
            let block = size_of_val(&self.chunk);
            let len = (block - self.next.address() as usize % block).next_multiple_of(8).min(block);
            // SAFETY: `len` bytes of the chunk, and any bytes make words.
            unsafe {
                let to = self.chunk.as_mut_ptr().cast();
                copy::copy_in(call::gettid(), to, self.next.cast(), len)?;
            }
            self.filled = len / 8;
            self.used = 0;
            self.next = self.next.add(self.filled);
        }
        let word = self.chunk[self.used];
        self.used += 1;
        self.ended = word == 0;
        Ok(Some(word).filter(|&word| word != 0))
    }
}

/// The length of a NUL-terminated string, at most `limit`; `E2BIG` if it goes on.
pub fn string_len(from: User<u8>, limit: usize) -> Result<usize> {
    let mut len = 0;
    while len < limit {
        let at = from.add(len);
        // Up to the end of an aligned block, so that a string that ends before an unmapped page
        // is read whole.
        let mut block = [0u8; 64];
        let room = block.len() - at.address() as usize % block.len();
        let block = &mut block[..room.min(limit - len)];
        read_bytes(block, at)?;
        match block.iter().position(|&b| b == 0) {
            Some(end) => return Ok(len + end),
            None => len += block.len(),
        }
    }
    Err(Errno::E2BIG)
}

/// Whether a NUL-terminated string begins with `prefix`.
pub fn starts_with(from: User<u8>, prefix: &[u8]) -> Result<bool> {
    let mut done = 0;
    while done < prefix.len() {
        let at = from.add(done);
        let mut block = [0u8; 16];
        let room = block.len() - at.address() as usize % block.len();
        let block = &mut block[..room.min(prefix.len() - done)];
        read_bytes(block, at)?;
        if *block != prefix[done..done + block.len()] {
            return Ok(false);
        }
        done += block.len();
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysring_sys::abi::signal::{SIG_SETMASK, SigSet};

    #[test]
    fn bad_addresses_are_answers() {
        assert_eq!(read(User::<u64>::new(8)), Err(Errno::EFAULT));
        assert_eq!(write(User::<u64>::new(8), &1), Err(Errno::EFAULT));
        assert_eq!(string_len(User::new(8), 100), Err(Errno::EFAULT));
    }

    #[test]
    fn copies_copy() {
        let there = 0x0123_4567_89ab_cdefu64;
        assert_eq!(read(User::of(&there)), Ok(there));
        let mut here = 0u64;
        assert_eq!(write(User::of(&raw mut here), &there), Ok(()));
        assert_eq!(here, there);
    }

    #[test]
    fn the_confined_copy_too() {
        let here = [1u64, 2];
        let mut there = [0u64; 2];
        let before = call::sigprocmask(SIG_SETMASK, Some(SigSet::ALL)).unwrap();
        // What of all can be blocked, which is less in QEMU's user mode.
        let all = call::sigprocmask(SIG_SETMASK, Some(SigSet::ALL)).unwrap();
        let read = confined::read(User::of(&here));
        let written = confined::write(User::of(&raw mut there), &here);
        let bad = [
            confined::read(User::<u64>::new(8)).err(),
            confined::write(User::<u64>::new(8), &1).err(),
            confined::read(User::<[u64; 2]>::new(0u64.wrapping_sub(8))).err(),
        ];
        let mask = call::sigprocmask(SIG_SETMASK, Some(before)).unwrap();
        assert_eq!((read, written, there), (Ok(here), Ok(()), here));
        assert_eq!(bad, [Some(Errno::EFAULT); 3]);
        assert_eq!(mask.0, all.0);
    }

    #[test]
    fn pointer_arrays_end_at_their_null() {
        let words: Vec<u64> = (1..=100).chain([0, 7]).collect();
        for start in 0..100 {
            let mut pointers = Pointers::of(User::of(words[start..].as_ptr()));
            for expected in &words[start..100] {
                assert_eq!(pointers.next(), Ok(Some(*expected)));
            }
            assert_eq!(pointers.next(), Ok(None));
            assert_eq!(pointers.next(), Ok(None));
        }
        assert_eq!(Pointers::of(User::NULL).next(), Ok(None));
        assert_eq!(Pointers::of(User::new(8)).next(), Err(Errno::EFAULT));
    }

    #[test]
    fn strings_are_measured_to_their_limit() {
        let text = [b"x".repeat(200), vec![0]].concat();
        assert_eq!(string_len(User::of(text.as_ptr()), 4096), Ok(200));
        assert_eq!(string_len(User::of(text.as_ptr()), 200), Err(Errno::E2BIG));
        assert_eq!(string_len(User::of(text.as_ptr()), 201), Ok(200));
    }
}
