//! Calling a thread back from a system call: by SIGSYS, which nobody sends otherwise, to threads that
//! block every other signal.

use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::Relaxed;

use crate::abi::signal::{SA_RESTORER, SA_SIGINFO, SIG_DFL, SIGSYS, SigAction, SigInfoSys, SigSet};
use crate::{Result, User, arch, call};

/// The trap has SIGSYS, and keeps it.
static TRAPPED: AtomicBool = AtomicBool::new(false);

/// Says that SIGSYS is handled by something that returns at once from a signal sent by `tgkill`, and
/// that stays.
pub fn declare_handled() {
    TRAPPED.store(true, Relaxed);
}

/// Whether a signal is known to call a thread back.
#[must_use]
pub fn is_handled() -> bool {
    TRAPPED.load(Relaxed) || handler() == Ok(ours())
}

/// Sees that a signal calls a thread back; whether it does. Without a trap SIGSYS is probably
/// nobody's: then it is given a handler that does nothing about one that is sent. The program may set
/// one of its own at any time, so each time it is asked anew.
pub fn prepare() -> bool {
    if TRAPPED.load(Relaxed) {
        return true;
    }
    match handler() {
        Ok(handler) if handler == ours() => return true,
        Ok(SIG_DFL) => {}
        _ => return false,
    }
    let new = SigAction {
        handler: ours(),
        flags: SA_SIGINFO | SA_RESTORER,
        restorer: arch::sigreturn_address(),
        mask: SigSet::EMPTY,
    };
    // SAFETY: the handler only returns, or ends the process as the default action does, which SIGSYS
    // had.
    unsafe { call::sigaction(SIGSYS, User::of(&raw const new), User::NULL) }.is_ok()
}

/// The handler that SIGSYS has.
fn handler() -> Result<usize> {
    let mut action = SigAction::default();
    // SAFETY: only asks.
    unsafe { call::sigaction(SIGSYS, User::NULL, User::of(&raw mut action)) }?;
    Ok(action.handler)
}

fn ours() -> usize {
    called_back as *const () as usize
}

/// Ends the call that a thread of this process makes, if a signal can. 0: nobody.
///
/// # Errors
/// `ESRCH`: it is gone. `EPERM` and others: a sandbox's word.
pub fn kick(process: i32, thread: i32) -> Result<()> {
    if thread == 0 { Ok(()) } else { call::tgkill(process, thread, SIGSYS) }
}

/// That a thread was sent here is all. But what the kernel raises, for a call that a filter traps, is to
/// end the process where nobody handles it: so it does. Without thread-local storage, which may be in use
/// elsewhere.
extern "C" fn called_back(signal: i32, info: &SigInfoSys) {
    if info.code <= 0 {
        return;
    }
    let default = SigAction::default();
    // SAFETY: the default action has no handler.
    let set = unsafe { call::sigaction(signal, User::of(&raw const default), User::NULL) };
    // It comes when this handler returns, which until then holds it back.
    if set.and_then(|()| call::tgkill(call::getpid(), call::gettid(), signal)).is_err() {
        call::exit_group(128 + signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_of_the_programs_is_noticed() {
        extern "C" fn other(_signal: i32) {}
        let set = |handler| {
            let restorer = arch::sigreturn_address();
            let new = SigAction { handler, flags: SA_RESTORER, restorer, mask: SigSet::EMPTY };
            // SAFETY: both handlers do nothing, and nobody sends the signal.
            unsafe { call::sigaction(SIGSYS, User::of(&raw const new), User::NULL) }.unwrap();
        };
        assert!(!is_handled());
        assert!(prepare() && is_handled() && prepare());
        set(other as *const () as usize);
        assert!(!prepare() && !is_handled());
        assert_eq!(handler(), Ok(other as *const () as usize));
        // Given back, it is taken again.
        set(SIG_DFL);
        assert!(prepare() && is_handled());
    }
}
