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
pub fn declare_kick_handled() {
    kick::declare_handled();
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

/// Ends the calling thread, and gives its stack back.
///
/// # Safety
/// [`start`] made the thread, and nobody uses what lies on its stack.
pub unsafe fn end() -> ! {
    // A signal now would find no stack to run on.
    let _ = call::sigprocmask(SIG_SETMASK, Some(SigSet::ALL));
    let here = 0u8;
    let stack = ptr::from_ref(&here) as usize & !(STACK - 1);
    // SAFETY: `start` has put the thread on such a stack, aligned to its size (the caller's promise).
    unsafe { arch::unmap_and_exit(stack, STACK) }
}

/// The name that tools show, as those of the kernel's threads: `iou-wrk-` and the process.
pub fn set_name(kind: [u8; 3]) {
    let name = name(kind, process::id().unsigned_abs());
    // SAFETY: a NUL-terminated string of ours.
    let _ = unsafe { call::prctl(PR_SET_NAME, [name.as_ptr() as usize, 0, 0, 0]) };
}

/// As long as a thread's name may be, with its NUL.
fn name([a, b, c]: [u8; 3], process: u32) -> [u8; 16] {
    let mut name = [b'i', b'o', b'u', b'-', a, b, c, b'-', 0, 0, 0, 0, 0, 0, 0, 0];
    // Seven digits: a process has no higher number (`PID_MAX_LIMIT`).
    let digits = process.checked_ilog10().unwrap_or(0).min(6) as usize + 1;
    let mut left = process;
    for place in (8..8 + digits).rev() {
        name[place] = b'0' + (left % 10) as u8;
        left /= 10;
    }
    name
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

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn a_thread_is_named_after_its_work_and_its_process() {
        assert_eq!(&name(*b"wrk", 1), b"iou-wrk-1\0\0\0\0\0\0\0");
        assert_eq!(&name(*b"sqp", 4_194_304), b"iou-sqp-4194304\0");
        assert_eq!(&name(*b"drv", u32::MAX)[..8], b"iou-drv-");
    }
}
