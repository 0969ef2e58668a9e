//! The seccomp filter, and putting it in place.
//!
//! Every call the filter has nothing to say about is decided by its number alone: the kernel sees
//! that and answers from a bitmap without running the filter. Of the others only what concerns
//! the engine is trapped, and of that nothing that comes from the gate.
//!
//! Who is calling is asked last, in one place that all suspicious calls come to.

mod program;

use core::ops::Range;

use sysring_sys::arch::{AUDIT_ARCH, gate_address};
use sysring_sys::call;
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Result, User};

pub use program::Instruction;
use program::{ALLOW, FLOOR, Program, SIGN, data, op};

use crate::array::Array;

/// What a SIGSYS of this filter carries in `si_errno`, and no other filter's should.
pub const MARK: u16 = 0x5359;

/// The kernel takes no longer filter. There is room for [`sites::MOST`](crate::sites::MOST) ranges.
pub const CAPACITY: usize = 4096;

/// What the filter is made for.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// The instruction pointer whose calls pass ([`gate_address`]).
    pub gate: usize,
    /// The instruction pointers whose calls are trapped, in ascending order; `None`: all.
    pub ranges: Option<&'a [Range<usize>]>,
    /// Whether `execve` is trapped: to carry the handler to where the filter goes.
    pub exec: bool,
}

/// Writes the filter into `code`.
///
/// # Errors
/// `E2BIG` if it does not fit.
pub fn build<'b>(code: &'b mut [Instruction], rules: &Rules<'_>) -> Result<&'b [Instruction]> {
    let mut p = Program::new(code);

    p.load(data::ARCH);
    let native = p.unless(op::JUMP_EQUAL, AUDIT_ARCH);
    p.load(data::NR);

    let always = [
        g::__NR_io_uring_enter,
        g::__NR_io_uring_setup,
        g::__NR_io_uring_register,
        g::__NR_rt_sigprocmask,
        g::__NR_rt_sigaction,
        g::__NR_rt_sigsuspend,
        g::__NR_close_range,
        g::__NR_exit_group,
        g::__NR_inotify_init1,
        g::__NR_fanotify_init,
        #[cfg(target_arch = "x86_64")]
        g::__NR_inotify_init,
        #[cfg(target_arch = "x86_64")]
        g::__NR_fork,
    ];
    for nr in always {
        p.on(nr, Program::suspect);
    }
    if rules.exec {
        p.on(g::__NR_execve, Program::suspect);
        p.on(g::__NR_execveat, Program::suspect);
    }

    let sleeping_with_mask = [
        (g::__NR_ppoll, 3),
        (g::__NR_pselect6, 5),
        (g::__NR_epoll_pwait, 4),
        (g::__NR_epoll_pwait2, 4),
        (g::__NR_io_pgetevents, 5),
    ];
    for (nr, mask) in sleeping_with_mask {
        p.on(nr, |p| {
            p.allow_null(mask);
            p.suspect();
        });
    }

    for nr in [g::__NR_close, g::__NR_dup] {
        p.on(nr, |p| {
            p.allow_low_descriptor(0);
            p.suspect();
        });
    }
    #[cfg(target_arch = "x86_64")]
    p.on(g::__NR_dup2, either_is_high);
    p.on(g::__NR_dup3, either_is_high);
    p.on(g::__NR_fcntl, |p| {
        p.load(data::arg(1));
        let other_command = p.unless(op::JUMP_EQUAL, g::F_DUPFD);
        let dup = p.jump();
        p.land(other_command);
        let neither = p.unless(op::JUMP_EQUAL, g::F_DUPFD_CLOEXEC);
        p.land(dup);
        p.allow_low_descriptor(0);
        p.suspect();
        p.land(neither);
        p.verdict(ALLOW);
    });
    p.on(g::__NR_mmap, |p| {
        p.load(data::arg(3));
        let private = p.unless(op::JUMP_ANY_BIT, g::MAP_SHARED);
        p.allow_low_descriptor(4);
        p.suspect();
        p.land(private);
        p.verdict(ALLOW);
    });
    p.on(g::__NR_epoll_ctl, |p| {
        p.load(data::arg(1));
        let no_addition = p.unless(op::JUMP_EQUAL, g::EPOLL_CTL_ADD);
        p.allow_low_descriptor(2);
        p.suspect();
        p.land(no_addition);
        p.verdict(ALLOW);
    });
    p.on(g::__NR_unshare, |p| {
        p.load(data::arg(0));
        let others = p.unless(op::JUMP_ANY_BIT, g::CLONE_FILES);
        p.suspect();
        p.land(others);
        p.verdict(ALLOW);
    });
    // A child with memory of its own is told that it is; one of `posix_spawn`, on a stack of its own, will
    // need room for its traps.
    p.on(g::__NR_clone, |p| {
        p.load(data::arg(0));
        let copied = p.unless(op::JUMP_ANY_BIT, g::CLONE_VM);
        let concurrent = p.unless(op::JUMP_ANY_BIT, g::CLONE_VFORK);
        p.allow_null(1);
        p.suspect();
        p.land(copied);
        p.suspect();
        p.land(concurrent);
        p.verdict(ALLOW);
    });
    // `clone3` can start a child with every signal handler reset (posix_spawn of glibc 2.38 does),
    // and says so in memory no filter sees. The child would die in its first trapped call. All
    // callers know how to do without `clone3`.
    p.on(g::__NR_clone3, Program::suspect);
    p.land(native);
    p.verdict(ALLOW);
    p.judge(rules)
}

