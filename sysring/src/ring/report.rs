//! What a ring runs on, and why: in words.

use core::fmt;

use sysring_door::Engine as Serves;
use sysring_door::choice::{self, Call, Why};
use sysring_sys::Errno;
use sysring_sys::abi::io_uring::setup;

use super::cause::Cause;
use super::limit::Limit;
use crate::op;

/// Who serves a ring, why, and what it has of what was wished for: [`Ring::report`](crate::Ring::report).
///
/// It prints as one line, for logs and people:
///
/// ```
/// # fn main() -> Result<(), sysring::SetupError> {
/// let ring = sysring::Ring::builder().defer_taskrun().build(8)?;
/// // "using the kernel's io_uring", or "EPERM: io_uring_setup is refused by a seccomp filter;
/// // using the engine in userspace"
/// println!("{}", ring.report());
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Report {
    pub(super) serves: Serves,
    pub(super) reason: Reason,
    pub(super) flags: u32,
    pub(super) features: u32,
    pub(super) left_out: u32,
}

/// Why a ring is the kernel's, or the engine's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Reason {
    /// The program asked for it.
    Asked,
    /// `SYSRING_ENGINE` asks for it.
    Environment,
    /// The kernel's io_uring works.
    Works,
    /// There is no engine in this build.
    Alone,
    /// `sysring run` serves this process.
    Placed,
    /// `install` has been called.
    Installed,
    /// The kernel refuses one of the three calls.
    Refused {
        /// Its name.
        call: &'static str,
        /// What it answers.
        errno: Errno,
        /// Why, as far as can be told.
        cause: Cause,
    },
    /// The kernel's io_uring lacks an operation that the program requires.
    Lacks {
        /// Its code.
        code: u8,
    },
    /// The kernel's io_uring refuses what the program asks of the ring.
    SetupRefused {
        /// With this error.
        errno: Errno,
    },
}

impl Reason {
    /// The reason that holds for the whole process.
    pub(super) fn of_process(why: Why) -> Reason {
        match why {
            Why::KernelAsked | Why::UserAsked => Reason::Environment,
            Why::KernelWorks | Why::Untried(_) => Reason::Works,
            Why::KernelAlone => Reason::Alone,
            Why::Placed => Reason::Placed,
            Why::Installed => Reason::Installed,
            Why::Refused(call, errno) => Reason::refused(call, errno),
        }
    }

    fn refused(call: Call, errno: Errno) -> Reason {
        Reason::Refused { call: call.name(), errno, cause: Cause::of(errno) }
    }

    /// Whether it is the program's io_uring calls that the kernel refuses; asked only when a ring
    /// could not be made.
    pub(super) fn of_refusal() -> Option<Reason> {
        choice::try_kernel().err().map(|(call, errno)| Reason::refused(call, errno))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Reason::Asked => f.write_str("the program asks for it"),
            Reason::Environment => f.write_str("SYSRING_ENGINE asks for it"),
            Reason::Works => f.write_str("it works here"),
            Reason::Alone => f.write_str("this build has no other"),
            Reason::Placed => f.write_str("sysring run serves this process"),
            Reason::Installed => f.write_str("it is installed in this process"),
            Reason::Refused { call, errno, cause } => {
                write!(f, "{}: {call} {cause}", errno.name())
            }
            Reason::Lacks { code } => {
                write!(f, "the kernel's io_uring lacks {}", op::name(code))
            }
            Reason::SetupRefused { errno } => {
                write!(f, "{}: the kernel's io_uring refuses such a ring", errno.name())
            }
        }
    }
}

impl Report {
    /// Whether the kernel serves the ring; otherwise it is the engine in this process.
    #[must_use]
    pub fn is_kernel(&self) -> bool {
        self.serves == Serves::Kernel
    }

    /// Why that is so.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The setup flags in use (`IORING_SETUP_*`).
    #[must_use]
    pub fn setup_flags(&self) -> u32 {
        self.flags
    }

