//! The way to the engine: the kernel's three calls and their `mmap` and `close`, or the functions
//! of the engine in this process.

use sysring_sys::abi::io_uring::Params;
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, User, call};

use crate::choice::Engine;
use crate::{kernel, user};

/// A negated errno, or the value: what C programs see.
#[inline(always)]
pub fn fold(result: Result<usize>) -> i32 {
    Errno::to_ret(result) as i32
}

/// The same for calls without a value.
#[inline(always)]
pub fn fold_unit(result: Result<()>) -> i32 {
    fold(result.map(|()| 0))
}

pub const PROTECTION: u32 = g::PROT_READ | g::PROT_WRITE;
pub const FLAGS: u32 = g::MAP_SHARED | g::MAP_POPULATE;

pub fn setup(engine: Engine, entries: u32, params: User<Params>) -> Result<usize> {
    match engine {
        Engine::Kernel => kernel::setup(entries, params),
        Engine::User => user::setup(entries, params),
    }
}

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

#[inline(always)]
pub fn register(engine: Engine, fd: i32, opcode: u32, arg: User<u8>, count: u32) -> Result<usize> {
    match engine {
        Engine::Kernel => kernel::register(fd, opcode, arg, count),
        Engine::User => user::register(fd, opcode, arg, count),
    }
}

/// Maps a part of a ring.
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
pub fn close(engine: Engine, fd: Fd) -> Result<()> {
    let served = match engine {
        Engine::Kernel => None,
        Engine::User => user::close(fd),
    };
    served.unwrap_or_else(|| call::close(fd))
}
