//! A stretch of code that no signal handler of the application's interrupts.

use sysring_sys::abi::signal::{SIG_SETMASK, SIGSYS, SigSet};
use sysring_sys::call;

/// As long as it lives, signals are blocked on this thread: all but SIGSYS, which a filter raises
/// for a call that is made right here, and which kills where it is blocked.
pub struct Quiet {
    before: Option<SigSet>,
}

impl Quiet {
    pub fn new() -> Quiet {
        let all = SigSet::ALL.without(SIGSYS);
        Quiet { before: call::sigprocmask(SIG_SETMASK, Some(all)).ok() }
    }

    /// The mask as the application has it.
    pub fn mask(&self) -> Option<SigSet> {
        self.before
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if let Some(before) = self.before {
            let _ = call::sigprocmask(SIG_SETMASK, Some(before));
        }
    }
}
