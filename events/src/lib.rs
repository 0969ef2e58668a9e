//! Variable-length events in a ring that processes may share, and the attributes that calls are
//! asked for and events answer.
//!
//! A [`Ring`] is a memory file: a header, the ring's bytes, and an overflow area behind them that
//! takes what the ring has no room for, in order. Any number of threads of any number of processes
//! push and pop; any of them may be killed, or stopped, at any instant and the others go on. The layout is
//! described in `docs/events.md`, for readers in other languages.
//!
//! ```
//! use sysring_events::attr::{Answers, Trace};
//! use sysring_events::{Config, Event, Ring};
//!
//! let ring = Ring::new(&Config::default())?;
//! let mut answers = Answers::none();
//! answers.set(&Trace(77));
//! ring.push(&Event::new(1, 4096).with(&answers))?;
//!
//! let mut memory = [0; 64];
//! for event in ring.pop(&mut memory)? {
//!     assert_eq!((event.id(), event.result()), (1, 4096));
//!     assert_eq!(event.attr::<Trace>(), Some(Trace(77)));
//! }
//! # Ok::<(), sysring_sys::Errno>(())
//! ```
//!
//! Nothing here uses libc, an allocator or thread-local storage.

// What fails says how, in what others see.
#![warn(clippy::missing_errors_doc)]
#![cfg_attr(not(any(test, loom)), no_std)]
// The model checker brings memory and a system of its own.
#![cfg_attr(loom, allow(dead_code, missing_docs))]

pub mod attr;

mod atomic;
mod band;
mod crc32c;
mod event;
mod host;
#[cfg(not(loom))]
mod identity;
mod kept;
mod layout;
mod lock;
#[cfg(not(loom))]
mod memory;
#[cfg(all(test, loom))]
mod model;
mod protocol;
#[cfg(not(loom))]
mod ring;

pub use crc32c::crc32c;
pub use event::{Event, Events, MAX_LEN, Seen};
#[cfg(not(loom))]
pub use ring::{Config, Ring};
