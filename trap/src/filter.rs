//! The seccomp filter, and putting it in place.
//!
//! Every call the filter has nothing to say about is decided by its number alone: the kernel sees
//! that and answers from a bitmap without running the filter. Of the others only what concerns
//! the engine is trapped, and of that nothing that comes from the gate.

use core::ops::Range;

use sysring_engine::descriptors;
use sysring_sys::arch::{AUDIT_ARCH, gate_address};
use sysring_sys::call;
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Result, User};

/// What a SIGSYS of this filter carries in `si_errno`, and no other filter's should.
pub const MARK: u16 = 0x5359;

/// Room enough for a filter with up to a hundred ranges.
pub const CAPACITY: usize = 2048;

/// One instruction of the classic BPF machine.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Instruction {
    code: u16,
    jump_true: u8,
    jump_false: u8,
    k: u32,
}

/// What the filter is made for.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// The instruction pointer whose calls pass ([`gate_address`]).
    pub gate: usize,
    /// Code whose calls are trapped; `None`: all code.
    pub ranges: Option<&'a [Range<usize>]>,
    /// Whether `execve` is trapped: to carry the handler to where the filter goes.
    pub exec: bool,
}

mod op {
    pub const LOAD: u16 = 0x20;
    pub const JUMP: u16 = 0x05;
    pub const JUMP_EQUAL: u16 = 0x15;
    pub const JUMP_GREATER: u16 = 0x25;
    pub const JUMP_AT_LEAST: u16 = 0x35;
    pub const JUMP_ANY_BIT: u16 = 0x45;
    pub const RETURN: u16 = 0x06;
}

const TRAP: u32 = 0x0003_0000 | MARK as u32;
const ALLOW: u32 = 0x7fff_0000;
const ENOSYS: u32 = 0x0005_0000 | 38;

/// `struct seccomp_data`, by offset. Both architectures are little-endian.
mod data {
    pub const NR: u32 = 0;
    pub const ARCH: u32 = 4;
    pub const IP: u32 = 8;

    pub const fn arg(n: u32) -> u32 {
        16 + 8 * n
    }
}

const FLOOR: u32 = descriptors::FLOOR.raw() as u32;
const SIGN: u32 = 1 << 31;

/// A program in the making. A full buffer stops it from growing; [`Program::finish`] tells.
struct Program<'b> {
    code: &'b mut [Instruction],
    len: usize,
    /// Jumps to the test of the instruction pointer, aimed when it is written.
    suspects: [usize; 32],
    suspected: usize,
}

/// A jump to be aimed later.
struct Jump(usize);

impl<'b> Program<'b> {
    fn push(&mut self, code: u16, jump_true: u8, jump_false: u8, k: u32) {
        if let Some(slot) = self.code.get_mut(self.len) {
            *slot = Instruction { code, jump_true, jump_false, k };
        }
        self.len += 1;
    }

    fn load(&mut self, offset: u32) {
        self.push(op::LOAD, 0, 0, offset);
    }

    fn verdict(&mut self, verdict: u32) {
        self.push(op::RETURN, 0, 0, verdict);
    }

    fn jump(&mut self) -> Jump {
        self.push(op::JUMP, 0, 0, 0);
        Jump(self.len - 1)
    }

    /// Goes on here if `test` holds; otherwise jumps. (A conditional jump reaches 255
    /// instructions, a plain one any number: so each is a pair.)
    fn unless(&mut self, test: u16, k: u32) -> Jump {
        self.push(test, 1, 0, k);
        self.jump()
    }

    /// Allows the call if `test` holds; goes on otherwise.
    fn allow_if(&mut self, test: u16, k: u32) {
        self.push(test, 0, 1, k);
        self.verdict(ALLOW);
    }

    /// Aims a jump here.
    fn land(&mut self, jump: Jump) {
        let distance = (self.len - jump.0 - 1) as u32;
        if let Some(slot) = self.code.get_mut(jump.0) {
            slot.k = distance;
        }
    }

    /// The call is to be trapped, unless it comes from where the filter looks away.
    fn suspect(&mut self) {
        let Jump(at) = self.jump();
        self.suspects[self.suspected] = at;
        self.suspected += 1;
    }

