//! The process: identity, limits, exec.

use super::sys;
use crate::{Fd, Result, User};

/// `getpid(2)`.
#[must_use]
pub fn getpid() -> i32 {
    // SAFETY: no arguments.
    unsafe { sys!(__NR_getpid, 0) }.unwrap_or(0) as i32
}

/// The real, effective and saved ids of this thread, users then groups.
#[must_use]
pub fn identity() -> [u32; 6] {
    let mut ids = [0u32; 6];
    let at = ids.as_mut_ptr() as usize;
    // SAFETY: both calls write three words each into the array, and fail only on a bad address.
    unsafe {
        let _ = sys!(__NR_getresuid, at, at + 4, at + 8);
        let _ = sys!(__NR_getresgid, at + 12, at + 16, at + 20);
    }
    ids
}

/// `execve(2)` as the application gave it; returns only an error.
pub fn execveat(
    dir: Fd,
    path: User<u8>,
    argv: User<u64>,
    envp: User<u64>,
    flags: u32,
) -> Result<()> {
    // SAFETY: the kernel checks the addresses; on success this program is gone.
    unsafe { sys!(__NR_execveat, dir.arg(), path.arg(), argv.arg(), envp.arg(), flags as usize) }
        .map(drop)
}

/// `execve(2)`; returns only an error.
pub fn execve(path: User<u8>, argv: User<u64>, envp: User<u64>) -> Result<()> {
    // SAFETY: as above.
    unsafe { sys!(__NR_execve, path.arg(), argv.arg(), envp.arg()) }.map(drop)
}

/// `prctl(2)`.
///
/// # Safety
/// Some options change how the process runs, or take addresses.
pub unsafe fn prctl(option: u32, args: [usize; 4]) -> Result<usize> {
    // SAFETY: the caller vouches for the option.
    unsafe { sys!(__NR_prctl, option as usize, args[0], args[1], args[2], args[3]) }
}

/// `seccomp(2)`.
///
/// # Safety
/// The filter decides what every later system call does.
pub unsafe fn seccomp(operation: u32, flags: u32, args: User<u8>) -> Result<usize> {
    // SAFETY: the caller vouches for the filter.
    unsafe { sys!(__NR_seccomp, operation as usize, flags as usize, args.arg()) }
}

/// The soft limit of a resource (`RLIMIT_*`), `u64::MAX` for none or unknown.
#[must_use]
pub fn soft_limit(resource: u32) -> u64 {
    let mut limits = [u64::MAX; 2];
    // SAFETY: the kernel writes the two words of the array.
    let _ = unsafe { sys!(__NR_prlimit64, 0, resource as usize, 0, limits.as_mut_ptr() as usize) };
    limits[0]
}

/// `exit_group(2)`.
pub fn exit_group(code: i32) -> ! {
    loop {
        // SAFETY: ends the process.
        let _ = unsafe { sys!(__NR_exit_group, code as usize) };
    }
}
