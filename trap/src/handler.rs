//! The SIGSYS handler: from an interrupted call to its answer.

use sysring_sys::abi::signal::{
    SA_ONSTACK, SA_RESTORER, SA_SIGINFO, SIGSET_SIZE, SIGSYS, SYS_SECCOMP, SigAction, SigInfoSys,
    SigSet,
};
use sysring_sys::arch;
use sysring_sys::call;
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Result, User};

use crate::context::Context;
use crate::{context, exec, fds, filter, io_uring, process, signals, spawn, stack};

/// Installs the handler, for the life of this program.
///
/// # Errors
/// The kernel's, from `rt_sigaction`.
pub fn install() -> Result<()> {
    process::init();
    context::init();
    signals::inherit()?;
    let action = SigAction {
        handler: entry as *const () as usize,
        // On the alternate stack where there is one: the stacks of Go's goroutines hold no signal
        // frame. Everything blocked: nothing of the engine's may be interrupted halfway.
        flags: SA_SIGINFO | SA_ONSTACK | SA_RESTORER,
        restorer: arch::sigreturn_address(),
        mask: SigSet::ALL,
    };
    // SAFETY: the handler uses its own stack frame, atomics, and what the engine promises to be
    // usable in a signal handler; it may run anywhere.
    unsafe { call::sigaction(SIGSYS, User::of(&action), User::NULL) }?;
    // A worker may be called out of a sleep by the same signal (`signals::deliver`).
    sysring_engine::thread::declare_kick_handled();
    Ok(())
}

/// Whether this thread's calls are trapped, and served.
///
/// Asks with a call that does nothing: so the question may be put at any time, and is answered by
/// whichever copy of this crate serves the process.
#[must_use]
pub fn is_filtered() -> bool {
    let args = [signals::PROBE as usize, 0, 0, SIGSET_SIZE];
    // SAFETY: without sets the call does nothing, whatever its first argument.
    unsafe { application_call(g::__NR_rt_sigprocmask as usize, args) == signals::PROBE as isize }
}

