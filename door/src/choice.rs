//! Which engine serves the rings of this process, and why.
//!
//! In a process that `sysring run` serves, it serves the library, too. Elsewhere
//! `SYSRING_ENGINE=kernel` and `=user` insist on one. Otherwise the kernel's io_uring is tried when
//! the first ring is made: it serves if its three calls are not refused (`ENOSYS`, `EPERM`,
//! `EACCES`), and the engine in this process if they are.

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{Acquire, Release};

use sysring_sys::abi::io_uring::{Params, Probe, register};
use sysring_sys::{Errno, Fd, User, call};

use crate::{Engine, environment, kernel, user};

/// Why it is the kernel, or the engine in this process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// The kernel: `SYSRING_ENGINE=kernel`.
    KernelAsked,
    /// The kernel: its three calls answer.
    KernelWorks,
    /// The kernel: there is no engine in this build.
    KernelAlone,
    /// The kernel: it could not be tried, for want of memory or descriptors.
    Untried(Errno),
    /// The engine: `SYSRING_ENGINE=user`.
    UserAsked,
    /// The engine: the kernel refuses this call.
    Refused(Call, Errno),
    /// The engine: `sysring run` has placed it in this process.
    Placed,
    /// The engine: the program has installed it in this process.
    Installed,
}

/// One of the kernel's three calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call {
    /// `io_uring_setup(2)`.
    Setup,
    /// `io_uring_enter(2)`.
    Enter,
    /// `io_uring_register(2)`.
    Register,
}

impl Call {
    /// As the man pages have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Call::Setup => "io_uring_setup",
            Call::Enter => "io_uring_enter",
            Call::Register => "io_uring_register",
        }
    }
}

impl Why {
    /// Who serves.
    #[inline]
    #[must_use]
    pub const fn engine(self) -> Engine {
        match self {
            Why::UserAsked | Why::Refused(..) | Why::Placed | Why::Installed => Engine::User,
            _ => Engine::Kernel,
        }
    }

    const fn to_word(self) -> u32 {
        let (kind, call, errno) = match self {
            Why::KernelAsked => (1, 0, 0),
            Why::KernelWorks => (2, 0, 0),
            Why::KernelAlone => (3, 0, 0),
            Why::UserAsked => (4, 0, 0),
            Why::Placed => (5, 0, 0),
            Why::Installed => (6, 0, 0),
            Why::Refused(call, errno) => (7, call as u32, errno.raw() as u32),
            Why::Untried(_) => (OPEN, 0, 0),
        };
        kind | call << 8 | errno << 16
    }

    fn from_word(word: u32) -> Option<Why> {
        Some(match word & 0xff {
            1 => Why::KernelAsked,
            2 => Why::KernelWorks,
            3 => Why::KernelAlone,
            4 => Why::UserAsked,
            5 => Why::Placed,
            6 => Why::Installed,
            7 => {
                let call = match word >> 8 & 0xff {
                    0 => Call::Setup,
                    1 => Call::Enter,
                    _ => Call::Register,
                };
                Why::Refused(call, Errno::from_raw((word >> 16) as i32)?)
            }
            _ => return None,
        })
    }
}

const OPEN: u32 = 0;

/// What was decided: all in one word, so that nothing else need be published with it.
static CHOICE: AtomicU32 = AtomicU32::new(OPEN);

/// The engine of this process.
#[inline]
#[must_use]
pub fn engine() -> Engine {
    chosen().engine()
}

/// The engine of this process, with the reason.
#[inline]
#[must_use]
pub fn chosen() -> Why {
    // Acquire pairs with the Release in `decide`: the front of a placed engine is known.
    Why::from_word(CHOICE.load(Acquire)).unwrap_or_else(decide)
}

/// To be called when an engine of this build begins to serve all of the process's calls: they would
/// be trapped on their way to it.
pub fn installed() {
    CHOICE.store(Why::Installed.to_word(), Release);
}

/// Asks the kernel, whatever the environment or an earlier answer says.
///
/// # Errors
/// Which call it refuses, and how.
pub fn try_kernel() -> Result<(), (Call, Errno)> {
    let mut params = Params::default();
    let fd = kernel::setup(1, User::of(&raw mut params)).map_err(|e| (Call::Setup, e))? as i32;
    let result = try_ring(fd);
    let _ = call::close(Fd::new(fd));
    result
}

#[cold]
fn decide() -> Why {
    let why = match environment::value::<8>(b"SYSRING_ENGINE").as_ref() {
        _ if user::is_placed() => Why::Placed,
        _ if cfg!(not(feature = "engine")) => Why::KernelAlone,
        Some(b"kernel\0\0") => Why::KernelAsked,
        Some(b"user\0\0\0\0") => Why::UserAsked,
        _ => match try_kernel() {
            Ok(()) => Why::KernelWorks,
            Err((call, e @ (Errno::ENOSYS | Errno::EPERM | Errno::EACCES))) => {
                Why::Refused(call, e)
            }
            // Nothing is known, and the caller will meet the same. The next ring asks again.
            Err((_, e)) => return Why::Untried(e),
        },
    };
    // Release pairs with the Acquire in `chosen`. A second thread may come to this point at the
    // same time, with the same result.
    CHOICE.store(why.to_word(), Release);
    why
}

fn try_ring(fd: i32) -> Result<(), (Call, Errno)> {
    kernel::enter(fd, 0, 0, 0, User::NULL, 0).map_err(|e| (Call::Enter, e))?;
    let mut probe = Probe::default();
    match kernel::register(fd, register::PROBE, User::of(&raw mut probe).cast(), 0) {
        // Linux 5.1 to 5.5 have no probe.
        Ok(_) | Err(Errno::EINVAL) => Ok(()),
        Err(e) => Err((Call::Register, e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_says_all() {
        let reasons = [
            Why::KernelAsked,
            Why::KernelWorks,
            Why::KernelAlone,
            Why::UserAsked,
            Why::Placed,
            Why::Installed,
            Why::Refused(Call::Setup, Errno::EPERM),
            Why::Refused(Call::Enter, Errno::ENOSYS),
            Why::Refused(Call::Register, Errno::EACCES),
        ];
        for why in reasons {
            assert_eq!(Why::from_word(why.to_word()), Some(why));
        }
        assert_eq!(Why::from_word(Why::Untried(Errno::ENOMEM).to_word()), None);
    }
}
