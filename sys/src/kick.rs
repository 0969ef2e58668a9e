//! Calling a thread back from a system call: by SIGSYS, which nobody sends otherwise, to threads that
//! block every other signal.

use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::Relaxed;

use crate::abi::signal::{SA_RESTORER, SIG_DFL, SIGSYS, SigAction, SigSet};
use crate::{Result, User, arch, call};

/// SIGSYS has a handler that may be run on any thread of ours.
static HANDLED: AtomicBool = AtomicBool::new(false);

/// Says that SIGSYS is handled by something that returns at once from a signal sent by `tgkill`.
pub fn is_handled_from_now_on() {
    HANDLED.store(true, Relaxed);
}

/// Whether a signal is known to call a thread back.
#[must_use]
pub fn is_handled() -> bool {
    HANDLED.load(Relaxed)
}

/// Sees that a signal calls a thread back; whether it does. Without a trap SIGSYS is probably
/// nobody's: then it is given a handler that does nothing.
pub fn prepare() -> bool {
    if HANDLED.load(Relaxed) {
        return true;
    }
    let mut old = SigAction::default();
    // SAFETY: only asks.
    let asked = unsafe { call::sigaction(SIGSYS, User::NULL, User::of(&raw mut old)) };
    if asked.is_err() || old.handler != SIG_DFL {
        return false;
    }
    let new = SigAction {
        handler: ignore as *const () as usize,
        flags: SA_RESTORER,
        restorer: arch::sigreturn_address(),
        mask: SigSet::EMPTY,
    };
    // SAFETY: the handler does nothing; SIGSYS had the default action, which is to die.
    if unsafe { call::sigaction(SIGSYS, User::of(&raw const new), User::NULL) }.is_ok() {
        HANDLED.store(true, Relaxed);
    }
    HANDLED.load(Relaxed)
}

/// Ends the call that a thread of this process makes, if a signal can. 0: nobody.
///
/// # Errors
/// `ESRCH`: it is gone. `EPERM` and others: a sandbox's word.
pub fn kick(process: i32, thread: i32) -> Result<()> {
    if thread == 0 { Ok(()) } else { call::tgkill(process, thread, SIGSYS) }
}

extern "C" fn ignore(_signal: i32) {}