/// A call as an application makes it: not through the gate.
#[cfg(target_arch = "x86_64")]
unsafe fn application_call(nr: usize, a: [usize; 4]) -> isize {
    let result;
    // SAFETY: the caller vouches for the call; it changes no other register.
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") nr as isize => result,
            in("rdi") a[0],
            in("rsi") a[1],
            in("rdx") a[2],
            in("r10") a[3],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// A call as an application makes it: not through the gate.
#[cfg(target_arch = "aarch64")]
unsafe fn application_call(nr: usize, a: [usize; 4]) -> isize {
    let result;
    // SAFETY: the caller vouches for the call; it changes no other register.
    unsafe {
        core::arch::asm!(
            "svc #0",
            in("x8") nr,
            inlateout("x0") a[0] as isize => result,
            in("x1") a[1],
            in("x2") a[2],
            in("x3") a[3],
            options(nostack),
        );
    }
    result
}

unsafe extern "C" fn entry(signal: i32, info: *mut SigInfoSys, context: *mut Context) {
    // SAFETY: the kernel hands both structures to a handler with SA_SIGINFO.
    let (info_now, nr, place) = unsafe { (*info, (*context).nr(), Place::of(&*context)) };
    if info_now.code != SYS_SECCOMP || info_now.errno != i32::from(filter::MARK) {
        // SAFETY: the arguments are the kernel's.
        return unsafe { signals::deliver(signal, info, context) };
    }
    // What the call is to read and write is memory that the caller may.
    // SAFETY: the frame is the kernel's.
    unsafe { (*context).take_rights() };
    let frame = context.cast();
    match place {
        Place::Alternate { end } if needs_room(nr) => return stack::with_room(frame, end, serve),
        // A child that is lent this memory must be able to leave our stack for an alternate one.
        Place::Within { end } if nr == g::__NR_clone => {
            return stack::with_room(frame, end, serve);
        }
        Place::Within { end } if needs_room(nr) => {
            return stack::with_room(frame, end, serve_within);
        }
        Place::Alternate { end } | Place::Within { end } if ends_program(nr) => {
            stack::with_room(frame, end, leave);
        }
        // SAFETY: the frame is the kernel's.
        Place::Ordinary if ends_program(nr) => unsafe { leave(frame, 0) },
        _ => {}
    }
    // SAFETY: the frame is the kernel's.
    unsafe { serve(frame, 0) }
}

/// Where the signal frame lies.
enum Place {
    /// On the stack that the thread was on.
    Ordinary,
    /// On the alternate stack, which ends at `end`, and holds nothing else that lives.
    Alternate { end: usize },
    /// There, too, and the thread was on that stack already: what lies from `end` on is the program's.
    Within { end: usize },
}

impl Place {
    fn of(context: &Context) -> Place {
        let (altstack, frame) = (context.altstack, core::ptr::from_ref(context) as usize);
        match (altstack.end_if_on(frame), altstack.end_if_on(context.stack())) {
            (None, _) => Place::Ordinary,
            // (A thread that has just come to the very end of its stack is not on it.)
            (Some(_), Some(_)) => Place::Within { end: context.end_of_frame() },
            (Some(end), None) => Place::Alternate { end },
        }
    }
}

/// Whether nothing comes after the call, if it succeeds.
fn ends_program(nr: u32) -> bool {
    matches!(nr, g::__NR_execve | g::__NR_execveat | g::__NR_exit_group)
}

/// Sees to what the program leaves behind, before it ends.
///
/// # Safety
/// As of [`serve`].
unsafe extern "C" fn leave(context: *mut u8, _top: usize) {
    // SAFETY: by the caller's word.
    let context = unsafe { &*context.cast::<Context>() };
    let (nr, args) = (context.nr(), context.args());
    let ends = nr == g::__NR_exit_group;
    if ends || exec::finds_program(nr, args) {
        sysring_engine::process::leave(ends);
    }
}

/// Whether the call may sleep or go deep. (What ends the program does neither, and must not: a stack
/// that it has got would never be given back.)
fn needs_room(nr: u32) -> bool {
    !matches!(nr, g::__NR_rt_sigaction | g::__NR_rt_sigprocmask) && !ends_program(nr)
}

/// Serves the call that `context` was interrupted at.
///
/// # Safety
/// `context` must be a signal frame's, or a copy of one that nothing else uses.
unsafe extern "C" fn serve(context: *mut u8, _top: usize) {
    // SAFETY: by the caller's word.
    let context = unsafe { &mut *context.cast::<Context>() };
    let result = dispatch(context.nr(), context.args(), context);
    context.set_result(Errno::to_ret(result));
}

/// The same on a stack of ours, which ends at `top`, for a thread that was on its alternate one.
///
/// # Safety
/// As of [`serve`].
unsafe extern "C" fn serve_within(context: *mut u8, top: usize) {
    if top != 0 {
        stack::declare(top);
    }
    // SAFETY: by the caller's word.
    unsafe { serve(context, top) }
}

fn dispatch(nr: u32, args: [usize; 6], context: &mut Context) -> Result<usize> {
    if let Some(result) = io_uring::serve(nr, args, context) {
        return result;
    }
    if let Some(result) = signals::serve(nr, args, context) {
        return result;
    }
    if let Some(result) = exec::serve(nr, args, context) {
        return result;
    }
    match nr {
        g::__NR_clone => return spawn::clone(args, context),
        #[cfg(target_arch = "x86_64")]
        g::__NR_fork => return spawn::fork(),
        g::__NR_inotify_init1 | g::__NR_fanotify_init => sysring_engine::process::notify(),
        #[cfg(target_arch = "x86_64")]
        g::__NR_inotify_init => sysring_engine::process::notify(),
        _ => {}
    }
    if let Some(result) = fds::serve(nr, args) {
        return result;
    }
    // SAFETY: the application's own call, through the gate.
    unsafe { call::raw(nr, args) }
}