    /// The features of who serves (`IORING_FEAT_*`).
    #[must_use]
    pub fn features(&self) -> u32 {
        self.features
    }

    /// The setup flags that were wished for, and are not known here.
    #[must_use]
    pub fn left_out(&self) -> u32 {
        self.left_out
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.serves, self.reason) {
            (Serves::Kernel, Reason::Works) => {}
            (
                _,
                reason @ (Reason::Refused { .. }
                | Reason::Lacks { .. }
                | Reason::SetupRefused { .. }),
            ) => {
                write!(f, "{reason}; ")?;
            }
            (_, Reason::Environment) => {
                let name = if self.is_kernel() { "kernel" } else { "user" };
                write!(f, "SYSRING_ENGINE={name}; ")?;
            }
            (_, reason) => write!(f, "{reason}; ")?,
        }
        f.write_str(match self.serves {
            Serves::Kernel => "using the kernel's io_uring",
            Serves::User => "using the engine in userspace",
        })?;
        let mut before = " without ";
        for (flag, name, since) in HINTS {
            if self.left_out & flag != 0 {
                write!(f, "{before}{name} (Linux {since})")?;
                before = ", ";
            }
        }
        Ok(())
    }
}

/// The setup flags that only make a ring faster, the newest first.
pub(super) const HINTS: [(u32, &str, &str); 4] = [
    (setup::NO_SQARRAY, "NO_SQARRAY", "6.6"),
    (setup::DEFER_TASKRUN, "DEFER_TASKRUN", "6.1"),
    (setup::SINGLE_ISSUER, "SINGLE_ISSUER", "6.0"),
    (setup::COOP_TASKRUN, "COOP_TASKRUN", "5.19"),
];

/// Why a ring could not be made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SetupError {
    pub(super) errno: Errno,
    pub(super) step: Step,
    pub(super) serves: Serves,
    pub(super) refusal: Option<Reason>,
    pub(super) limit: Option<Limit>,
}

/// Where it went wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Step {
    /// `io_uring_setup(2)`.
    Setup,
    /// Mapping the queues.
    Map,
    /// Asking which operations there are.
    Probe,
    /// An operation that is required does not exist.
    Operation(u8),
    /// The engine in userspace is asked for, and this build has none.
    NoEngine,
}

impl SetupError {
    /// The error number.
    #[must_use]
    pub fn errno(&self) -> Errno {
        self.errno
    }

    /// Where it went wrong.
    #[must_use]
    pub fn step(&self) -> Step {
        self.step
    }

    /// Why the kernel refuses io_uring, if it does.
    #[must_use]
    pub fn refusal(&self) -> Option<Reason> {
        self.refusal
    }

    /// What has run out, if that has a limit.
    #[must_use]
    pub fn limit(&self) -> Option<Limit> {
        self.limit
    }
}

impl From<SetupError> for Errno {
    fn from(error: SetupError) -> Errno {
        error.errno
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(refusal) = self.refusal {
            write!(f, "{refusal}; the engine in userspace ")?;
            match self.serves {
                Serves::Kernel => return f.write_str("may not serve"),
                Serves::User => f.write_str("does not serve: ")?,
            }
        }
        match self.step {
            Step::Setup => write!(f, "io_uring_setup: {}", self.errno)?,
            Step::Map => write!(f, "mapping the queues of a ring: {}", self.errno)?,
            Step::Probe => write!(f, "asking for the operations of a ring: {}", self.errno)?,
            Step::Operation(code) => {
                write!(f, "the operation {} does not exist here", op::name(code))?;
            }
            Step::NoEngine => f.write_str("this build has no engine in userspace")?,
        }
        match self.limit {
            Some(limit) => write!(f, "; {limit}"),
            None => Ok(()),
        }
    }
}

/// The same words: they are what a `main` prints that returns the error.
impl fmt::Debug for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for SetupError {}
