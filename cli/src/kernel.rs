//! Does the kernel's io_uring work here, and if not, who refuses it?

use std::fmt;
use std::fs;
use std::io;
use std::mem;

use io_uring::{IoUring, Probe, opcode};

use crate::isolated::{self, Answer, Refusal};

/// What the kernel's io_uring is worth here.
#[derive(Debug)]
pub enum Support {
    Works,
    Refused(Cause),
}

/// Why it is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Cause {
    /// A seccomp filter answers with this error.
    Seccomp { errno: i32 },
    /// `kernel.io_uring_disabled` has this value.
    Sysctl { value: u32 },
    /// Neither of them, so a Linux security module.
    SecurityModule { errno: i32 },
    /// The kernel has no io_uring, or pretends so.
    Absent { gvisor: bool },
    /// A ring can be made, but it cannot do what programs expect of one.
    TooOld { gvisor: bool },
    /// The call is fatal.
    Killed { signal: i32 },
    /// Something else.
    Other { errno: i32 },
}

/// Does an outer `sysring run` serve this process? Then what works is not the kernel's.
pub fn is_served() -> bool {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    maps.lines().filter_map(|line| line.split_ascii_whitespace().nth(5)).any(|path| {
        let name = path.rsplit('/').next().unwrap_or_default();
        name == "memfd:sysring" || (name.starts_with("sysring-") && name.ends_with(".so"))
    })
}

/// Makes a ring, sends a NOP through it, and asks what else it can do.
pub fn probe() -> io::Result<Support> {
    Ok(match isolated::ask_errno(round_trip)?.errno() {
        Ok(()) => Support::Works,
        Err(refusal) => Support::Refused(classify(refusal, &Facts::gather())),
    })
}

/// How many operations the kernel's io_uring knows.
pub fn operations() -> io::Result<u8> {
    let count = || {
        let ring = IoUring::new(2).ok()?;
        let mut probe = Probe::new();
        ring.submitter().register_probe(&mut probe).ok()?;
        (0..=u8::MAX).rev().find(|&code| probe.is_supported(code))
    };
    Ok(match isolated::ask(|| count().map_or(0, |last| last.saturating_add(1)))? {
        Answer::Number(count) => count,
        Answer::Killed(_) => 0,
    })
}

/// Says between child and parent that a ring knows too little. No errno has this number.
const TOO_OLD: i32 = 254;

fn round_trip() -> io::Result<()> {
    let mut ring = IoUring::new(2)?;
    // SAFETY: a NOP refers to no memory.
    unsafe { ring.submission().push(&opcode::Nop::new().build()) }.map_err(io::Error::other)?;
    ring.submit_and_wait(1)?;
    let completion = ring.completion().next().ok_or(io::ErrorKind::UnexpectedEof)?;
    if completion.result() < 0 {
        return Err(io::Error::from_raw_os_error(-completion.result()));
    }
    // Kernels before 5.6 have neither the probe nor READ, and gVisor's own io_uring has little
    // more than NOP: programs of today start there and then fail.
    let too_old = || io::Error::from_raw_os_error(TOO_OLD);
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe).map_err(|_| too_old())?;
    if probe.is_supported(opcode::Read::CODE) { Ok(()) } else { Err(too_old()) }
}

/// What the cause of a refusal is told by.
struct Facts {
    seccomp_filters: bool,
    io_uring_disabled: Option<u32>,
    gvisor: bool,
    release: String,
}

impl Facts {
    fn gather() -> Self {
        Facts {
            seccomp_filters: status_field("Seccomp").as_deref() == Some("2"),
            io_uring_disabled: read_number("/proc/sys/kernel/io_uring_disabled"),
            gvisor: is_gvisor(),
            release: release(),
        }
    }
}

fn classify(refusal: Refusal, facts: &Facts) -> Cause {
    match refusal {
        Refusal::Signal(signal) => Cause::Killed { signal },
        Refusal::Errno(TOO_OLD) => Cause::TooOld { gvisor: facts.gvisor },
        Refusal::Errno(libc::ENOSYS) if facts.gvisor => Cause::Absent { gvisor: true },
        Refusal::Errno(errno @ libc::ENOSYS) => {
            if facts.seccomp_filters && at_least(&facts.release, (5, 1)) {
                Cause::Seccomp { errno }
            } else {
                Cause::Absent { gvisor: false }
            }
        }
        Refusal::Errno(errno @ (libc::EPERM | libc::EACCES)) => match facts.io_uring_disabled {
            Some(value @ 1..) if errno == libc::EPERM => Cause::Sysctl { value },
            _ if facts.seccomp_filters => Cause::Seccomp { errno },
            _ => Cause::SecurityModule { errno },
        },
        Refusal::Errno(errno) if facts.seccomp_filters => Cause::Seccomp { errno },
        Refusal::Errno(errno) => Cause::Other { errno },
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match *self {
            Cause::Seccomp { errno } => {
                write!(f, "{} by a seccomp filter", errno_name(errno))
            }
            Cause::Sysctl { value } => {
                write!(f, "EPERM by sysctl kernel.io_uring_disabled = {value}")
            }
            Cause::SecurityModule { errno } => {
                write!(f, "{} by a Linux security module", errno_name(errno))
            }
            Cause::Absent { gvisor: true } => write!(f, "ENOSYS: gVisor does not offer it"),
            Cause::Absent { gvisor: false } => write!(f, "ENOSYS: this kernel has no io_uring"),
            Cause::TooOld { .. } => {
                write!(f, "too old: it has no READ, or cannot be asked for its operations")
            }
            Cause::Killed { signal } => write!(f, "signal {signal} kills the caller"),
            Cause::Other { errno } => write!(f, "{}", errno_name(errno)),
        }
    }
}