    /// Allows the call unless argument `n` is a descriptor the engine may own.
    fn allow_low_descriptor(&mut self, n: u32) {
        self.load(data::arg(n));
        let low = self.unless(op::JUMP_AT_LEAST, FLOOR);
        self.allow_if(op::JUMP_ANY_BIT, SIGN);
        let high = self.jump();
        self.land(low);
        self.verdict(ALLOW);
        self.land(high);
    }

    /// Allows the call if argument `n` is a null pointer.
    fn allow_null(&mut self, n: u32) {
        self.load(data::arg(n));
        let not_null = self.unless(op::JUMP_EQUAL, 0);
        self.load(data::arg(n) + 4);
        self.allow_if(op::JUMP_EQUAL, 0);
        self.land(not_null);
    }

    /// One call: `rule` must not fall through.
    fn on(&mut self, nr: u32, rule: impl FnOnce(&mut Program<'b>)) {
        let next = self.unless(op::JUMP_EQUAL, nr);
        rule(self);
        self.land(next);
    }

    /// The end of the road for suspects: who is calling?
    fn judge(&mut self, rules: &Rules<'_>, verdict: u32) {
        self.load(data::IP);
        let not_the_gate = self.unless(op::JUMP_EQUAL, rules.gate as u32);
        self.load(data::IP + 4);
        self.allow_if(op::JUMP_EQUAL, (rules.gate >> 32) as u32);
        self.land(not_the_gate);
        let Some(ranges) = rules.ranges else { return self.verdict(verdict) };
        for range in ranges {
            self.judge_range(range, verdict);
        }
        self.verdict(ALLOW);
    }

    /// `verdict` for calls from `range`: the machine compares 32 bits, so piece by piece of 4 GiB.
    fn judge_range(&mut self, range: &Range<usize>, verdict: u32) {
        let mut start = range.start;
        while start < range.end {
            let last = (range.end - 1).min(start | 0xffff_ffff);
            self.load(data::IP + 4);
            let elsewhere = self.unless(op::JUMP_EQUAL, (start >> 32) as u32);
            self.load(data::IP);
            let below = self.unless(op::JUMP_AT_LEAST, start as u32);
            self.push(op::JUMP_GREATER, 1, 0, last as u32);
            self.verdict(verdict);
            self.land(elsewhere);
            self.land(below);
            start = last + 1;
        }
    }

    fn finish(self) -> Result<&'b [Instruction]> {
        self.code.get(..self.len).ok_or(Errno::E2BIG)
    }
}

/// Writes the filter into `code`.
///
/// # Errors
/// `E2BIG` if it does not fit.
pub fn build<'b>(code: &'b mut [Instruction], rules: &Rules<'_>) -> Result<&'b [Instruction]> {
    let mut p = Program { code, len: 0, suspects: [0; 32], suspected: 0 };

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
    // A child of `posix_spawn`, on a stack of its own: it will need room for its traps.
    p.on(g::__NR_clone, |p| {
        p.load(data::arg(0));
        let copied = p.unless(op::JUMP_ANY_BIT, g::CLONE_VM);
        let concurrent = p.unless(op::JUMP_ANY_BIT, g::CLONE_VFORK);
        p.allow_null(1);
        p.suspect();
        p.land(copied);
        p.land(concurrent);
        p.verdict(ALLOW);
    });
    // `clone3` can start a child with every signal handler reset (posix_spawn of glibc 2.38 does),
    // and says so in memory no filter sees. The child would die in its first trapped call. All
    // callers know how to do without `clone3`.
    p.on(g::__NR_clone3, |p| p.judge(rules, ENOSYS));
    p.land(native);
    p.verdict(ALLOW);

    for i in 0..p.suspected {
        let jump = Jump(p.suspects[i]);
        p.land(jump);
    }
    p.judge(rules, TRAP);
    p.finish()
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

    let mut code = [Instruction::default(); CAPACITY];
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
pub fn only_in(ranges: &[Range<usize>]) -> Rules<'_> {
    Rules { gate: gate_address(), ranges: Some(ranges), exec: false }
}

#[cfg(test)]
#[path = "filter/tests.rs"]
mod tests;
