//! The kernel side of io_uring, in userspace.
//!
//! Three calls, [`setup()`], [`enter()`] and [`register()`], take what `io_uring_setup(2)`,
//! `io_uring_enter(2)` and `io_uring_register(2)` take and answer as they do; the hooks in
//! [`descriptors`] are what a caller that sees the process's system calls tells the engine about
//! its ring descriptors. The engine knows nothing of how it is reached.
//!
//! [`native`] is a second front door, for system calls by number.
//!
//! Inside it is laid out as the kernel's `io_uring/` folder is: a file for each concern, or a
//! folder of them, as for each family of operations in [`op`], and one table, [`op::table`]. The
//! road of a request: [`submit`], `issue` (inline, then readiness in [`poll`], kernel AIO in
//! [`aio`], a worker in [`wq`] or a [`sleeper`]), [`complete`].

#![cfg_attr(not(test), no_std)]
// The crate's front is documented; its rooms are documented where they need words.
#![allow(missing_docs)]

pub mod aio;
mod backing;
pub mod cancel;
mod cbpf;
pub mod complete;
mod cq;
pub mod crew;
pub mod descriptors;
pub mod driver;
mod enter;
pub mod filetable;
pub mod filter;
pub mod hints;
pub mod iopoll;
mod issue;
pub mod kbuf;
mod listeners;
pub mod locked;
pub mod memory;
pub mod native;
pub mod notice;
mod nowait;
pub mod op;
mod orders;
mod overflow;
pub mod path;
pub mod personality;
pub mod poll;
pub mod process;
pub mod queues;
pub mod region;
pub mod register;
mod relief;
pub mod request;
pub mod restrict;
pub mod ring;
pub mod rsrc;
mod setup;
pub mod shape;
pub mod sleeper;
mod sq;
pub mod sqpoll;
pub mod state;
pub mod stats;
pub mod submit;
pub mod tag;
pub mod thread;
pub mod timeout;
mod unsettled;
pub mod user;
pub mod wait;
mod watch;
mod window;
pub mod wq;
mod wq_limits;

pub use enter::{FLAGS as ENTER_FLAGS, enter};
pub use register::register;
pub use setup::{FEATURES, FLAGS as SETUP_FLAGS, setup};
pub use sysring_sys::sync;

use sysring_sys::abi::signal::SigSet;

/// What the engine must know of the thread that calls it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Caller {
    /// The signal mask to sleep with, when the thread's own is not the one the application set:
    /// a SIGSYS handler runs with every signal blocked. `None`: the mask is the application's.
    pub sigmask: Option<SigSet>,
}