impl Cause {
    /// What to change so that the kernel's io_uring works.
    pub fn advice(&self) -> &'static str {
        match self {
            Cause::Seccomp { .. } | Cause::Killed { .. } => {
                "allow io_uring_setup, io_uring_enter and io_uring_register in the seccomp profile \
                 of the container or service (docker run --security-opt seccomp=PROFILE.json; \
                 systemd SystemCallFilter=@aio)"
            }
            Cause::Sysctl { value: 1 } => {
                "as root: add this user's group to sysctl kernel.io_uring_group, or set \
                 kernel.io_uring_disabled = 0"
            }
            Cause::Sysctl { .. } => "as root: sysctl kernel.io_uring_disabled=0",
            Cause::SecurityModule { .. } => {
                "allow io_uring in the policy of the security module (SELinux: class io_uring; \
                 the names are in /sys/kernel/security/lsm)"
            }
            Cause::Absent { gvisor: true } | Cause::TooOld { gvisor: true } => {
                "nothing in gVisor: its own io_uring is a test that knows two operations"
            }
            Cause::Absent { gvisor: false } | Cause::TooOld { gvisor: false } => {
                "a kernel of version 5.6 or newer, built with CONFIG_IO_URING"
            }
            Cause::Other { .. } => "look the error up in io_uring_setup(2)",
        }
    }
}

/// The name of an error number, or the number.
pub fn errno_name(errno: i32) -> String {
    match errno {
        libc::EPERM => "EPERM".into(),
        libc::EACCES => "EACCES".into(),
        libc::EAGAIN => "EAGAIN".into(),
        libc::EINVAL => "EINVAL".into(),
        libc::EMFILE => "EMFILE".into(),
        libc::ENFILE => "ENFILE".into(),
        libc::ENOMEM => "ENOMEM".into(),
        libc::ENOSYS => "ENOSYS".into(),
        libc::EOPNOTSUPP => "EOPNOTSUPP".into(),
        errno => format!("error {errno}"),
    }
}

/// A field of `/proc/self/status`.
pub fn status_field(name: &str) -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(|value| value.trim().to_owned())
}

/// A file that holds a number.
pub fn read_number(path: &str) -> Option<u32> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The kernel's release, as `uname -r` prints it.
pub fn release() -> String {
    // SAFETY: an all-zero utsname is a valid one to be filled in.
    let mut names: libc::utsname = unsafe { mem::zeroed() };
    // SAFETY: a place of the right type.
    unsafe { libc::uname(&mut names) };
    let release: Vec<u8> =
        names.release.iter().map(|&c| c as u8).take_while(|&byte| byte != 0).collect();
    String::from_utf8_lossy(&release).into_owned()
}

/// Is the release this version or newer?
fn at_least(release: &str, version: (u32, u32)) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= version
}

/// gVisor introduces itself in its kernel log, which anyone may read there.
pub fn is_gvisor() -> bool {
    const SYSLOG_ACTION_READ_ALL: libc::c_int = 3;
    let mut log = [0u8; 4096];
    // SAFETY: writes at most the length of the buffer that is passed.
    let length = unsafe {
        libc::klogctl(SYSLOG_ACTION_READ_ALL, log.as_mut_ptr().cast(), log.len() as libc::c_int)
    };
    let log = &log[..usize::try_from(length).unwrap_or(0)];
    log.windows(15).any(|window| window == b"Starting gVisor")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            seccomp_filters: false,
            io_uring_disabled: Some(0),
            gvisor: false,
            release: "6.1.0-18-amd64".into(),
        }
    }

    #[test]
    fn eperm_is_the_sysctl_before_it_is_seccomp_before_it_is_a_module() {
        let eperm = Refusal::Errno(libc::EPERM);
        let sysctl = Facts { io_uring_disabled: Some(2), seccomp_filters: true, ..facts() };
        assert_eq!(classify(eperm, &sysctl), Cause::Sysctl { value: 2 });
        let seccomp = Facts { seccomp_filters: true, ..facts() };
        assert_eq!(classify(eperm, &seccomp), Cause::Seccomp { errno: libc::EPERM });
        let neither = Facts { io_uring_disabled: None, ..facts() };
        assert_eq!(classify(eperm, &neither), Cause::SecurityModule { errno: libc::EPERM });
    }

    #[test]
    fn enosys_is_seccomp_only_where_the_kernel_should_have_the_call() {
        let enosys = Refusal::Errno(libc::ENOSYS);
        let filtered = Facts { seccomp_filters: true, ..facts() };
        assert_eq!(classify(enosys, &filtered), Cause::Seccomp { errno: libc::ENOSYS });
        let old = Facts { release: "4.19.0".into(), ..filtered };
        assert_eq!(classify(enosys, &old), Cause::Absent { gvisor: false });
        let gvisor = Facts { seccomp_filters: true, gvisor: true, ..facts() };
        assert_eq!(classify(enosys, &gvisor), Cause::Absent { gvisor: true });
    }

    #[test]
    fn a_ring_that_knows_too_little_is_too_old() {
        assert_eq!(classify(Refusal::Errno(TOO_OLD), &facts()), Cause::TooOld { gvisor: false });
    }

    #[test]
    fn releases_compare_by_number() {
        assert!(at_least("5.10.186", (5, 1)));
        assert!(!at_least("4.19.0-26-amd64", (5, 1)));
        assert!(at_least("6.1", (5, 1)));
        assert!(!at_least("", (5, 1)));
    }
}
