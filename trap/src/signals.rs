//! SIGSYS is ours; the application gets one that behaves like its own.
//!
//! What it does to the real one is recorded and answered, never carried out: were SIGSYS blocked
//! or ignored when a call is trapped, the kernel would kill the process. So SIGSYS is kept out of
//! every mask that reaches the kernel, whether for a thread, a handler or a sleep.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use sysring_sys::abi::signal::{
    SI_TIMER, SI_TKILL, SIG_BLOCK, SIG_DFL, SIG_IGN, SIG_SETMASK, SIG_UNBLOCK, SIGSET_SIZE, SIGSYS,
    SYS_SECCOMP, SigAction, SigInfoSys, SigSet,
};
use sysring_sys::call;
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Result, User};

use crate::context::Context;
use crate::memory::confined as memory;
use crate::process;

const SIGNALS: i32 = 64;

/// What no mask can hold.
const UNBLOCKABLE: u64 = 1 << (g::SIGKILL - 1) | 1 << (g::SIGSTOP - 1);

/// What the threads of a scope leave open, though nothing else: the signals that a thread raises by
/// what it does.
const FAULTS: u64 = 1 << (g::SIGSEGV - 1)
    | 1 << (g::SIGBUS - 1)
    | 1 << (g::SIGILL - 1)
    | 1 << (g::SIGFPE - 1)
    | 1 << (g::SIGTRAP - 1);

/// The action the application set for SIGSYS: handler, flags, restorer, mask. Each word is
/// whole; two threads that set it at once get one of each, and deserve no better.
static ACTION: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];

/// Signals whose handler the application wants run with SIGSYS blocked: to be shown, not done.
static HANDLERS_WITH_SIGSYS: AtomicU64 = AtomicU64::new(0);

/// What threads last did to their masks ([`LastSet`]), by the low bits of the thread id. A thread
/// that lost its place to another is judged by its mask alone ([`is_blocked`]).
static LAST_SET: [AtomicU64; 512] = [const { AtomicU64::new(0) }; 512];

/// A SIGSYS was sent to a thread that thinks it blocks it.
static PENDING: AtomicBool = AtomicBool::new(false);

/// `rt_sigprocmask(PROBE, NULL, NULL)` does nothing, successfully; where this crate serves the
/// call it answers `PROBE`.
pub const PROBE: u32 = 0x5359_5352;

/// Takes over what the process was started with, before the handler is installed.
pub fn inherit() -> Result<()> {
    let mut action = SigAction::default();
    // SAFETY: asks only.
    unsafe { call::sigaction(SIGSYS, User::NULL, User::of(&raw mut action)) }?;
    record(&action);
    let before = call::sigprocmask(SIG_UNBLOCK, Some(SigSet::EMPTY.with(SIGSYS)))?;
    remember(before, before.has(SIGSYS));
    // Handlers that are there already, and would run with SIGSYS blocked.
    for signal in (1..=SIGNALS).filter(|&signal| signal != SIGSYS) {
        let mut action = SigAction::default();
        // SAFETY: asks only.
        let asked = unsafe { call::sigaction(signal, User::NULL, User::of(&raw mut action)) };
        if asked.is_ok() && action.mask.has(SIGSYS) {
            swap_real(signal, Some(action))?;
        }
    }
    Ok(())
}

/// Serves the call if it deals in signals.
pub fn serve(nr: u32, a: [usize; 6], context: &mut Context) -> Option<Result<usize>> {
    let result = match nr {
        g::__NR_rt_sigaction => sigaction(a),
        g::__NR_rt_sigprocmask => sigprocmask(a, context),
        g::__NR_rt_sigsuspend => sleep(nr, a, 0, 1),
        g::__NR_ppoll => sleep(nr, a, 3, 4),
        g::__NR_epoll_pwait | g::__NR_epoll_pwait2 => sleep(nr, a, 4, 5),
        g::__NR_pselect6 | g::__NR_io_pgetevents => sleep_by_pair(nr, a, context),
        _ => return None,
    };
    Some(result)
}

fn sigaction(a: [usize; 6]) -> Result<usize> {
    let (signal, old) = (a[0] as i32, User::<SigAction>::new(a[2] as u64));
    if a[3] != SIGSET_SIZE || !(1..=SIGNALS).contains(&signal) {
        return Err(Errno::EINVAL);
    }
    let new = match User::<SigAction>::new(a[1] as u64) {
        address if address.is_null() => None,
        address => Some(memory::read(address)?),
    };
    let before = if signal == SIGSYS { swap_own(new) } else { swap_real(signal, new)? };
    if !old.is_null() {
        memory::write(old, &before)?;
    }
    Ok(0)
}

