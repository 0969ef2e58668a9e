//! The monitor: one thread of the process that looks at every context now and then.
//!
//! It is the safety net of the detectors: on a processor that something else keeps busy, an idle
//! thread does not run for hundreds of milliseconds. A context that is inside the same call at two
//! looks in a row gets a standby. When no context makes calls the monitor sleeps, and the next call
//! wakes it.

use core::ptr;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use core::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32};

use sysring_sys::abi::signal::{SIG_SETMASK, SIGSYS, SigSet};
use sysring_sys::abi::{NSEC_PER_SEC, Timespec};
use sysring_sys::raw::general as g;
use sysring_sys::sync::{Guard, Mutex};
use sysring_sys::{Errno, Result, arch, call};

use crate::context::{Context, watcher};
use crate::kernel;
use crate::late;
use crate::process;

/// Nanoseconds between two looks.
const TICK: i64 = 200_000;
/// Looks without a call before it sleeps.
const QUIET: u32 = 10;
/// Seconds it stays when there is no context.
const IDLE: i64 = 2;
const STACK: usize = 32 << 10;
const GUARD: usize = 4 << 10;

/// The process's contexts.
struct Registry {
    first: AtomicPtr<Context>,
    /// Those that are over, but for their detectors.
    late: AtomicPtr<Context>,
    /// There is a monitor.
    running: bool,
}

static REGISTRY: Mutex<Registry> = Mutex::new(Registry {
    first: AtomicPtr::new(ptr::null_mut()),
    late: AtomicPtr::new(ptr::null_mut()),
    running: false,
});
/// 1 while the monitor sleeps until it is woken.
static ASLEEP: AtomicU32 = AtomicU32::new(0);
/// Whose registry it is, by the process's number: a child of `fork` has a copy that is not its own.
/// Negated while it is being made anew.
static PROCESS: AtomicI32 = AtomicI32::new(0);

fn registry() -> Guard<'static, Registry> {
    let me = process::number();
    loop {
        let owner = PROCESS.load(Acquire);
        if owner == me {
            return REGISTRY.lock();
        }
        if owner == -me {
            call::sched_yield();
        } else if PROCESS.compare_exchange(owner, -me, Acquire, Relaxed).is_ok() {
            REGISTRY.reset();
            let mut registry = REGISTRY.lock();
            registry.first.store(ptr::null_mut(), Relaxed);
            registry.late.store(ptr::null_mut(), Relaxed);
            registry.running = false;
            late::forget();
            ASLEEP.store(0, Relaxed);
            // Release pairs with the Acquire above.
            PROCESS.store(me, Release);
            return registry;
        }
    }
}

impl Registry {
    fn contexts(&self) -> impl Iterator<Item = &Context> {
        // SAFETY: contexts are taken off the list before they end.
        let at = |next: &AtomicPtr<Context>| unsafe { next.load(Relaxed).as_ref() };
        core::iter::successors(at(&self.first), move |context| at(&context.next))
    }

    /// Looks at everybody, and helps who needs it; whether calls are being made.
    fn look(&self) -> bool {
        let mut active = false;
        for context in self.contexts() {
            let state = context.state.load(Acquire);
            let as_before = context.seen.swap(state, Relaxed) == state;
            let needs_help = context.needs_help(state);
            active |= needs_help || !as_before;
            if needs_help && as_before {
                context.hunt(state);
            }
        }
        active
    }

    /// Gives back what belonged to detectors that are gone by now; whether some are not.
    fn sweep(&self) -> bool {
        let left = late::without_the_gone(self.late.load(Relaxed));
        self.late.store(left, Relaxed);
        !left.is_null()
    }

    /// Asks to be woken by the next call of anybody; false: somebody is in one.
    fn may_sleep(&self) -> bool {
        ASLEEP.store(1, SeqCst);
        for context in self.contexts() {
            context.attention.fetch_or(watcher::MONITOR, SeqCst);
        }
        // A context stores its state and then looks for sleepers, without a fence. This is one for
        // both sides: either it sees the request above, or its state is seen below.
        let seen = kernel::fence_all_threads().is_ok();
        if seen && !self.contexts().any(|c| c.needs_help(c.state.load(SeqCst))) {
            return true;
        }
        ASLEEP.store(0, Relaxed);
        false
    }
}

/// The context of the thread whose FS base this is.
pub fn find(fs: usize) -> Option<*const Context> {
    let registry = registry();
    let found = registry.contexts().find(|context| context.fs.load(Relaxed) == fs);
    found.map(ptr::from_ref)
}

