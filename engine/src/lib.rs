//! The kernel side of io_uring, in userspace.
//!
//! Three calls, [`setup`], [`enter`] and [`register`], take what `io_uring_setup(2)`,
//! `io_uring_enter(2)` and `io_uring_register(2)` take and answer as they do; the hooks in
//! [`descriptors`] are what a caller that sees the process's system calls tells the engine about
//! its ring descriptors. The engine knows nothing of how it is reached.

#![cfg_attr(not(test), no_std)]

use sysring_sys::abi::io_uring::Params;
use sysring_sys::abi::signal::SigSet;
use sysring_sys::{Errno, Result, User};

pub mod descriptors;
pub mod stats;

/// What the engine must know of the thread that calls it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Caller {
    /// The signal mask to sleep with, when the thread's own is not the one the application set:
    /// a SIGSYS handler runs with every signal blocked. `None`: the mask is the application's.
    pub sigmask: Option<SigSet>,
}

/// `io_uring_setup(2)`: a new ring; its descriptor.
pub fn setup(_entries: u32, _params: User<Params>) -> Result<usize> {
    Err(Errno::ENOSYS)
}

/// `io_uring_enter(2)`; `arg` and `argsz` are the signal mask, or the extended argument.
pub fn enter(
    _fd: u32,
    _to_submit: u32,
    _min_complete: u32,
    _flags: u32,
    _arg: User<u8>,
    _argsz: usize,
    _caller: &Caller,
) -> Result<usize> {
    Err(Errno::ENOSYS)
}

/// `io_uring_register(2)`.
pub fn register(_fd: u32, _opcode: u32, _arg: User<u8>, _nr_args: u32) -> Result<usize> {
    Err(Errno::ENOSYS)
}
