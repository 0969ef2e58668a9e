//! Calls that make no sense in a scope, by number.
//!
//! A call may be made by one thread and the program go on in another. So a call that changes the
//! thread that makes it changes the wrong one sooner or later; and a call that never returns, or
//! returns twice, is no call that could be left in the middle.

use sysring_sys::raw::general as g;

/// What is refused whatever its arguments.
const ALWAYS: &[u32] = &[
    // They end this thread or the program, or become two.
    g::__NR_exit,
    g::__NR_exit_group,
    g::__NR_clone,
    g::__NR_clone3,
    g::__NR_execve,
    g::__NR_execveat,
    #[cfg(target_arch = "x86_64")]
    g::__NR_fork,
    #[cfg(target_arch = "x86_64")]
    g::__NR_vfork,
    g::__NR_restart_syscall,
    // Its signals.
    g::__NR_rt_sigreturn,
    g::__NR_rt_sigprocmask,
    g::__NR_rt_sigsuspend,
    g::__NR_sigaltstack,
    #[cfg(target_arch = "x86_64")]
    g::__NR_pause,
    // What the C library has told the kernel about it.
    g::__NR_set_tid_address,
    g::__NR_set_robust_list,
    g::__NR_rseq,
    #[cfg(target_arch = "x86_64")]
    g::__NR_arch_prctl,
    #[cfg(target_arch = "x86_64")]
    g::__NR_set_thread_area,
    #[cfg(target_arch = "x86_64")]
    g::__NR_modify_ldt,
    // Who it is, and what it may do; its keys are looked up, and kept, by who it is.
    g::__NR_setuid,
    g::__NR_setgid,
    g::__NR_setreuid,
    g::__NR_setregid,
    g::__NR_setresuid,
    g::__NR_setresgid,
    g::__NR_setfsuid,
    g::__NR_setfsgid,
    g::__NR_setgroups,
    g::__NR_capset,
    g::__NR_keyctl,
    g::__NR_add_key,
    g::__NR_request_key,
    g::__NR_lsm_set_self_attr,
    g::__NR_prctl,
    g::__NR_personality,
    g::__NR_seccomp,
    g::__NR_landlock_restrict_self,
    g::__NR_ptrace,
    #[cfg(target_arch = "x86_64")]
    g::__NR_iopl,
    #[cfg(target_arch = "x86_64")]
    g::__NR_ioperm,
    g::__NR_pkey_alloc,
    // Where it lives.
    g::__NR_unshare,
    g::__NR_setns,
    g::__NR_set_mempolicy,
];

/// What is refused if it is meant for the calling thread: a 0 as this argument.
const OF_ONESELF: &[(u32, usize)] = &[
    (g::__NR_sched_setaffinity, 0),
    (g::__NR_sched_setscheduler, 0),
    (g::__NR_sched_setparam, 0),
    (g::__NR_sched_setattr, 0),
    (g::__NR_setpriority, 1),
    (g::__NR_ioprio_set, 1),
];

/// What is refused if it lets signals through while it waits: a mask, as this argument. Handlers would
/// run on a thread that only finishes the call, with the storage of a caller who has gone on.
const WITH_MASK: &[(u32, usize)] = &[
    (g::__NR_ppoll, 3),
    (g::__NR_pselect6, 5),
    (g::__NR_epoll_pwait, 4),
    (g::__NR_epoll_pwait2, 4),
    (g::__NR_io_pgetevents, 5),
];

/// Numbers in the table.
const NUMBERS: usize = 512;

/// By number: there is something to look at.
static MARKED: [bool; NUMBERS] = {
    let mut marked = [false; NUMBERS];
    marked[g::__NR_futex as usize] = true;
    let mut i = 0;
    while i < ALWAYS.len() {
        marked[ALWAYS[i] as usize] = true;
        i += 1;
    }
    i = 0;
    while i < OF_ONESELF.len() {
        marked[OF_ONESELF[i].0 as usize] = true;
        i += 1;
    }
    i = 0;
    while i < WITH_MASK.len() {
        marked[WITH_MASK[i].0 as usize] = true;
        i += 1;
    }
    marked[g::__NR_io_uring_enter as usize] = true;
    marked
};

/// Whether a scope refuses a call, with `EOPNOTSUPP`: one that would change, end or double the thread
/// that makes it, ask the kernel about the thread's own locks (`FUTEX_LOCK_PI` and its kin), or let
/// signals through while it waits (the mask of `ppoll(2)` and its kin). A mask in what an
/// `io_uring_enter(2)` with `IORING_ENTER_EXT_ARG` points to is not seen: there must be none.
/// Calls that the table does not know are never refused, but for the numbers of x32.
#[inline]
#[must_use]
pub fn refuses(number: u32, args: &[usize; 6]) -> bool {
    match MARKED.get(number as usize) {
        Some(false) => false,
        // By value: what has no address may stay in registers.
        Some(true) => {
            is_harmful(number, [args[0] as u32, args[1] as u32], args[3], args[4], args[5])
        }
        None => is_foreign(number),
    }
}

/// Whether a number is one of the x32 ABI's, which has other names for calls that are refused.
#[cold]
fn is_foreign(number: u32) -> bool {
    const X32: u32 = 1 << 30;
    cfg!(target_arch = "x86_64") && number >= X32 && number - X32 < 2 * NUMBERS as u32
}

/// By its number, and its arguments but for the third.
#[cold]
fn is_harmful(number: u32, args: [u32; 2], fourth: usize, fifth: usize, sixth: usize) -> bool {
    if number == g::__NR_futex {
        // Priority is inherited by a thread, and given back by the same.
        return matches!(
            args[1] & !(g::FUTEX_PRIVATE_FLAG | g::FUTEX_CLOCK_REALTIME),
            g::FUTEX_LOCK_PI
                | g::FUTEX_LOCK_PI2
                | g::FUTEX_UNLOCK_PI
                | g::FUTEX_TRYLOCK_PI
                | g::FUTEX_WAIT_REQUEUE_PI
                | g::FUTEX_CMP_REQUEUE_PI
        );
    }
    if number == g::__NR_io_uring_enter {
        const EXT_ARG: usize = 1 << 3;
        return fifth != 0 && fourth & EXT_ARG == 0;
    }
    if let Some(&(_, argument)) = WITH_MASK.iter().find(|(with_mask, _)| *with_mask == number) {
        return [fourth, fifth, sixth][argument - 3] != 0;
    }
    match OF_ONESELF.iter().find(|(of_oneself, _)| *of_oneself == number) {
        Some(&(_, argument)) => args[argument] == 0,
        None => true,
    }
}
