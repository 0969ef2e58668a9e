//! The three calls to the kernel, in place.
//!
//! Not through the gate of `sysring_sys`, which is the engine's: these are the program's own calls,
//! which a filter may trap like any other of them, and the way of every submission.

use core::arch::asm;

use sysring_sys::abi::io_uring::Params;
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Result, User};

/// Makes a system call with six arguments.
///
/// # Safety
/// The call must be sound for this process.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn call(nr: u32, a: [usize; 6]) -> isize {
    let answer: isize;
    // SAFETY: by the caller's word; the kernel changes rax, rcx and r11 alone.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") nr as isize => answer,
            in("rdi") a[0],
            in("rsi") a[1],
            in("rdx") a[2],
            in("r10") a[3],
            in("r8") a[4],
            in("r9") a[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    answer
}

/// Makes a system call with six arguments.
///
/// # Safety
/// The call must be sound for this process.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
unsafe fn call(nr: u32, a: [usize; 6]) -> isize {
    let answer: isize;
    // SAFETY: by the caller's word; the kernel changes x0 alone.
    unsafe {
        asm!(
            "svc #0",
            in("x8") nr as usize,
            inlateout("x0") a[0] => answer,
            in("x1") a[1],
            in("x2") a[2],
            in("x3") a[3],
            in("x4") a[4],
            in("x5") a[5],
            options(nostack),
        );
    }
    answer
}

pub fn setup(entries: u32, params: User<Params>) -> Result<usize> {
    let arguments = [entries as usize, params.address() as usize, 0, 0, 0, 0];
    // SAFETY: the kernel checks the address.
    Errno::from_ret(unsafe { call(g::__NR_io_uring_setup, arguments) })
}

#[inline(always)]
pub fn enter(
    fd: i32,
    submit: u32,
    min: u32,
    flags: u32,
    arg: User<u8>,
    size: usize,
) -> Result<usize> {
    Errno::from_ret(enter_c(fd, submit, min, flags, arg, size))
}

/// The same, with the answer as the kernel gives it.
#[inline(always)]
pub fn enter_c(fd: i32, submit: u32, min: u32, flags: u32, arg: User<u8>, size: usize) -> isize {
    let address = arg.address() as usize;
    let arguments = [fd as usize, submit as usize, min as usize, flags as usize, address, size];
    // SAFETY: the kernel checks the address; what the entries name is the application's to give.
    unsafe { call(g::__NR_io_uring_enter, arguments) }
}

#[inline(always)]
pub fn register(fd: i32, opcode: u32, arg: User<u8>, count: u32) -> Result<usize> {
    let address = arg.address() as usize;
    let arguments = [fd as usize, opcode as usize, address, count as usize, 0, 0];
    // SAFETY: as for `enter`.
    Errno::from_ret(unsafe { call(g::__NR_io_uring_register, arguments) })
}
