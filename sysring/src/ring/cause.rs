//! Who refuses io_uring to this process, as far as can be told from `/proc`.

use core::ffi::CStr;
use core::fmt;

use sysring_sys::call;
use sysring_sys::raw::general::{O_CLOEXEC, O_RDONLY};
use sysring_sys::{Errno, Fd, User};

/// Who refuses io_uring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Cause {
    /// The sysctl `kernel.io_uring_disabled` has this value.
    Sysctl(u8),
    /// A seccomp filter, of a container or a service manager.
    Seccomp,
    /// A Linux security module.
    SecurityModule,
    /// The kernel was built without io_uring, or is older than Linux 5.1.
    Absent,
}

impl Cause {
    /// What an error comes from.
    pub(super) fn of(errno: Errno) -> Cause {
        match errno {
            _ if errno == Errno::EPERM && sysctl() != 0 => Cause::Sysctl(sysctl()),
            _ if is_filtered() => Cause::Seccomp,
            Errno::ENOSYS => Cause::Absent,
            _ => Cause::SecurityModule,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Sysctl(value) => {
                write!(f, "is refused by sysctl kernel.io_uring_disabled = {value}")
            }
            Cause::Seccomp => f.write_str("is refused by a seccomp filter"),
            Cause::SecurityModule => f.write_str("is refused by a Linux security module"),
            Cause::Absent => f.write_str("does not exist in this kernel"),
        }
    }
}

/// `kernel.io_uring_disabled`; zero where there is no such thing.
fn sysctl() -> u8 {
    let mut text = [0; 4];
    read(c"/proc/sys/kernel/io_uring_disabled", &mut text);
    text[0].saturating_sub(b'0')
}

/// Whether seccomp filters are installed for this thread.
fn is_filtered() -> bool {
    let mut status = [0; 4096];
    let len = read(c"/proc/thread-self/status", &mut status);
    let needle = b"\nSeccomp:\t2";
    status[..len].windows(needle.len()).any(|window| window == needle)
}

/// Reads what fits of a file; how much that is.
fn read(path: &CStr, into: &mut [u8]) -> usize {
    let path = User::of(path.as_ptr().cast());
    let Ok(file) = call::openat(Fd::CWD, path, O_RDONLY | O_CLOEXEC, 0) else { return 0 };
    let read = call::read_into(file, into);
    let _ = call::close(file);
    read.unwrap_or(0).min(into.len())
}
