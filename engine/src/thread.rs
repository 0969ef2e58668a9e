//! Threads of the engine's: bare `clone` threads, without libc and thread-local storage, with
//! every signal blocked but the one that calls them back from a system call.

use core::ptr;

use sysring_sys::abi::signal::{SIG_SETMASK, SigSet};
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Result, arch, call, kick};

use crate::{process, stats};

/// A worker makes one system call at a time; what needs room is a signal frame.
const STACK: usize = 64 * 1024;

/// Says that SIGSYS is handled by something that returns at once from a signal sent by `tgkill`.
pub fn kick_is_handled() {
    kick::is_handled_from_now_on();
}

/// Starts a thread of the engine's, with every signal blocked.
///
/// # Errors
/// `EAGAIN` or `ENOMEM`: no thread to be had.
pub fn start(start: extern "C" fn(usize) -> !, arg: usize) -> Result<i32> {
    let flags = g::CLONE_VM
        | g::CLONE_FS
        | g::CLONE_FILES
        | g::CLONE_SIGHAND
        | g::CLONE_THREAD
        | g::CLONE_SYSVSEM;
    kick::prepare();
    let stack = aligned_stack()?;
    let top = stack + STACK;
    let before = call::sigprocmask(SIG_SETMASK, Some(SigSet::ALL))?;
    // SAFETY: the stack is fresh and stays until the thread unmaps it; `start` runs on it with
    // every signal blocked and uses nothing of libc's.
    let tid = unsafe { arch::clone_thread(flags as usize, top, 0, 0, start, arg) };
    let _ = call::sigprocmask(SIG_SETMASK, Some(before));
    match Errno::from_ret(tid) {
        Ok(tid) => {
            stats::add(&stats::get().threads, 1);
            Ok(tid as i32)
        }
        Err(e) => {
            // SAFETY: no thread runs on it.
            let _ = unsafe { call::munmap(stack, STACK) };
            Err(e)
        }
    }
}

/// A stack aligned to its size, so that a thread can find its own from any address in it.
fn aligned_stack() -> Result<usize> {
    let start = call::map_anonymous(2 * STACK, false)? as usize;
    let stack = (start + STACK - 1) & !(STACK - 1);
    let (before, after) = (stack - start, start + STACK - stack);
    // SAFETY: the ends of our own mapping, which nothing uses.
    unsafe {
        if before != 0 {
            let _ = call::munmap(start, before);
        }
        if after != 0 {
            let _ = call::munmap(stack + STACK, after);
        }
    }
    Ok(stack)
}

/// Ends the calling thread, which [`start`] made, and gives its stack back.
pub fn end() -> ! {
    // A signal now would find no stack to run on.
    let _ = call::sigprocmask(SIG_SETMASK, Some(SigSet::ALL));
    let here = 0u8;
    let stack = ptr::from_ref(&here) as usize & !(STACK - 1);
    // SAFETY: the thread runs on this mapping and nothing else uses it.
    unsafe { arch::unmap_and_exit(stack, STACK) }
}

/// The name tools show.
pub fn set_name(name: [u8; 8]) {
    // SAFETY: the name is a NUL-terminated string of ours.
    let _ = unsafe { call::prctl(PR_SET_NAME, [name.as_ptr() as usize, 0, 0, 0]) };
}

const PR_SET_NAME: u32 = 15;

/// Whether a signal is known to call a thread of ours back.
pub fn is_kickable() -> bool {
    kick::is_handled()
}

/// Whether a thread of ours can be called back from a system call.
#[must_use]
pub fn can_kick() -> bool {
    kick::prepare()
}

/// Ends the call a thread of ours makes, if a signal can. 0: it has not come that far.
///
/// # Errors
/// `EPERM` and others: a sandbox's word.
pub fn kick(tid: i32) -> Result<()> {
    kick::kick(process::id(), tid)
}
