//! Machines that refuse system calls, made with seccomp as container runtimes make them.
//!
//! A [`Filter`] is inherited by every child and cannot be taken off, so it belongs to a process
//! that is about to become another program, or between `fork` and `exec`.
//!
//! ```
//! use std::process::Command;
//! use sysring_refuse::{Filter, IO_URING};
//!
//! let mut command = Command::new("true");
//! Filter::refusing(&IO_URING, libc::EPERM as u16).on(&mut command);
//! assert!(command.status()?.success());
//! # Ok::<(), std::io::Error>(())
//! ```

mod docker;

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use libc::sock_filter;

/// The three calls of io_uring.
pub const IO_URING: [u32; 3] = [425, 426, 427];

/// `close_range`, of Linux 5.9; 434 and 435, `pidfd_open` and `clone3`, are the newest before it. From 424
/// on the numbers are the same on every architecture.
const FIRST_AFTER_5_4: u32 = 436;

#[cfg(target_arch = "x86_64")]
const AUDIT_ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const AUDIT_ARCH: u32 = 0xc000_00b7;

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const IF_ABOVE: u16 = (libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K) as u16;
const IF_AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const IF_ANY_BIT: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// Offsets in `struct seccomp_data`; of the first argument the low half.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const FIRST_ARGUMENT: u32 = 16;

