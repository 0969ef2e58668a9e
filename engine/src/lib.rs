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
//! road of a request: `submit`, `issue` (inline, then readiness in `poll`, kernel AIO in `aio`, a
//! worker in `wq` or a `sleeper`), `complete`.
//!
//! What is public is the front, and what is asked of the engine beside it; a few modules more are, without
//! being shown, for this crate's tests.

#![cfg_attr(not(test), no_std)]

mod aio;
mod alarm;
mod backing;
mod by_data;
mod cancel;
mod cbpf;
mod complete;
mod cq;
mod crew;
pub mod descriptors;
#[doc(hidden)]
pub mod driver;
mod enter;
mod filetable;
mod filter;
mod hints;
#[doc(hidden)]
pub mod iopoll;
mod issue;
mod kbuf;
mod lent;
mod listeners;
mod locked;
mod memory;
pub mod native;
mod notice;
mod nowait;
pub mod op;
mod orders;
mod overflow;
mod path;
#[doc(hidden)]
pub mod personality;
mod poll;
pub mod process;
mod queues;
mod region;
pub mod register;
mod relief;
#[doc(hidden)]
pub mod request;
mod restrict;
mod ring;
mod rsrc;
mod setup;
mod shape;
mod sleeper;
mod slots;
mod sq;
mod sqpoll;
mod state;
pub mod stats;
mod submit;
mod tag;
pub mod thread;
mod time;
mod timeout;
mod unsettled;
pub mod user;
mod wait;
mod watch;
mod window;
mod wq;
mod wq_limits;

pub use enter::{FLAGS as ENTER_FLAGS, enter};
pub use register::register;
pub use setup::{FEATURES, FLAGS as SETUP_FLAGS, setup};
pub use sysring_sys::abi::PAGE;
pub(crate) use sysring_sys::sync;

use sysring_sys::abi::signal::SigSet;

/// What the engine must know of the thread that calls it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Caller {
    /// The signal mask to sleep with, when the thread's own is not the one the application set:
    /// a SIGSYS handler runs with every signal blocked. `None`: the mask is the application's.
    pub sigmask: Option<SigSet>,
}
