//! `sysring refuse`: a program with some system calls refused.

use std::io;
use std::process::ExitCode;

use libc::{sock_filter, sock_fprog};

use crate::arguments::Refuse;
use crate::exec::{self, Program};

pub fn main(refuse: &Refuse) -> ExitCode {
    if let Err(error) = install(&refuse.calls, refuse.errno) {
        eprintln!(
            "sysring: the kernel does not accept a seccomp filter here: {error}\n\
             Run this outside the sandbox that forbids it; `sysring doctor` says what is allowed."
        );
        return ExitCode::from(exec::FAILED);
    }
    ExitCode::from(exec::exec(&Program::new(&refuse.command)))
}

#[cfg(target_arch = "x86_64")]
const AUDIT_ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const AUDIT_ARCH: u32 = 0xc000_00b7;

/// Answers `calls` with `errno` in this process and all that it starts.
pub fn install(calls: &[u32], errno: u16) -> io::Result<()> {
    let filter = program(calls, errno);
    let filter = sock_fprog {
        len: u16::try_from(filter.len()).map_err(io::Error::other)?,
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: a plain flag of this process.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel copies the filter, which is alive and as long as it says.
    let installed =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &filter) };
    if installed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn program(calls: &[u32], errno: u16) -> Vec<sock_filter> {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    /// Offsets in `struct seccomp_data`.
    const NUMBER: u32 = 0;
    const ARCH: u32 = 4;

    let step = |code, k, jt, jf| sock_filter { code, jt, jf, k };
    let allow = step(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0);
    let mut program = vec![
        step(LOAD, ARCH, 0, 0),
        step(EQUAL, AUDIT_ARCH, 1, 0),
        allow,
        step(LOAD, NUMBER, 0, 0),
    ];
    for &call in calls {
        program.push(step(EQUAL, call, 0, 1));
        program.push(step(RETURN, libc::SECCOMP_RET_ERRNO | u32::from(errno), 0, 0));
    }
    program.push(allow);
    program
}

pub fn parse_errno(text: &str) -> Result<u16, String> {
    Ok(match text {
        "EPERM" => libc::EPERM as u16,
        "EACCES" => libc::EACCES as u16,
        "ENOSYS" => libc::ENOSYS as u16,
        "EOPNOTSUPP" => libc::EOPNOTSUPP as u16,
        number => number.parse().ok().filter(|n| (1..4096).contains(n)).ok_or(
            "expected EPERM, EACCES, ENOSYS, EOPNOTSUPP or the number of an error".to_owned(),
        )?,
    })
}

pub fn parse_call(text: &str) -> Result<u32, String> {
    const NAMES: &[(&str, libc::c_long)] = &[
        ("epoll_pwait2", libc::SYS_epoll_pwait2),
        ("futex_waitv", libc::SYS_futex_waitv),
        ("io_setup", libc::SYS_io_setup),
        ("io_uring_enter", libc::SYS_io_uring_enter),
        ("io_uring_register", libc::SYS_io_uring_register),
        ("io_uring_setup", libc::SYS_io_uring_setup),
        ("memfd_create", libc::SYS_memfd_create),
        ("openat2", libc::SYS_openat2),
        ("preadv2", libc::SYS_preadv2),
        ("process_vm_readv", libc::SYS_process_vm_readv),
        ("seccomp", libc::SYS_seccomp),
    ];
    if let Some((_, number)) = NAMES.iter().find(|(name, _)| *name == text) {
        return Ok(*number as u32);
    }
    text.parse().map_err(|_| {
        let names: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
        format!("expected a number or one of: {}", names.join(", "))
    })
}
