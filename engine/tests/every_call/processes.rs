//! Processes and threads: who they are, what they may, how they run, what they are told.

use sysring_sys::raw::general as g;

use super::world::{
    Arguments, MILLISECOND, ended_child, make, pid, pidfd, put, room, text, tid, unseen, vague,
    words,
};

/// What comes with a signal that is no signal.
fn information() -> usize {
    words([0, 0xffff_ffff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
}

/// SIGUSR1, as a set.
const USR1: i64 = 1 << (libc::SIGUSR1 - 1);

/// A set with a signal that waits to be taken.
fn sent() -> usize {
    make(g::__NR_rt_sigprocmask, [0, unseen(USR1), 0, 8]);
    make(g::__NR_kill, [pid(), libc::SIGUSR1 as usize]);
    words([USR1])
}

/// A process that has been killed.
fn killed() -> usize {
    let child = ended_child();
    make(g::__NR_kill, [child, libc::SIGKILL as usize]);
    child
}

/// The keyring of the process.
const KEYRING: usize = libc::KEY_SPEC_PROCESS_KEYRING as usize;

fn ruleset() -> usize {
    make(g::__NR_landlock_create_ruleset, [unseen(4u64), 8, 0])
}

pub static CALLS: &[Arguments] = &[
    (g::__NR_getpid, |_| vec![]),
    (g::__NR_gettid, |_| vec![]),
    (g::__NR_getppid, |_| vec![]),
    (g::__NR_getuid, |_| vec![]),
    (g::__NR_getgid, |_| vec![]),
    (g::__NR_geteuid, |_| vec![]),
    (g::__NR_getegid, |_| vec![]),
    (g::__NR_getresuid, |_| vec![room(4), room(4), room(4)]),
    (g::__NR_getresgid, |_| vec![room(4), room(4), room(4)]),
    (g::__NR_getgroups, |_| vec![64, room(256)]),
    (g::__NR_getpgid, |_| vec![0]),
    (g::__NR_setpgid, |_| vec![0, 0]),
    (g::__NR_getsid, |_| vec![0]),
    (g::__NR_setsid, |_| vec![]),
    (g::__NR_wait4, |_| vec![ended_child(), room(4), 0, 0]),
    (g::__NR_waitid, |_| vec![1, ended_child(), vague(128), libc::WEXITED as usize, 0]),
    (g::__NR_kill, |_| vec![pid(), 0]),
    (g::__NR_tkill, |_| vec![tid(), 0]),
    (g::__NR_tgkill, |_| vec![pid(), tid(), 0]),
    (g::__NR_rt_sigqueueinfo, |_| vec![pid(), 0, information()]),
    (g::__NR_rt_tgsigqueueinfo, |_| vec![pid(), tid(), 0, information()]),
    (g::__NR_rt_sigaction, |_| vec![libc::SIGUSR1 as usize, 0, room(32), 8]),
    (g::__NR_rt_sigprocmask, |_| vec![0, words([USR1]), room(8), 8]),
    (g::__NR_rt_sigpending, |_| {
        sent();
        vec![room(8), 8]
    }),
    (g::__NR_rt_sigtimedwait, |_| vec![sent(), vague(128), words(MILLISECOND), 8]),
    (g::__NR_rt_sigtimedwait, |_| vec![words([USR1]), room(128), words(MILLISECOND), 8]),
    (g::__NR_pidfd_open, |_| vec![pid(), 0]),
    (g::__NR_pidfd_getfd, |_| vec![pidfd(pid()), 1, 0]),
    (g::__NR_pidfd_send_signal, |_| vec![pidfd(pid()), 0, 0, 0]),
    (g::__NR_process_mrelease, |_| vec![pidfd(killed()), 0]),
    (g::__NR_kcmp, |_| vec![pid(), pid(), 2, 0, 0]),
    (g::__NR_getrusage, |_| vec![0, vague(144)]),
    (g::__NR_getrlimit, |_| vec![7, room(16)]),
    (g::__NR_setrlimit, |_| vec![4, words([0, 0])]),
    (g::__NR_prlimit64, |_| vec![0, 7, 0, room(16)]),
    (g::__NR_getpriority, |_| vec![0, 0]),
    (g::__NR_setpriority, |_| vec![0, 0, 19]),
    (g::__NR_ioprio_get, |_| vec![1, 0]),
    (g::__NR_ioprio_set, |_| vec![1, 0, 2 << 13 | 5]),
    (g::__NR_sched_yield, |_| vec![]),
    (g::__NR_sched_get_priority_max, |_| vec![libc::SCHED_FIFO as usize]),
    (g::__NR_sched_get_priority_min, |_| vec![libc::SCHED_FIFO as usize]),
    (g::__NR_sched_getparam, |_| vec![0, room(4)]),
    (g::__NR_sched_setparam, |_| vec![0, words([0])]),
    (g::__NR_sched_getscheduler, |_| vec![0]),
    (g::__NR_sched_setscheduler, |_| vec![0, libc::SCHED_BATCH as usize, words([0])]),
    (g::__NR_sched_getattr, |_| vec![0, put(room(56), [0; 7]), 56, 0]),
    (g::__NR_sched_setattr, |_| {
        let batch = (libc::SCHED_BATCH as i64) << 32;
        vec![0, words([48 | batch, 0, 19, 0, 0, 0]), 0]
    }),
    (g::__NR_sched_getaffinity, |_| vec![0, 128, room(128)]),
    (g::__NR_sched_setaffinity, |_| vec![0, 8, words([-1])]),
    (g::__NR_sched_rr_get_interval, |_| vec![0, vague(16)]),
    (g::__NR_getcpu, |_| vec![vague(4), vague(4), 0]),
    (g::__NR_get_robust_list, |_| vec![0, vague(8), room(8)]),
    (g::__NR_prctl, |_| vec![libc::PR_GET_NAME as usize, room(16), 0, 0, 0]),
    (g::__NR_capget, |_| vec![words([0x2008_0522]), room(24)]),
    (g::__NR_personality, |_| vec![0xffff_ffff]),
    (g::__NR_add_key, |_| vec![text("user"), text("sysring"), words([1]), 8, KEYRING]),
    (g::__NR_request_key, |_| vec![text("user"), text("sysring: none"), 0, 0]),
    (g::__NR_keyctl, |_| vec![libc::KEYCTL_GET_KEYRING_ID as usize, KEYRING, 1]),
    (g::__NR_landlock_create_ruleset, |_| vec![0, 0, 1]),
    (g::__NR_landlock_create_ruleset, |_| vec![words([4]), 8, 0]),
    (g::__NR_landlock_add_rule, |w| vec![ruleset(), 1, put(room(16), [4, w.open_dir() as i64]), 0]),
    (g::__NR_lsm_list_modules, |_| vec![room(128), words([128]), 0]),
    (g::__NR_lsm_get_self_attr, |_| vec![100, room(4096), words([4096]), 0]),
];

#[cfg(target_arch = "x86_64")]
pub static OLD_CALLS: &[Arguments] =
    &[(g::__NR_getpgrp, |_| vec![]), (g::__NR_get_thread_area, |_| vec![words([12, 0])])];

#[cfg(not(target_arch = "x86_64"))]
pub static OLD_CALLS: &[Arguments] = &[];
