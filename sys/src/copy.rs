//! Copies between our memory and the application's, which may be anything: where a load or a store of
//! ours would crash, they answer `EFAULT`.

use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::Relaxed;

use crate::call::{self, Buffer};
use crate::raw::general::{O_CLOEXEC, O_NONBLOCK};
use crate::{Errno, Result, User};

/// Copies from the application's memory. `process` is the calling one, or any of its threads.
///
/// # Errors
/// `EFAULT` where any byte is not readable; `EMFILE`, `ENFILE` and `ENOMEM` where it takes a pipe.
///
/// # Safety
/// `to` is writable for `len` bytes, and nobody else uses them.
pub unsafe fn copy_in(process: i32, to: *mut u8, from: User<u8>, len: usize) -> Result<()> {
    // SAFETY: the caller's promise.
    let call = || unsafe { call::process_vm_read(process, to, from, len) };
    // SAFETY: the same copy.
    unsafe { by_call_or_pipe(call, User::of(to), from, len) }
}

/// Copies into the application's memory, which may be changing at the same time.
///
/// # Errors
/// `EFAULT` where any byte is not writable; otherwise as [`copy_in`].
///
/// # Safety
/// `from` is readable for `len` bytes, and no part of the process relies on those at `to` but by way of
/// the application.
pub unsafe fn copy_out(process: i32, to: User<u8>, from: *const u8, len: usize) -> Result<()> {
    // SAFETY: the caller's promise.
    let call = || unsafe { call::process_vm_write(process, to, from, len) };
    // SAFETY: the same copy.
    unsafe { by_call_or_pipe(call, to, User::of(from), len) }
}

/// Whether a kernel without the calls was met, as gVisor before 2024: it need not be asked again.
/// Relaxed: who does not see it yet asks once more.
static ABSENT: AtomicBool = AtomicBool::new(false);

/// Copies by one call, or through a pipe where that is not to be had.
///
/// # Safety
/// As of [`through_pipe`].
#[inline(always)]
unsafe fn by_call_or_pipe(
    call: impl FnOnce() -> Result<usize>,
    to: User<u8>,
    from: User<u8>,
    len: usize,
) -> Result<()> {
    if !ABSENT.load(Relaxed) {
        match call() {
            Ok(n) if n == len => return Ok(()),
            Ok(_) | Err(Errno::EFAULT) => return Err(Errno::EFAULT),
            Err(Errno::ENOSYS) => ABSENT.store(true, Relaxed),
            // Refused by a filter or a security module.
            Err(_) => {}
        }
    }
    // SAFETY: the caller's promise.
    unsafe { through_pipe(to, from, len) }
}

/// What a pipe surely holds, whoever's limits it was made under.
const PIECE: usize = 4096;

/// Lets `write` and `read` do the copy, which answer `EFAULT`, too.
///
/// # Safety
/// What is written to is memory of the caller's alone, or the application's, which asked for it.
unsafe fn through_pipe(to: User<u8>, from: User<u8>, len: usize) -> Result<()> {
    let [output, input] = call::pipe(O_CLOEXEC | O_NONBLOCK)?;
    let mut done = 0;
    let mut result = Ok(());
    while done < len && result.is_ok() {
        let piece = Buffer { address: from.add(done), len: PIECE.min(len - done) };
        let copied = call::write(input, piece).and_then(|len| {
            // SAFETY: a piece of what the caller vouches for.
            unsafe { call::read(output, Buffer { address: to.add(done), len }) }
        });
        result = match copied {
            Ok(0) => Err(Errno::EFAULT),
            Ok(n) => {
                done += n;
                Ok(())
            }
            Err(e) => Err(e),
        };
    }
    // Fresh descriptors of ours: closing them has no answer worth having.
    let _ = call::close(output);
    let _ = call::close(input);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_copies_as_well() {
        let from: Vec<u8> = (0..100_000u32).map(|i| (i * 7) as u8).collect();
        let mut to = vec![0u8; from.len()];
        let (to_at, from_at) = (User::of(to.as_mut_ptr()), User::of(from.as_ptr()));
        // SAFETY: to a vector of ours, as long.
        let copied = unsafe { through_pipe(to_at, from_at, from.len()) };
        assert_eq!(copied, Ok(()));
        assert!(from == to);
    }

    #[test]
    fn what_is_not_there_is_an_answer() {
        let mut here = 0u64;
        let there = User::of(&raw mut here).cast();
        // SAFETY: eight bytes of ours, or nothing, are written to.
        let copied = unsafe {
            [
                through_pipe(there, User::new(8), 8),
                through_pipe(User::new(8), there, 8),
                copy_in(call::gettid(), (&raw mut here).cast(), User::new(8), 8),
            ]
        };
        assert_eq!(copied, [Err(Errno::EFAULT); 3]);
    }
}
