//! The process: identity, limits, exec.

use core::ptr;

use super::sys;
use crate::abi::Rlimit;
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

/// What the kernel checks permissions by, of a thread: all that system calls tell of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Real, effective and saved, users then groups.
    ids: [u32; 6],
    /// For files: user and group.
    fs: [u32; 2],
    /// How many supplementary groups, and which.
    group_count: usize,
    groups: [u32; MOST_GROUPS],
    /// Effective, permitted, inheritable; low halves, then high ones.
    capabilities: [u32; 6],
    securebits: usize,
    /// Nothing is missing.
    whole: bool,
}

/// Supplementary groups that are compared.
const MOST_GROUPS: usize = 64;

impl Credentials {
    /// Nobody's.
    pub const UNKNOWN: Credentials = Credentials {
        ids: [u32::MAX; 6],
        fs: [0; 2],
        group_count: 0,
        groups: [0; MOST_GROUPS],
        capabilities: [0; 6],
        securebits: 0,
        whole: false,
    };

    /// Whether all could be had: no call was refused, and there were not too many groups.
    #[must_use]
    pub fn are_whole(&self) -> bool {
        self.whole
    }
}

/// This thread's credentials, as far as they can be had: what cannot is the same for all.
#[must_use]
pub fn credentials() -> Credentials {
    const VERSION_3: u32 = 0x2008_0522;
    const PR_GET_SECUREBITS: u32 = 27;
    const NO_ID: usize = u32::MAX as usize;
    let mut mine = Credentials { ids: identity(), ..Credentials::UNKNOWN };
    let (header, capabilities) = ([VERSION_3, 0], mine.capabilities.as_mut_ptr() as usize);
    let groups = mine.groups.as_mut_ptr() as usize;
    // SAFETY: the calls write to the arrays, as much as each is told there is room for; no user or
    // group has the id -1, so that nothing is set; the option only asks.
    let answers = unsafe {
        [
            sys!(__NR_capget, header.as_ptr() as usize, capabilities),
            sys!(__NR_getgroups, MOST_GROUPS, groups),
            sys!(__NR_setfsuid, NO_ID),
            sys!(__NR_setfsgid, NO_ID),
            prctl(PR_GET_SECUREBITS, [0; 4]),
        ]
    };
    mine.whole = answers.iter().all(Result::is_ok);
    let [_, group_count, user, group, securebits] = answers.map(|answer| answer.unwrap_or(0));
    mine.fs = [user as u32, group as u32];
    (mine.group_count, mine.securebits) = (group_count, securebits);
    mine
}

/// Whether this thread can gain no privilege by executing something.
#[must_use]
pub fn has_no_new_privs() -> bool {
    const PR_GET_NO_NEW_PRIVS: u32 = 39;
    // SAFETY: only asks.
    unsafe { prctl(PR_GET_NO_NEW_PRIVS, [0; 4]) == Ok(1) }
}

/// Whether this thread has `CAP_SYS_ADMIN`.
#[must_use]
pub fn is_admin() -> bool {
    const CAP_SYS_ADMIN: u32 = 21;
    credentials().capabilities[0] >> CAP_SYS_ADMIN & 1 != 0
}

/// Whether this thread has `CAP_IPC_LOCK`: memory is locked for it without limit.
#[must_use]
pub fn may_lock_memory() -> bool {
    const CAP_IPC_LOCK: u32 = 14;
    credentials().capabilities[0] >> CAP_IPC_LOCK & 1 != 0
}

/// `waitid(2)`; `info` is a `siginfo_t`.
///
/// # Safety
/// What is written to is memory of the caller's alone, or the application's, which asked for it.
pub unsafe fn waitid(which: u32, id: i32, info: User<[i32; 32]>, options: u32) -> Result<()> {
    // SAFETY: the kernel checks the address; the caller vouches for what is written to.
    unsafe { sys!(__NR_waitid, which as usize, id as isize as usize, info.arg(), options as usize) }
        .map(drop)
}

/// `pidfd_open(2)`.
pub fn pidfd_open(pid: i32) -> Result<Fd> {
    // SAFETY: numbers only.
    unsafe { sys!(__NR_pidfd_open, pid as isize as usize) }.map(|fd| Fd::new(fd as i32))
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
    // SAFETY: the kernel checks the addresses; on success this program is gone.
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
    limit(resource).map_or(u64::MAX, |limit| limit.rlim_cur)
}

/// `prlimit64(2)` of the caller: a resource's limits.
pub fn limit(resource: u32) -> Result<Rlimit> {
    let mut limit = Rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes the limits, which are ours.
    unsafe { sys!(__NR_prlimit64, 0, resource as usize, 0, (&raw mut limit) as usize) }?;
    Ok(limit)
}

/// The same, to set them.
pub fn set_limit(resource: u32, limit: &Rlimit) -> Result<()> {
    // SAFETY: the kernel reads the limits.
    unsafe { sys!(__NR_prlimit64, 0, resource as usize, ptr::from_ref(limit) as usize, 0) }
        .map(drop)
}

/// `exit_group(2)`.
pub fn exit_group(code: i32) -> ! {
    loop {
        // SAFETY: ends the process.
        let _ = unsafe { sys!(__NR_exit_group, code as usize) };
    }
}
