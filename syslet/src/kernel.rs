//! System calls that only scopes need.

use core::sync::atomic::AtomicU32;

use sysring_sys::abi::Timespec;
use sysring_sys::abi::signal::{SIG_SETMASK, SIGSYS, SigSet};
use sysring_sys::raw::general as g;
use sysring_sys::{Result, User, call};

/// A mask of processors, as `sched_setaffinity(2)` takes it.
pub type Processors = [u64; 16];

/// Sleeps while `word` holds `expected`, at most until a time of `CLOCK_MONOTONIC`.
pub fn sleep_while(word: &AtomicU32, expected: u32, until: Option<&Timespec>) -> Result<()> {
    call::futex_wait_bitset(User::of(word.as_ptr()), expected, u32::MAX, true, until)
}

/// Wakes one sleeper of [`sleep_while`].
pub fn wake(word: &AtomicU32) {
    let _ = call::futex_wake_bitset(User::of(word.as_ptr()), 1, u32::MAX, true);
}

/// The processor that runs this.
pub fn processor() -> Result<u32> {
    let mut processor = 0u32;
    // SAFETY: the kernel writes the word.
    unsafe { call::raw(g::__NR_getcpu, [&raw mut processor as usize, 0, 0, 0, 0, 0]) }?;
    Ok(processor)
}

/// Where this thread may run.
pub fn affinity() -> Result<Processors> {
    let mut mask = [0; 16];
    let args = [0, size_of_val(&mask), mask.as_mut_ptr() as usize, 0, 0, 0];
    // SAFETY: the kernel fills at most the mask.
    unsafe { call::raw(g::__NR_sched_getaffinity, args) }?;
    Ok(mask)
}

/// Binds this thread to one processor.
pub fn bind(processor: u32) -> Result<()> {
    let mut mask: Processors = [0; 16];
    let word = mask.get_mut(processor as usize / 64).ok_or(sysring_sys::Errno::EINVAL)?;
    *word = 1 << (processor % 64);
    call::sched_setaffinity(0, &mask)
}

/// Lets this thread run only where the processor has nothing else to do.
pub fn become_idle() -> Result<()> {
    const SCHED_IDLE: usize = 5;
    let priority = 0u32;
    let args = [0, SCHED_IDLE, &raw const priority as usize, 0, 0, 0];
    // SAFETY: the kernel reads the parameter.
    unsafe { call::raw(g::__NR_sched_setscheduler, args) }.map(drop)
}

/// Lets another thread of ours run as others do: for who may do that.
pub fn make_normal(thread: u32) -> Result<()> {
    const SCHED_OTHER: usize = 0;
    let priority = 0u32;
    let args = [thread as usize, SCHED_OTHER, &raw const priority as usize, 0, 0, 0];
    // SAFETY: the kernel reads the parameter.
    unsafe { call::raw(g::__NR_sched_setscheduler, args) }.map(drop)
}

/// Does something that no handler may interrupt.
pub fn without_signals<T>(f: impl FnOnce() -> T) -> T {
    let mask = call::sigprocmask(SIG_SETMASK, Some(SigSet::ALL.without(SIGSYS)));
    let done = f();
    if let Ok(mask) = mask {
        let _ = call::sigprocmask(SIG_SETMASK, Some(mask));
    }
    done
}

/// Makes timers of this thread go off when they are due (usually: within 50 µs).
pub fn punctual() {
    const PR_SET_TIMERSLACK: u32 = 29;
    // SAFETY: a number.
    let _ = unsafe { call::prctl(PR_SET_TIMERSLACK, [1, 0, 0, 0]) };
}

/// The name that tools show.
pub fn set_name(name: &core::ffi::CStr) {
    const PR_SET_NAME: u32 = 15;
    // SAFETY: a C string of ours.
    let _ = unsafe { call::prctl(PR_SET_NAME, [name.as_ptr() as usize, 0, 0, 0]) };
}

/// Where handlers run that ask for a stack of their own: `stack_t`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct SignalStack {
    pub start: usize,
    /// `SS_*`.
    pub flags: usize,
    pub len: usize,
}

/// Gives this thread a stack for signal handlers.
///
/// # Safety
/// The memory is this thread's for as long as it runs.
pub unsafe fn set_signal_stack(stack: &SignalStack) -> Result<()> {
    let args = [core::ptr::from_ref(stack) as usize, 0, 0, 0, 0, 0];
    // SAFETY: the caller vouches for the memory.
    unsafe { call::raw(g::__NR_sigaltstack, args) }.map(drop)
}

/// The stack that this thread has for them.
pub fn signal_stack() -> Result<SignalStack> {
    const SS_ONSTACK: usize = 1;
    let mut stack = SignalStack { start: 0, flags: 0, len: 0 };
    // SAFETY: the kernel writes the structure.
    unsafe { call::raw(g::__NR_sigaltstack, [0, &raw mut stack as usize, 0, 0, 0, 0]) }?;
    // The flags are 32 bits; that it is in use is not for setting.
    stack.flags &= 0xffff_ffff & !SS_ONSTACK;
    Ok(stack)
}

const MEMBARRIER_PRIVATE_EXPEDITED: usize = 1 << 3;
const MEMBARRIER_REGISTER_PRIVATE_EXPEDITED: usize = 1 << 4;

/// Asks for [`fence_all_threads`].
pub fn prepare_fences() -> Result<()> {
    // SAFETY: numbers.
    unsafe { call::raw(g::__NR_membarrier, [MEMBARRIER_REGISTER_PRIVATE_EXPEDITED, 0, 0, 0, 0, 0]) }
        .map(drop)
}

/// When this returns, every thread of the process has executed a full memory barrier.
pub fn fence_all_threads() -> Result<()> {
    // SAFETY: numbers.
    unsafe { call::raw(g::__NR_membarrier, [MEMBARRIER_PRIVATE_EXPEDITED, 0, 0, 0, 0, 0]) }
        .map(drop)
}
