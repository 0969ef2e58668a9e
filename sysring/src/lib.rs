//! io_uring in your program, wherever it runs.
//!
//! Call [`install`] first thing in `main`. Where the kernel's io_uring works, nothing changes.
//! Where it is refused (in a container, by a sysctl, on an old kernel), the io_uring calls of this
//! process are served by an engine in userspace from then on, whoever makes them: the `io-uring`
//! crate, tokio-uring, liburing, or the bare system call.
//!
//! ```
//! # #[cfg(feature = "std")]
//! fn main() -> Result<(), sysring::InstallError> {
//!     let engine = sysring::install()?;
//!     println!("io_uring is served by {engine}");
//!     Ok(())
//! }
//! # #[cfg(not(feature = "std"))] fn main() {}
//! ```
//!
//! A program that is written for it has more of it:
//!
//! | layer | what it is |
//! |---|---|
//! | [`Ring`] and [`op`] | entries and completions, by hand; no std, no libc |
//! | [`owned`] | operations that own their buffers: nothing is `unsafe` |
//! | [`future`] | files, sockets and timers for async code, in any runtime |
//!
//! Rings of these are the kernel's where it lets them, and the engine's where not, which is called as a
//! function then: nothing is installed.
//!
//! Beyond io_uring, [`calls`] makes any system call asynchronous.
//!
//! # Cargo features
//! | feature | what it brings |
//! |---|---|
//! | `std` (default) | [`owned`] and [`future`]; descriptors of std as targets; [`install`] |
//! | `engine` (default) | the engine in userspace, for where the kernel's io_uring is refused; [`calls`] |
//! | `stream` | `futures_core::Stream` for [`owned::Stream`] |
//! | `syslet` | `syslet::scope`: calls that become asynchronous only if they block (x86-64) |
//!
//! Without any of them there is [`Ring`] and [`op`], on the kernel's io_uring.
//!
//! # What `install` does to the process
//! - `no_new_privs` is set: a set-user-ID program started from here gains no privilege.
//! - A seccomp filter is added for all threads. It traps the three io_uring calls, and those that
//!   touch a ring's descriptor or the SIGSYS signal, where they are made by code that is mapped
//!   now: this executable and the libraries it was started with, which are looked through for
//!   system calls (a tenth of a millisecond for each megabyte). Any other call costs a few nanoseconds more.
//! - SIGSYS belongs to the engine. Programs may still set a handler for it, block or ignore it, and
//!   find it so; their own seccomp filters still reach their handler.
//! - `clone3` answers `ENOSYS`, and libraries use `clone` instead.
//!
//! A thread that blocks SIGSYS when `install` is called would be killed at its first trapped call.
//! C libraries block all signals for a moment when they start a thread, which `install` waits out;
//! a thread that blocks it for good is an error ([`InstallError::Blocked`]). Best is to call it
//! before there are other threads.
//!
//! # Children
//! A forked child is served as its parent is. After `exec` the filter has nothing to say: it knows
//! this program's calls by their addresses, and other code makes none there. So children see the
//! machine as it is, and may call `install` for themselves, or be started by `sysring run`.
//!
//! This rests on address space randomisation. The same library at the same address makes its calls
//! where this program made them, and the child dies by SIGSYS at the first that is trapped. With the
//! 28 random bits of x86-64 that happens to one in 268 million. On aarch64 Debian's kernel gives 18, of
//! which libraries use 14, and it is one in 16,000; `sysctl vm.mmap_rnd_bits=33` makes it one in 500
//! million. Where randomisation is off (in a debugger, under `setarch -R`), every child that is the
//! same program dies, and hardly any other. An executable linked at a fixed address is refused
//! ([`InstallError::FixedAddress`]), for its children may be itself.
// What is named above, and is not in this build, is found with its feature.
// What fails says how, in what others see.
#![warn(clippy::missing_errors_doc)]
#![cfg_attr(
    not(feature = "std"),
    doc = "",
    doc = "[`owned`]: #cargo-features",
    doc = "[`future`]: #cargo-features",
    doc = "[`owned::Stream`]: #cargo-features"
)]
#![cfg_attr(
    not(feature = "engine"),
    doc = "",
    doc = "[`calls`]: #cargo-features",
    doc = "[`InstallError::Blocked`]: #cargo-features",
    doc = "[`InstallError::FixedAddress`]: #cargo-features"
)]
#![cfg_attr(
    not(all(feature = "std", feature = "engine")),
    doc = "",
    doc = "[`install`]: #cargo-features"
)]
#![cfg_attr(not(feature = "std"), no_std)]

#[cfg(feature = "engine")]
pub mod calls;
#[cfg(feature = "engine")]
mod error;
#[cfg(feature = "std")]
pub mod future;
#[cfg(feature = "engine")]
mod install;
pub mod op;
#[cfg(feature = "std")]
pub mod owned;
mod ring;
pub mod task;

#[cfg(feature = "engine")]
pub use sysring_events as events;

#[cfg(feature = "engine")]
pub use error::InstallError;
#[cfg(feature = "std")]
#[cfg(feature = "engine")]
pub use install::install;
#[cfg(feature = "engine")]
pub use install::{Installed, install_engine};
pub use op::{Descriptor, Fixed, Slot, Target};
pub use ring::{
    Abilities, Buffer, BufferPool, BufferRing, Builder, Bundle, Cause, Completions, CqEntry, Cqe,
    Cqe32, Field, Filter, Full, Limit, LocalRing, MixedCqe, MixedSqe, Operations, PoolBuffer,
    Reason, Register, Report, Restrictions, Ring, SetupError, SqEntry, Sqe, Sqe128, Step,
    Submission, SyncCancel, Timespec, Wait, Waits,
};
#[cfg(feature = "engine")]
pub use ring::{Asked, Outcome};
/// The kernel's structures and numbers. (Not its calls: they write to any address they are given.)
pub mod sys {
    pub use sysring_sys::call::exit_group;
    pub use sysring_sys::{abi, raw};
}
pub use sysring_sys::abi::signal::SigSet;
pub use sysring_sys::abi::{Iovec, Msghdr};
pub use sysring_sys::{Errno, Fd};
/// System calls that become asynchronous only if they block (the Cargo feature `syslet`).
#[cfg(feature = "syslet")]
pub use sysring_syslet as syslet;

/// The page on moving from other crates: its examples run as tests.
#[cfg(all(doctest, feature = "std"))]
#[doc = include_str!("../../docs/moving.md")]
struct Moving;

/// Who should serve.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Engine {
    /// The kernel where its io_uring works, the engine in userspace where not.
    #[default]
    Auto,
    /// The kernel, or an error.
    Kernel,
    /// The engine in userspace, even where the kernel's io_uring works.
    User,
}
