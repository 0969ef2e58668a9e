//! Why nobody can serve.

use core::fmt;

use sysring_sys::Errno;

/// Why `install` failed.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InstallError {
    /// `SYSRING_ENGINE` is none of `auto`, `kernel` and `user`.
    UnknownEngine,
    /// The kernel was asked for, and refuses.
    KernelRefuses(Errno),
    /// Code of this program lies at an address fixed when it was linked, where other programs may
    /// have theirs too.
    FixedAddress,
    /// `/proc/self/maps` cannot be read: where this program's code lies is not known.
    Maps(Errno),
    /// The SIGSYS handler cannot be installed.
    Handler(Errno),
    /// Another thread blocks SIGSYS, and would be killed in its next call.
    Blocked,
    /// The seccomp filter cannot be installed.
    Filter(Errno),
}

impl fmt::Display for InstallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InstallError::UnknownEngine => {
                f.write_str("SYSRING_ENGINE must be auto, kernel or user")
            }
            InstallError::KernelRefuses(error) => write!(
                f,
                "the kernel refuses io_uring: {error}; with SYSRING_ENGINE=auto the engine in \
                 userspace would serve"
            ),
            InstallError::FixedAddress => f.write_str(
                "this program is linked at a fixed address, so that the filter would reach into \
                 its children; link it as a position-independent executable, or start it with \
                 `sysring run`",
            ),
            InstallError::Maps(error) => write!(f, "cannot read /proc/self/maps: {error}"),
            InstallError::Handler(error) => write!(f, "cannot install a SIGSYS handler: {error}"),
            InstallError::Blocked => f.write_str(
                "another thread blocks the signal SIGSYS; call install before threads are started",
            ),
            InstallError::Filter(Errno::ESRCH) => f.write_str(
                "cannot install a seccomp filter: a thread has one of its own; call install \
                 before threads are started",
            ),
            InstallError::Filter(error) => write!(f, "cannot install a seccomp filter: {error}"),
        }
    }
}

/// The same words: they are what a `main` prints that returns the error.
impl fmt::Debug for InstallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for InstallError {}
