//! `sysring refuse`: a program with some system calls refused.

use std::process::ExitCode;

use sysring_refuse::Filter;

use crate::arguments::{Profile, Refuse};
use crate::exec::{self, Program};

pub fn main(refuse: &Refuse) -> ExitCode {
    let filter = match refuse.profile {
        Some(Profile::Docker) => Filter::docker(),
        Some(Profile::Linux5_4) => Filter::linux_5_4(),
        None => Filter::refusing(&refuse.calls, refuse.errno),
    };
    if let Err(error) = filter.install() {
        tell!(
            "sysring: the kernel does not accept a seccomp filter here: {error}\n\
             Run this outside the sandbox that forbids it; `sysring doctor` says what is allowed."
        );
        return ExitCode::from(exec::FAILED);
    }
    ExitCode::from(exec::exec(&Program::new(&refuse.command)))
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
