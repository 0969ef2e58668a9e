//! This process, and whether it still is the one it was: `fork` makes another of it.

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32};

use sysring_sys::{Result, call, raw::general as g};

use crate::memory::PAGE;
use crate::op::moment;
use crate::{descriptors, driver, memory, personality, register, sleeper, unsettled, wq};

/// A word that the kernel zeroes in a child of `fork` (`MADV_WIPEONFORK`, Linux 4.14): one load
/// tells a child from its parent.
static MARK: AtomicPtr<AtomicU32> = AtomicPtr::new(core::ptr::null_mut());
static PID: AtomicI32 = AtomicI32::new(0);
/// Whose rings a child of `fork` has: the process that used them last.
static PARENT: AtomicI32 = AtomicI32::new(0);

/// That process's id.
#[must_use]
pub fn parent() -> i32 {
    PARENT.load(Relaxed)
}

/// This process's id, without a system call.
#[must_use]
pub fn id() -> i32 {
    match PID.load(Relaxed) {
        0 => call::getpid(),
        pid => pid,
    }
}

/// To be called first by everything that enters the engine: makes the engine's private state
/// that of this process.
///
/// # Errors
/// `ENOMEM`.
#[inline]
pub fn enter() -> Result<()> {
    let mark = MARK.load(Acquire);
    // SAFETY: once set, the page stays mapped.
    if !mark.is_null() && unsafe { (*mark).load(Relaxed) } == MARKED {
        return Ok(());
    }
    enter_anew(mark)
}

/// The same for what may come by without a ring: a process that never entered stays as it is.
pub fn enter_again() {
    if !MARK.load(Acquire).is_null() {
        // The page is there: nothing is allocated.
        let _ = enter();
    }
}

const MARKED: u32 = 1;
const UNRELIABLE: u32 = 2;
/// What `madvise` has never heard of.
const NO_ADVICE: u32 = 9999;

/// This process listens for file events (`inotify`, `fanotify`), which kernel AIO raises none of.
static NOTIFIED: AtomicBool = AtomicBool::new(false);

/// The engine is a library's: nobody tells it what the program does by system calls of its own.
static UNHEARD: AtomicBool = AtomicBool::new(false);

/// Notes that nobody hears of system calls outside the library.
pub fn set_unheard() {
    UNHEARD.store(true, Relaxed);
}

/// Whether nobody does.
#[must_use]
pub fn is_unheard() -> bool {
    UNHEARD.load(Relaxed)
}

/// The process has asked to be notified of file events.
pub fn notify() {
    NOTIFIED.store(true, Relaxed);
}

/// Whether the process listens for file events, which transfers must raise then.
#[must_use]
pub fn is_notified() -> bool {
    NOTIFIED.load(Relaxed)
}

/// To be called before the process `ends` or executes another program.
pub fn leave(ends: bool) {
    let mark = MARK.load(Acquire);
    // SAFETY: once set, the page stays mapped.
    let entered = !mark.is_null() && unsafe { (*mark).load(Relaxed) } != 0;
    // A child of `fork` that never came here has nothing under way, and one of `vfork` is in its
    // parent's memory.
    if entered && call::getpid() == PID.load(Relaxed) {
        descriptors::leave(ends);
    }
}

#[cold]
fn enter_anew(mark: *mut AtomicU32) -> Result<()> {
    if mark.is_null() {
        return first_time();
    }
    // SAFETY: once set, the page stays mapped.
    let word = unsafe { &*mark };
    let pid = call::getpid();
    if word.load(Relaxed) == UNRELIABLE && pid == PID.load(Relaxed) {
        return Ok(());
    }
    PARENT.store(PID.swap(pid, Relaxed), Relaxed);
    memory::after_fork();
    wq::after_fork();
    sleeper::after_fork();
    personality::after_fork();
    driver::after_fork();
    descriptors::after_fork();
    register::after_fork();
    unsettled::after_fork();
    moment::after_fork();
    if word.load(Relaxed) != UNRELIABLE {
        word.store(MARKED, Release);
    }
    Ok(())
}

fn first_time() -> Result<()> {
    let page = call::map_anonymous(PAGE, false)?;
    // SAFETY: the page is ours; wiping it in children loses nothing, and the other is no advice.
    let advised = |advice| unsafe { call::madvise(page as usize, PAGE, advice) }.is_ok();
    // QEMU's user mode takes any advice, and follows none.
    let honest = advised(g::MADV_WIPEONFORK) && !advised(NO_ADVICE);
    let word = page.cast::<AtomicU32>();
    PID.store(call::getpid(), Relaxed);
    // Without the advice every entry asks for the process id instead.
    // SAFETY: the page was just mapped, and is aligned.
    unsafe { (*word).store(if honest { MARKED } else { UNRELIABLE }, Relaxed) };
    // Release pairs with the Acquire in `enter`: who sees the page sees its word. A second thread
    // that got here at the same time leaves its page behind.
    let _ = MARK.compare_exchange(core::ptr::null_mut(), word, Release, Relaxed);
    Ok(())
}
