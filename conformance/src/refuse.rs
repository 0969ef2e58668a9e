//! A machine that refuses io_uring, made with seccomp as container runtimes make it.
//!
//! The filter answers the three io_uring calls with one errno and touches nothing else. It is
//! inherited by every child and cannot be taken off, so it belongs between `fork` and `exec`.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// How the machine refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Refusal {
    /// As Docker's default profile and `kernel.io_uring_disabled` do.
    Eperm,
    /// As gVisor and kernels before 5.1 do.
    Enosys,
}

impl Refusal {
    /// The errno the three calls answer.
    #[must_use]
    pub fn errno(self) -> i32 {
        match self {
            Refusal::Eperm => libc::EPERM,
            Refusal::Enosys => libc::ENOSYS,
        }
    }
}

#[cfg(target_arch = "x86_64")]
const AUDIT_ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const AUDIT_ARCH: u32 = 0xc000_00b7;

const FIRST: u32 = 425;
const LAST: u32 = 427;

/// Puts the filter on the calling process, for good.
///
/// # Errors
/// What `prctl(2)` answers: seccomp is not built into the kernel, or is itself refused.
pub fn install(refusal: Refusal) -> io::Result<()> {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    const NUMBER: u32 = 0;
    const ARCH: u32 = 4;
    let line = |code, k, jt, jf| libc::sock_filter { code, jt, jf, k };
    let program = [
        line(LOAD, ARCH, 0, 0),
        line(EQUAL, AUDIT_ARCH, 0, 4),
        line(LOAD, NUMBER, 0, 0),
        line(AT_LEAST, FIRST, 0, 2),
        line(AT_LEAST, LAST + 1, 1, 0),
        line(RETURN, libc::SECCOMP_RET_ERRNO | refusal.errno() as u32, 0, 0),
        line(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    let filter =
        libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
    // SAFETY: takes numbers only.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `filter` names `program`, which outlives the call; the kernel copies both.
    let answer = unsafe {
        libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter, 0, 0)
    };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Has `command` run on such a machine.
pub fn refuse(command: &mut Command, refusal: Refusal) -> &mut Command {
    // SAFETY: between fork and exec `install` only makes two system calls from memory on the
    // stack: no lock, no allocation.
    unsafe { command.pre_exec(move || install(refusal)) }
}