/// `dup2`, `dup3`: the descriptor may be the source or be overwritten.
fn either_is_high(p: &mut Program<'_>) {
    p.load(data::arg(0));
    let low = p.unless(op::JUMP_AT_LEAST, FLOOR);
    p.allow_if(op::JUMP_ANY_BIT, SIGN);
    let source_is_high = p.jump();
    p.land(low);
    p.load(data::arg(1));
    let both_low = p.unless(op::JUMP_AT_LEAST, FLOOR);
    p.allow_if(op::JUMP_ANY_BIT, SIGN);
    p.land(source_is_high);
    p.suspect();
    p.land(both_low);
    p.verdict(ALLOW);
}

/// Which threads a filter is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// The calling thread, and those it starts.
    Thread,
    /// Every thread of the process.
    Process,
}

/// Gives up gaining privileges by `exec`, as the kernel demands, and installs the filter.
///
/// # Safety
/// The handler must be installed, and be found by every thread and every later program that the
/// filter reaches.
///
/// # Errors
/// The kernel's: `EINVAL` where there is no seccomp; `ESRCH` if a thread has a filter of its own,
/// so that [`Scope::Process`] cannot be had.
pub unsafe fn install(rules: &Rules<'_>, scope: Scope) -> Result<()> {
    const PR_SET_NO_NEW_PRIVS: u32 = 38;
    const SECCOMP_SET_MODE_FILTER: u32 = 1;
    const SECCOMP_FILTER_FLAG_TSYNC: u32 = 1;

    let mut code = Array::new(CAPACITY)?;
    let program = build(&mut code, rules)?;
    // SAFETY: changes what `exec` may grant, no memory.
    unsafe { call::prctl(PR_SET_NO_NEW_PRIVS, [1, 0, 0, 0]) }?;

    let header = Header { len: program.len() as u16, code: program.as_ptr() };
    let flags = match scope {
        Scope::Thread => 0,
        Scope::Process => SECCOMP_FILTER_FLAG_TSYNC,
    };
    // SAFETY: the header and the program are live; the caller vouches for the consequences.
    match unsafe { call::seccomp(SECCOMP_SET_MODE_FILTER, flags, User::of(&header).cast()) }? {
        0 => Ok(()),
        // The id of a thread that could not be brought along.
        _ => Err(Errno::ESRCH),
    }
}

/// `struct sock_fprog`.
#[repr(C)]
struct Header {
    len: u16,
    code: *const Instruction,
}

/// The rules for a process whose every later program carries the handler.
#[must_use]
pub fn everywhere() -> Rules<'static> {
    Rules { gate: gate_address(), ranges: None, exec: true }
}

/// The rules for code that ends with this program: nothing needs to be carried anywhere.
#[must_use]
pub fn only_at(ranges: &[Range<usize>]) -> Rules<'_> {
    Rules { gate: gate_address(), ranges: Some(ranges), exec: false }
}

#[cfg(test)]
#[path = "filter/tests.rs"]
mod tests;
