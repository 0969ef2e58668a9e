//! The way from a program's io_uring calls to the engine.
//!
//! A seccomp filter ([`filter`]) makes the kernel raise SIGSYS where the program calls
//! `io_uring_setup`, `io_uring_enter` or `io_uring_register`, and at the few other calls whose
//! effect the engine must know of; the handler ([`handler`]) reads the call's arguments out of
//! the interrupted registers, has it served, and writes the result where the program expects it.
//! The engine's own calls leave through the gate of `sysring-sys`, which the filter lets pass.
//!
//! Once trapped, always trapped: a filter cannot be taken off and outlives `exec`. So whoever
//! installs it sees to it that every later program carries the handler too ([`exec`]), or limits
//! the filter to the places where this program makes its calls ([`sites`]).
//!
//! # Room on the stack
//! The kernel's signal frame (about 1 to 3.5 KiB, by processor) and, before the engine takes
//! over, less than 2 KiB. On an alternate signal stack, which programs make small, calls that may
//! sleep or go deep continue on a stack of ours ([`handler`] says why and how).

#![cfg_attr(not(test), no_std)]

mod array;
mod context;
pub mod exec;
mod fds;
pub mod filter;
pub mod handler;
mod io_uring;
pub mod maps;
mod memory;
pub mod message;
pub mod process;
mod scratch;
#[cfg(target_arch = "x86_64")]
pub mod shortcut;
mod signals;
pub mod sites;
mod spawn;
mod stack;
pub mod threads;