/// `rt_sigaction` of SIGSYS itself.
fn swap_own(new: Option<SigAction>) -> SigAction {
    let before = recorded();
    // A child of `vfork` resets its handlers before it executes another program; the record is
    // its parent's.
    if let Some(mut new) = new
        && !process::is_borrowed()
    {
        new.mask.0 &= !UNBLOCKABLE;
        record(&new);
    }
    before
}

/// `rt_sigaction` of another signal, SIGSYS taken out of its mask.
fn swap_real(signal: i32, new: Option<SigAction>) -> Result<SigAction> {
    let bit = 1u64 << (signal - 1);
    let shown = HANDLERS_WITH_SIGSYS.load(Relaxed) & bit != 0;
    let mut before = SigAction::default();
    let stripped = new.map(|new| SigAction { mask: new.mask.without(SIGSYS), ..new });
    let act = stripped.as_ref().map_or(User::NULL, |act| User::of(act));
    // SAFETY: the handler is the application's, and its own business.
    unsafe { call::sigaction(signal, act, User::of(&raw mut before)) }?;
    if let Some(new) = new
        && new.mask.has(SIGSYS) != shown
        && !process::is_borrowed()
    {
        HANDLERS_WITH_SIGSYS.fetch_xor(bit, Relaxed);
    }
    if shown {
        before.mask = before.mask.with(SIGSYS);
    }
    Ok(before)
}

fn sigprocmask(a: [usize; 6], context: &mut Context) -> Result<usize> {
    let (how, set, old) = (a[0] as i32, User::<SigSet>::new(a[1] as u64), User::new(a[2] as u64));
    if a[3] != SIGSET_SIZE {
        return Err(Errno::EINVAL);
    }
    if how as u32 == PROBE && set.is_null() && old.is_null() {
        return Ok(PROBE as usize);
    }
    let mask = context.sigmask();
    let blocked = is_blocked(mask);
    let before = if blocked { mask.with(SIGSYS) } else { mask };
    if !set.is_null() {
        let SigSet(set) = memory::read(set)?;
        let after = SigSet(match how {
            SIG_BLOCK => before.0 | set,
            SIG_UNBLOCK => before.0 & !set,
            SIG_SETMASK => set,
            _ => return Err(Errno::EINVAL),
        });
        context.set_sigmask(SigSet(after.without(SIGSYS).0 & !UNBLOCKABLE));
        remember(after, after.has(SIGSYS));
        if blocked && !after.has(SIGSYS) && PENDING.swap(false, Relaxed) {
            // Comes as soon as this handler returns.
            call::tgkill(call::getpid(), call::gettid(), SIGSYS)?;
        }
    }
    if !old.is_null() {
        memory::write(old, &before)?;
    }
    Ok(0)
}

/// A call that sleeps with the mask at argument `set`, made with SIGSYS taken out of it.
fn sleep(nr: u32, mut a: [usize; 6], set: usize, size: usize) -> Result<usize> {
    if a[size] != SIGSET_SIZE {
        return Err(Errno::EINVAL);
    }
    let mask = memory::read(User::<SigSet>::new(a[set] as u64))?.without(SIGSYS);
    a[set] = &raw const mask as usize;
    // SAFETY: the application's call; the kernel checks its addresses, and the mask is ours.
    unsafe { call::raw(nr, a) }
}

/// `pselect6` and `io_pgetevents` hide their mask behind one more pointer, and that may be null.
fn sleep_by_pair(nr: u32, mut a: [usize; 6], context: &Context) -> Result<usize> {
    let [set, size] = memory::read(User::<[u64; 2]>::new(a[5] as u64))?;
    // No mask means the thread's own, which is not the one this handler runs with.
    let mask = if set == 0 {
        context.sigmask()
    } else if size as usize == SIGSET_SIZE {
        memory::read(User::<SigSet>::new(set))?.without(SIGSYS)
    } else {
        return Err(Errno::EINVAL);
    };
    let replaced = [&raw const mask as usize, SIGSET_SIZE];
    a[5] = replaced.as_ptr() as usize;
    // SAFETY: as in `sleep`.
    unsafe { call::raw(nr, a) }
}

