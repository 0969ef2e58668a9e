//! Signals.

use super::sys;
use crate::abi::signal::{SIG_SETMASK, SIGSET_SIZE, SIGSYS, SigAction, SigSet};
use crate::{Result, User};

/// `rt_sigaction(2)`.
///
/// # Safety
/// The handler must be sound to run at any instruction of any thread.
pub unsafe fn sigaction(signal: i32, new: User<SigAction>, old: User<SigAction>) -> Result<()> {
    // SAFETY: the kernel checks the addresses; the caller vouches for the handler.
    unsafe { sys!(__NR_rt_sigaction, signal as usize, new.arg(), old.arg(), SIGSET_SIZE) }.map(drop)
}

/// `rt_sigprocmask(2)` with sets of ours; the mask as it was.
pub fn sigprocmask(how: i32, set: Option<SigSet>) -> Result<SigSet> {
    let mut old = SigSet::EMPTY;
    let new = set.as_ref().map_or(0, |s| core::ptr::from_ref(s) as usize);
    // SAFETY: `new` is null or a live reference, `old` is ours.
    unsafe {
        sys!(in place __NR_rt_sigprocmask, how as usize, new, &raw mut old as usize, SIGSET_SIZE)
    }?;
    Ok(old)
}

/// `tgkill(2)`.
pub fn tgkill(pid: i32, tid: i32, signal: i32) -> Result<()> {
    // SAFETY: numbers.
    unsafe { sys!(__NR_tgkill, pid as usize, tid as usize, signal as usize) }.map(drop)
}

/// As long as it lives, signals are blocked on this thread: all but SIGSYS, which a filter raises
/// for a call that is made right here, and which kills where it is blocked.
///
/// For who calls the engine as a function: a handler of the application's that interrupted it, and
/// came back to it or left by `siglongjmp`, would find locks taken.
#[derive(Debug)]
pub struct Quiet {
    before: Option<SigSet>,
}

impl Quiet {
    /// Blocks them.
    #[must_use]
    pub fn new() -> Quiet {
        let all = SigSet::ALL.without(SIGSYS);
        Quiet { before: sigprocmask(SIG_SETMASK, Some(all)).ok() }
    }

    /// The mask as the application has it.
    #[must_use]
    pub fn mask(&self) -> Option<SigSet> {
        self.before
    }
}

impl Default for Quiet {
    fn default() -> Quiet {
        Quiet::new()
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if let Some(before) = self.before {
            // What it is until now nobody asks: 50 cycles for each call.
            // SAFETY: `before` is ours, and outlives the call.
            let _ = unsafe {
                sys!(
                    in place __NR_rt_sigprocmask,
                    SIG_SETMASK as usize,
                    &raw const before as usize,
                    0,
                    SIGSET_SIZE
                )
            };
        }
    }
}