/// Watches over a context from now on.
///
/// # Errors
/// No thread or no memory for the monitor, or no `membarrier(2)`.
pub fn enlist(context: &Context) -> Result<()> {
    kernel::prepare_fences()?;
    let mut registry = registry();
    registry.sweep();
    if !registry.running {
        start()?;
        registry.running = true;
    }
    context.next.store(registry.first.load(Relaxed), Relaxed);
    registry.first.store(ptr::from_ref(context).cast_mut(), Relaxed);
    if ASLEEP.load(Relaxed) == 1 {
        context.attention.fetch_or(watcher::MONITOR, SeqCst);
    }
    Ok(())
}

/// Watches over a context no longer: afterwards the monitor does not touch it.
pub fn strike_off(context: &Context) {
    let registry = registry();
    let mut link = &registry.first;
    loop {
        let next = link.load(Relaxed);
        if ptr::eq(next, context) {
            return link.store(context.next.load(Relaxed), Relaxed);
        }
        // SAFETY: contexts are taken off the list before they end.
        let Some(here) = (unsafe { next.as_ref() }) else { return };
        link = &here.next;
    }
}

/// Takes over the memory of a scope that is over, until its detector is gone.
pub fn adopt(context: &Context) {
    let registry = registry();
    context.next.store(registry.late.load(Relaxed), Relaxed);
    registry.late.store(ptr::from_ref(context).cast_mut(), Relaxed);
}

/// A call begins.
pub fn wake() {
    if ASLEEP.swap(0, SeqCst) == 1 {
        kernel::wake(&ASLEEP);
    }
}

fn start() -> Result<()> {
    let flags = g::CLONE_VM
        | g::CLONE_FS
        | g::CLONE_FILES
        | g::CLONE_SIGHAND
        | g::CLONE_THREAD
        | g::CLONE_SYSVSEM;
    let memory = call::map_anonymous(STACK + GUARD, false)? as usize;
    // SAFETY: fresh memory of ours.
    let guarded = unsafe { call::mprotect(memory, GUARD, g::PROT_NONE) };
    let top = memory + GUARD + STACK;
    // It begins with this thread's mask and storage, and no handler must ever run there.
    let mask = call::sigprocmask(SIG_SETMASK, Some(SigSet::ALL.without(SIGSYS)));
    let started = guarded.and(mask).and_then(|_| {
        // SAFETY: the stack stays until the thread unmaps it.
        Errno::from_ret(unsafe {
            arch::clone_thread(flags as usize, top, 0, 0, monitor_thread, memory)
        })
    });
    if let Ok(mask) = mask {
        let _ = call::sigprocmask(SIG_SETMASK, Some(mask));
    }
    if started.is_err() {
        // SAFETY: no thread runs on it.
        let _ = unsafe { call::munmap(memory, STACK + GUARD) };
    }
    started.map(drop)
}

extern "C" fn monitor_thread(memory: usize) -> ! {
    let _ = call::sigprocmask(SIG_SETMASK, Some(SigSet::ALL));
    // SAFETY: scopes exist only where FSGSBASE does, and this thread is ours.
    unsafe { crate::arch::clear_fs_base() };
    kernel::set_name(c"syslet-mon");
    kernel::punctual();
    let mut quiet = 0;
    loop {
        call::nanosleep(TICK);
        let registry = REGISTRY.lock();
        quiet = if registry.look() { 0 } else { quiet + 1 };
        if quiet < QUIET || !registry.may_sleep() {
            continue;
        }
        drop(registry);
        quiet = 0;
        let woken = sleep();
        let mut registry = REGISTRY.lock();
        let all_gone = !registry.sweep();
        if !woken && all_gone && registry.first.load(Relaxed).is_null() {
            ASLEEP.store(0, Relaxed);
            registry.running = false;
            break;
        }
    }
    // SAFETY: the thread's own stack, every signal blocked, and nobody knows of it.
    unsafe { arch::unmap_and_exit(memory, STACK + GUARD) }
}

/// Sleeps until a call begins, or for some seconds; whether it was a call.
fn sleep() -> bool {
    let now = call::now(call::CLOCK_MONOTONIC);
    let until = Timespec { tv_sec: now / NSEC_PER_SEC + IDLE, tv_nsec: now % NSEC_PER_SEC };
    while ASLEEP.load(SeqCst) == 1 {
        if kernel::sleep_while(&ASLEEP, 1, Some(&until)) == Err(Errno::ETIMEDOUT) {
            return false;
        }
    }
    true
}