/// Hands a SIGSYS that is not this crate's to the application.
///
/// # Safety
/// The arguments must be the ones the kernel called the handler with.
pub unsafe fn deliver(signal: i32, info: *mut SigInfoSys, context: *mut Context) {
    // SAFETY: both are the signal frame's, by the caller's word.
    let (code, mask) = unsafe { ((*info).code, (*context).sigmask()) };
    let action = recorded();
    let blocked = is_blocked(mask);
    // From a filter of the application's: cannot be blocked or ignored.
    let forced = code == SYS_SECCOMP;
    if !forced {
        // A thread of the engine's or of a scope's, called out of a call it sleeps in: nobody else
        // blocks the signals that libc keeps for itself. Or one of the application's that is in the engine, and
        // has an alarm there.
        if matches!(code, SI_TKILL | SI_TIMER)
            && mask.with(SIGSYS).0 | UNBLOCKABLE | FAULTS == SigSet::ALL.0
        {
            return;
        }
        if blocked {
            PENDING.store(true, Relaxed);
            return;
        }
        if action.handler == SIG_IGN {
            return;
        }
    }
    if matches!(action.handler, SIG_DFL | SIG_IGN) {
        die(SIGSYS);
    }
    if action.flags & u64::from(g::SA_RESETHAND) != 0 {
        record(&SigAction { handler: SIG_DFL, ..action });
    }
    let nested = action.flags & u64::from(g::SA_NODEFER) != 0 && !action.mask.has(SIGSYS);
    let during = SigSet(mask.0 | action.mask.0).without(SIGSYS);
    remember(during, !nested);
    // The calls cannot fail: known operations on memory of ours.
    let _ = call::sigprocmask(SIG_SETMASK, Some(during));
    // SAFETY: the application set this address as its handler of SIGSYS. One that takes fewer
    // arguments does not look at the registers of the others.
    unsafe {
        let handler: unsafe extern "C" fn(i32, *mut SigInfoSys, *mut Context) =
            core::mem::transmute(action.handler);
        handler(signal, info, context);
    }
    let _ = call::sigprocmask(SIG_SETMASK, Some(SigSet::ALL));
    // SAFETY: the frame is the kernel's, and stays until this handler returns; the application's
    // handler may have edited the mask the thread returns to.
    unsafe {
        let after = (*context).sigmask();
        remember(after, blocked || after.has(SIGSYS));
        (*context).set_sigmask(after.without(SIGSYS));
    }
}

/// Ends the process by `signal`, as if it had never been handled.
pub fn die(signal: i32) -> ! {
    let default = SigAction::default();
    // SAFETY: no handler is installed.
    let _ = unsafe { call::sigaction(signal, User::of(&default), User::NULL) };
    let _ = call::tgkill(call::getpid(), call::gettid(), signal);
    let _ = call::sigprocmask(SIG_UNBLOCK, Some(SigSet::EMPTY.with(signal)));
    call::exit_group(128 + signal)
}

fn recorded() -> SigAction {
    let [handler, flags, restorer, mask] = [0, 1, 2, 3].map(|i: usize| ACTION[i].load(Relaxed));
    SigAction { handler: handler as usize, flags, restorer: restorer as usize, mask: SigSet(mask) }
}

fn record(action: &SigAction) {
    let words = [action.handler as u64, action.flags, action.restorer as u64, action.mask.0];
    for (place, word) in ACTION.iter().zip(words) {
        place.store(word, Relaxed);
    }
}

/// The signals below SIGSYS: all the standard ones.
const BELOW: u64 = (1 << (SIGSYS - 1)) - 1;

/// A thread's id, the standard signals it blocked, and whether SIGSYS was among them.
#[derive(Clone, Copy)]
struct LastSet(u64);

impl LastSet {
    fn new(tid: u32, mask: SigSet, blocked: bool) -> LastSet {
        LastSet(u64::from(tid) << 32 | (mask.0 & BELOW & !UNBLOCKABLE) << 1 | u64::from(blocked))
    }

    fn tid(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn is_of_mask(self, mask: SigSet) -> bool {
        self.0 >> 1 & BELOW == mask.0 & BELOW
    }

    fn blocked(self) -> bool {
        self.0 & 1 != 0
    }
}

/// Whether the calling thread, whose real mask is `mask`, thinks SIGSYS blocked.
fn is_blocked(mask: SigSet) -> bool {
    let tid = call::gettid() as u32;
    let last = LastSet(place(tid).load(Relaxed));
    let known = last.tid() == tid;
    if known && last.is_of_mask(mask) {
        return last.blocked();
    }
    // The mask was inherited, or is a handler's: who blocks all the others blocks SIGSYS too.
    (mask.0 | UNBLOCKABLE) & BELOW == BELOW || known && last.blocked()
}

/// Notes that the calling thread sets its mask.
fn remember(mask: SigSet, blocked: bool) {
    let tid = call::gettid() as u32;
    place(tid).store(LastSet::new(tid, mask, blocked).0, Relaxed);
}

fn place(tid: u32) -> &'static AtomicU64 {
    &LAST_SET[tid as usize % LAST_SET.len()]
}
