//! The three calls themselves, as functions.

use core::ffi::c_int;

use sysring_sys::User;
use sysring_sys::abi::io_uring::Params;
use sysring_sys::abi::signal::SIGSET_SIZE;

use crate::choice::engine;
use crate::door::{self, fold};

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_setup(entries: u32, params: User<Params>) -> c_int {
    fold(door::setup(engine(), entries, params))
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_enter(
    fd: u32,
    to_submit: u32,
    min_complete: u32,
    flags: u32,
    sigmask: User<u8>,
) -> c_int {
    io_uring_enter2(fd, to_submit, min_complete, flags, sigmask, SIGSET_SIZE)
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_enter2(
    fd: u32,
    to_submit: u32,
    min_complete: u32,
    flags: u32,
    arg: User<u8>,
    size: usize,
) -> c_int {
    fold(door::enter(engine(), fd as i32, to_submit, min_complete, flags, arg, size))
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_register(fd: u32, opcode: u32, arg: User<u8>, count: u32) -> c_int {
    fold(door::register(engine(), fd as i32, opcode, arg, count))
}