/// What decides about one call.
#[derive(Clone, Copy, Debug)]
enum Rule {
    /// Always this errno.
    Refuse(u16),
    /// `EPERM` if the first argument has any of these bits.
    WithoutBits(u32),
    /// `EPERM` unless the first argument is one of these.
    OnlyWith(&'static [u32]),
    /// `EPERM` if the first argument is one of these.
    NeverWith(&'static [u32]),
}

/// A seccomp filter, ready to be installed.
///
/// It decides about the calls of this machine's own architecture; others pass.
#[derive(Clone, Debug)]
pub struct Filter {
    program: Vec<sock_filter>,
}

impl Filter {
    /// Answers `calls` with `errno` and lets everything else pass.
    #[must_use]
    pub fn refusing(calls: &[u32], errno: u16) -> Filter {
        let mut filter = Filter::head();
        for &call in calls {
            filter.rule(call, Rule::Refuse(errno));
        }
        filter.allow();
        filter
    }

    /// What Docker's default profile does to a container without added capabilities: a list of
    /// allowed calls, `EPERM` for the rest, io_uring among them.
    #[must_use]
    pub fn docker() -> Filter {
        let mut filter = Filter::head();
        for &(call, rule) in docker::RULES {
            filter.rule(call as u32, rule);
        }
        for (first, last) in ranges(docker::allowed()) {
            filter.step(IF_ABOVE, last, 3, 0);
            filter.step(IF_AT_LEAST, first, 0, 1);
            filter.allow();
            filter.refuse(libc::EPERM as u16);
        }
        filter.refuse(libc::EPERM as u16);
        filter
    }

    /// The system calls of Linux 5.4: those that came later answer `ENOSYS`, from `close_range` on. What
    /// later kernels added to calls that were there before (flags, commands) stays as it is.
    #[must_use]
    pub fn linux_5_4() -> Filter {
        let mut filter = Filter::head();
        filter.step(IF_AT_LEAST, FIRST_AFTER_5_4, 0, 1);
        filter.refuse(libc::ENOSYS as u16);
        filter.allow();
        filter
    }

    /// Puts the filter on this process, for good, and gives up gaining privileges by `exec`.
    ///
    /// # Errors
    /// What `prctl(2)` and `seccomp(2)` answer: filters are refused here, or not built into the
    /// kernel.
    pub fn install(&self) -> io::Result<()> {
        let program = libc::sock_fprog {
            len: self.program.len() as u16,
            filter: self.program.as_ptr().cast_mut(),
        };
        // SAFETY: a plain flag of this process.
        if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel copies the filter, which is alive and as long as it says.
        let installed =
            unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &program) };
        if installed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Has `command` run under the filter.
    pub fn on(self, command: &mut Command) -> &mut Command {
        // SAFETY: between fork and exec `install` makes two system calls with memory that was
        // there before: no lock, no allocation.
        unsafe { command.pre_exec(move || self.install()) }
    }

    fn head() -> Filter {
        let mut filter = Filter { program: Vec::new() };
        filter.step(LOAD, ARCH, 0, 0);
        filter.step(IF_EQUAL, AUDIT_ARCH, 1, 0);
        filter.allow();
        filter.step(LOAD, NUMBER, 0, 0);
        filter
    }

    fn rule(&mut self, call: u32, rule: Rule) {
        let mut body = Filter { program: Vec::new() };
        match rule {
            Rule::Refuse(errno) => body.refuse(errno),
            Rule::WithoutBits(bits) => {
                body.step(LOAD, FIRST_ARGUMENT, 0, 0);
                body.step(IF_ANY_BIT, bits, 0, 1);
                body.refuse(libc::EPERM as u16);
                body.allow();
            }
            Rule::OnlyWith(values) => {
                body.step(LOAD, FIRST_ARGUMENT, 0, 0);
                for &value in values {
                    body.step(IF_EQUAL, value, 0, 1);
                    body.allow();
                }
                body.refuse(libc::EPERM as u16);
            }
            Rule::NeverWith(values) => {
                body.step(LOAD, FIRST_ARGUMENT, 0, 0);
                for &value in values {
                    body.step(IF_EQUAL, value, 0, 1);
                    body.refuse(libc::EPERM as u16);
                }
                body.allow();
            }
        }
        self.step(IF_EQUAL, call, 0, body.program.len() as u8);
        self.program.append(&mut body.program);
    }

    fn allow(&mut self) {
        self.step(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0);
    }

    fn refuse(&mut self, errno: u16) {
        self.step(RETURN, libc::SECCOMP_RET_ERRNO | u32::from(errno), 0, 0);
    }

    fn step(&mut self, code: u16, k: u32, jt: u8, jf: u8) {
        self.program.push(sock_filter { code, jt, jf, k });
    }
}

/// The numbers as ascending ranges, first and last.
fn ranges(mut numbers: Vec<libc::c_long>) -> Vec<(u32, u32)> {
    numbers.sort_unstable();
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        let number = number as u32;
        match ranges.last_mut() {
            Some((_, last)) if number <= *last + 1 => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_ranges() {
        assert_eq!(ranges(vec![7, 1, 2, 2, 3, 9]), [(1, 3), (7, 7), (9, 9)]);
        assert_eq!(ranges(vec![]), []);
    }

    /// Makes a call in a child that has the filter: zero or more as 0, else the negative errno.
    /// The arguments are numbers: no pointer but null.
    fn under(filter: &Filter, number: libc::c_long, argument: libc::c_long) -> i32 {
        // SAFETY: the child makes system calls and ends; it shares no lock with its parent.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let answer = filter.install().and_then(|()| {
                // SAFETY: without pointers no call touches memory.
                let answer = unsafe { libc::syscall(number, argument, 0, 0, 0, 0, 0) };
                if answer >= 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
            });
            let errno = answer.map_or_else(|error| error.raw_os_error().unwrap_or(255), |()| 0);
            // SAFETY: ends this process, without the parent's exit handlers.
            unsafe { libc::_exit(errno) };
        }
        let mut status = 0;
        // SAFETY: `child` is ours, and `status` an int.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert!(libc::WIFEXITED(status), "status {status:#x}");
        -libc::WEXITSTATUS(status)
    }

    #[test]
    fn docker_allows_and_refuses() {
        let docker = Filter::docker();
        for (number, argument, answer) in [
            (libc::SYS_getpid, 0, 0),
            (libc::SYS_io_uring_setup, 1, -libc::EPERM),
            (libc::SYS_mount, 0, -libc::EPERM),
            (libc::SYS_clone3, 0, -libc::ENOSYS),
            (libc::SYS_clone, libc::c_long::from(libc::CLONE_NEWUSER), -libc::EPERM),
            (libc::SYS_socket, libc::c_long::from(libc::AF_VSOCK), -libc::EPERM),
            (libc::SYS_socket, libc::c_long::from(libc::AF_UNIX), -libc::ESOCKTNOSUPPORT),
            (libc::SYS_personality, 0xffff_ffff, 0),
            (libc::SYS_personality, 0x4_0000, -libc::EPERM),
        ] {
            assert_eq!(under(&docker, number, argument), answer, "call {number}({argument:#x})");
        }
    }

    #[test]
    fn linux_5_4_lacks_what_came_later() {
        let old = Filter::linux_5_4();
        for (number, argument, answer) in [
            (libc::SYS_getpid, 0, 0),
            (libc::SYS_pidfd_open, -1, -libc::EINVAL),
            (libc::SYS_close_range, 0, -libc::ENOSYS),
            (libc::SYS_openat2, 0, -libc::ENOSYS),
            (libc::SYS_epoll_pwait2, -1, -libc::ENOSYS),
            (libc::SYS_futex_waitv, 0, -libc::ENOSYS),
        ] {
            assert_eq!(under(&old, number, argument), answer, "call {number}({argument:#x})");
        }
    }

    #[test]
    fn only_what_is_named_is_refused() {
        let filter = Filter::refusing(&[libc::SYS_getppid as u32], libc::EACCES as u16);
        assert_eq!(under(&filter, libc::SYS_getppid, 0), -libc::EACCES);
        assert_eq!(under(&filter, libc::SYS_getuid, 0), 0);
    }
}
