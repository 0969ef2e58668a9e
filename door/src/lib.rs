//! The way to io_uring: the kernel's three calls and their `mmap` and `close`, or the functions of
//! an engine in this process.
//!
//! Which of the two is told with every call. [`choice`] finds the right one for this process.

#![cfg_attr(not(test), no_std)]

pub mod choice;
mod environment;
mod kernel;
mod user;

use sysring_sys::abi::io_uring::Params;
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, User, call};

/// Who serves a ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Engine {
    /// The kernel.
    Kernel,
    /// The engine in this process.
    User,
}

/// How a part of a ring is mapped.
pub const PROTECTION: u32 = g::PROT_READ | g::PROT_WRITE;
/// The same, its flags.
pub const FLAGS: u32 = g::MAP_SHARED | g::MAP_POPULATE;

/// `io_uring_setup(2)`.
///
/// # Errors
/// As the call.
pub fn setup(engine: Engine, entries: u32, params: User<Params>) -> Result<usize> {
    match engine {
        Engine::Kernel => kernel::setup(entries, params),
        Engine::User => user::setup(entries, params),
    }
}

/// `io_uring_enter(2)`.
///
/// # Errors
/// As the call.
#[inline(always)]
pub fn enter(
    engine: Engine,
    fd: i32,
    submit: u32,
    min: u32,
    flags: u32,
    arg: User<u8>,
    size: usize,
) -> Result<usize> {
    Errno::from_ret(enter_c(engine, fd, submit, min, flags, arg, size) as isize)
}

/// The same, with the answer as C programs see it.
#[inline(always)]
#[must_use]
pub fn enter_c(
    engine: Engine,
    fd: i32,
    submit: u32,
    min: u32,
    flags: u32,
    arg: User<u8>,
    size: usize,
) -> i32 {
    match engine {
        Engine::Kernel => kernel::enter_c(fd, submit, min, flags, arg, size) as i32,
        Engine::User => user::enter(fd, submit, min, flags, arg, size) as i32,
    }
}

/// `io_uring_register(2)`.
///
/// # Errors
/// As the call.
#[inline(always)]
pub fn register(engine: Engine, fd: i32, opcode: u32, arg: User<u8>, count: u32) -> Result<usize> {
    match engine {
        Engine::Kernel => kernel::register(fd, opcode, arg, count),
        Engine::User => user::register(fd, opcode, arg, count),
    }
}

/// Maps a part of a ring.
///
/// # Errors
/// As `mmap(2)`.
pub fn mmap(engine: Engine, fd: Fd, len: usize, offset: u64) -> Result<*mut u8> {
    let served = match engine {
        Engine::Kernel => None,
        Engine::User => user::mmap(fd, len, offset),
    };
    let mapped = served.unwrap_or_else(|| {
        // SAFETY: no address is asked for, so nothing is replaced.
        unsafe { call::mmap(0, len, PROTECTION, FLAGS, fd, offset) }
    });
    mapped.map(|at| at as *mut u8)
}

/// Closes a ring's descriptor.
///
/// # Errors
/// As `close(2)`.
pub fn close(engine: Engine, fd: Fd) -> Result<()> {
    let served = match engine {
        Engine::Kernel => None,
        Engine::User => user::close(fd),
    };
    served.unwrap_or_else(|| call::close(fd))
}
