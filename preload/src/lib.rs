//! The object that `sysring run` places in a process.
//!
//! Named in LD_PRELOAD it is initialised before any other library's constructor: it maps the
//! gate, installs the handler, and the filter unless one was inherited. Run as a program it loads
//! another one (statically linked, so that no dynamic linker reads LD_PRELOAD for it) and does the
//! same there.
//!
//! What it reads of the environment: `SYSRING_STATS=path`, a file for the engine's counters, and
//! `SYSRING_VERBOSE=1`, one line on standard error that says what is active,
//! `SYSRING_SHORTCUTS=0`, by which every call is trapped, and `SYSRING_TOLD=path`, what the names of files
//! begin with that note what has been said in this run.

#![no_std]
// An ordinary build holds the parts, and nothing that starts them.
#![cfg_attr(not(feature = "object"), allow(dead_code))]

mod direct;
mod environment;
#[cfg(feature = "object")]
mod freestanding;
mod gate;
mod init;
mod loader;
#[cfg(feature = "object")]
mod start;
