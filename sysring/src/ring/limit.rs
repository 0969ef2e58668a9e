//! What a ring could not be made for want of.

use core::fmt;

use sysring_door::Engine as Serves;
use sysring_sys::raw::general::{RLIMIT_MEMLOCK, RLIMIT_NOFILE};
use sysring_sys::{Errno, call};

/// A limit of the process that was met: [`SetupError::limit`](crate::SetupError::limit).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Limit {
    /// On open files (`RLIMIT_NOFILE`, `ulimit -n`).
    OpenFiles {
        /// So many.
        limit: u64,
        /// The engine in userspace was to serve, whose descriptors lie at this number and above.
        above: Option<u32>,
    },
    /// On locked memory (`RLIMIT_MEMLOCK`, `ulimit -l`), of which each of the kernel's rings of a user
    /// takes some.
    LockedMemory {
        /// So many bytes.
        limit: u64,
    },
}

/// Where the engine's descriptors begin: also of one that is not in this build, but around the process.
const FLOOR: u32 = 960;
#[cfg(feature = "engine")]
const _: () = assert!(FLOOR as i32 == sysring_engine::descriptors::FLOOR.raw());

impl Limit {
    /// The one behind an error of `io_uring_setup(2)`, if there is one.
    pub(super) fn behind(errno: Errno, serves: Serves) -> Option<Limit> {
        match (errno, serves) {
            (Errno::EMFILE, Serves::Kernel) => {
                Some(Limit::OpenFiles { limit: call::soft_limit(RLIMIT_NOFILE), above: None })
            }
            (Errno::EMFILE, Serves::User) => Some(Limit::OpenFiles {
                limit: call::soft_limit(RLIMIT_NOFILE),
                above: Some(FLOOR),
            }),
            (Errno::ENOMEM, Serves::Kernel) => match call::soft_limit(RLIMIT_MEMLOCK) {
                // Who may lock what he likes is out of memory.
                limit if limit == u64::MAX || call::may_lock_memory() => None,
                limit => Some(Limit::LockedMemory { limit }),
            },
            _ => None,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Limit::OpenFiles { limit, above: None } => {
                write!(f, "the limit on open files is {limit} (ulimit -n)")
            }
            Limit::OpenFiles { limit, above: Some(above) } => {
                write!(
                    f,
                    "it needs free descriptors from {above} on, and the limit on open files is \
                     {limit} (ulimit -n)"
                )
            }
            Limit::LockedMemory { limit } => {
                write!(f, "the limit on locked memory is {} KiB (ulimit -l)", limit / 1024)
            }
        }
    }
}
