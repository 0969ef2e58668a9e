//! System calls by number: how each may be tried without blocking, and what must outlive its
//! submitter.
//!
//! What has no row is made by a worker. A call that is usually answered from a cache and has no form
//! that does not wait for a disk ([`How::Cached`]) is made at once: handing one such call to another
//! thread costs three times as much as making it. Where it may have to wait, ask for a worker, or
//! issue many together.

use sysring_sys::raw::general as g;

use super::{Attempt, Call, direct, locks, open, polls, queues, socket, time, transfer, wait};

/// How a call may be tried.
#[derive(Clone, Copy, Debug)]
pub enum How {
    /// Never waits for others, nor for a device.
    Inline,
    /// Mostly answered from a cache: made at once.
    Cached,
    /// About the calling thread: made by it, at once, and by no other.
    Own,
    /// Has a form that does not block, or a readiness to ask for; which, and what follows.
    Attempt(fn(&Call, bool) -> Attempt, &'static str),
    /// Waits for a device.
    Worker,
    /// Waits for others, and has no form that does not.
    Sleeper,
    /// Makes no sense on another thread or later, or changes the thread that makes it.
    Refused,
    /// Has no row.
    Unknown,
}

/// What is copied when a call outlives its submitter; the rest stays its submitter's to keep.
#[derive(Clone, Copy, Debug)]
pub enum Keep {
    /// A path, in this argument.
    Path(usize),
    /// A structure of so many bytes.
    Structure(usize, usize),
    /// A structure as long as another argument says.
    Sized(usize, usize),
    /// A vector of buffers, with as many members as another argument says.
    Vector(usize, usize),
    /// A message's header and its vector.
    Message(usize),
}

impl Keep {
    /// The argument that is copied.
    #[must_use]
    pub fn argument(self) -> usize {
        match self {
            Keep::Path(at)
            | Keep::Structure(at, _)
            | Keep::Sized(at, _)
            | Keep::Vector(at, _)
            | Keep::Message(at) => at,
        }
    }
}

/// What changes when a transfer has moved in part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moves {
    Nothing,
    /// A buffer in the second argument, its length in the third.
    Flat,
    /// The same, and an offset in the fourth.
    FlatAt,
    /// A vector in the second argument, its length in the third.
    Vector,
    VectorAt,
    /// A message's vector.
    Message,
}

/// No argument.
pub const NONE: usize = usize::MAX;

/// What is known of a call.
#[derive(Debug)]
pub struct Row {
    pub how: How,
    pub name: &'static str,
    /// The argument that is a descriptor: it is kept open for a pending call, and is what is waited
    /// for.
    pub fd: usize,
    pub keeps: &'static [Keep],
    pub moves: Moves,
    pub note: &'static str,
}

/// Numbers the table has room for.
pub const NUMBERS: usize = 512;

macro_rules! fill {
    ($rows:ident: $($nr:ident, $how:expr $(, fd $fd:literal)? $(, keeps [$($keep:expr),*])? $(, moves $moves:ident)?
        $(, note $note:literal)?;)*) => {
        $(
            #[allow(unused_mut)]
            {
                let mut row = Row {
                    how: $how,
                    name: call_name(stringify!($nr)),
                    fd: NONE,
                    keeps: &[],
                    moves: Moves::Nothing,
                    note: "",
                };
                $(row.fd = $fd;)?
                $(row.keeps = &[$($keep),*];)?
                $(row.moves = Moves::$moves;)?
                $(row.note = $note;)?
                $rows[g::$nr as usize] = Some(row);
            }
        )*
    };
}

/// `__NR_name` without what comes first.
const fn call_name(constant: &'static str) -> &'static str {
    constant.split_at("__NR_".len()).1
}

use How::{Attempt as Try, Cached, Inline, Own, Refused, Sleeper, Worker};
use Keep::{Message, Path, Sized, Structure, Vector};

/// Bytes of a `struct timespec`.
const TIME: usize = 16;

/// By number.
pub static ROWS: [Option<Row>; NUMBERS] = {
    let mut rows = [const { None }; NUMBERS];
    fill! { rows:
        __NR_read, Try(transfer::read, "`RWF_NOWAIT`, then readiness"), fd 0, moves Flat;
        __NR_write, Try(transfer::write, "`RWF_NOWAIT`, then readiness"), fd 0, moves Flat;
        __NR_pread64, Try(transfer::pread, "`RWF_NOWAIT`, or kernel AIO"), fd 0, moves FlatAt;
        __NR_pwrite64, Try(transfer::pwrite, "`RWF_NOWAIT`, or kernel AIO"), fd 0, moves FlatAt;
        __NR_readv, Try(transfer::readv, "`RWF_NOWAIT`, then readiness"), fd 0, keeps [Vector(1, 2)], moves Vector;
        __NR_writev, Try(transfer::writev, "`RWF_NOWAIT`, then readiness"), fd 0, keeps [Vector(1, 2)], moves Vector;
        __NR_preadv, Try(transfer::preadv, "`RWF_NOWAIT`, or kernel AIO"), fd 0, keeps [Vector(1, 2)], moves VectorAt;
        __NR_pwritev, Try(transfer::pwritev, "`RWF_NOWAIT`, or kernel AIO"), fd 0, keeps [Vector(1, 2)], moves VectorAt;
        __NR_preadv2, Try(transfer::preadv2, "`RWF_NOWAIT`, then readiness; or kernel AIO"), fd 0, keeps [Vector(1, 2)], moves VectorAt;
        __NR_pwritev2, Try(transfer::pwritev2, "`RWF_NOWAIT`, then readiness; or kernel AIO"), fd 0, keeps [Vector(1, 2)], moves VectorAt;
        __NR_splice, Try(queues::splice, "`SPLICE_F_NONBLOCK`, then a sleeper");
        __NR_tee, Try(queues::tee, "`SPLICE_F_NONBLOCK`, then a sleeper");
        __NR_vmsplice, Try(queues::vmsplice, "as it is where the file is non-blocking, else a sleeper"), fd 0, keeps [Vector(1, 2)];
        __NR_sendfile, Try(queues::sendfile, "as it is where the file is non-blocking, else a sleeper");
        __NR_copy_file_range, Worker;
        __NR_recvfrom, Try(socket::recvfrom, "`MSG_DONTWAIT`, then readiness"), fd 0, moves Flat;
        __NR_sendto, Try(socket::sendto, "`MSG_DONTWAIT`, then readiness"), fd 0, keeps [Sized(4, 5)], moves Flat;
        __NR_recvmsg, Try(socket::recvmsg, "`MSG_DONTWAIT`, then readiness"), fd 0;
        __NR_sendmsg, Try(socket::sendmsg, "`MSG_DONTWAIT`, then readiness"), fd 0, keeps [Message(1)], moves Message;
        __NR_recvmmsg, Try(socket::recvmmsg, "`MSG_DONTWAIT` with `MSG_WAITFORONE`, then readiness; else a sleeper"), fd 0;
        __NR_sendmmsg, Try(socket::sendmmsg, "as it is where the socket is non-blocking, else a sleeper"), fd 0;
        __NR_accept, Try(socket::accept, "`O_NONBLOCK` for a moment, then readiness"), fd 0;
        __NR_accept4, Try(socket::accept, "`O_NONBLOCK` for a moment, then readiness"), fd 0;
        __NR_connect, Try(socket::connect, "`O_NONBLOCK` for a moment, then readiness"), fd 0, keeps [Sized(1, 2)];
        __NR_socket, Inline;
        __NR_socketpair, Inline;
        __NR_bind, Inline;
        __NR_listen, Inline;
        __NR_getsockname, Inline;
        __NR_getpeername, Inline;
        __NR_setsockopt, Inline;
        __NR_getsockopt, Inline;
        __NR_shutdown, Inline;
        __NR_openat, Try(open::openat, "`RESOLVE_CACHED`, then a worker"), fd 0, keeps [Path(1)], note "a FIFO is waited for where the call is made";
        __NR_openat2, Try(open::openat2, "`RESOLVE_CACHED`, then a worker"), fd 0, keeps [Path(1), Sized(2, 3)], note "as `openat`";
        __NR_statx, Cached, fd 0, keeps [Path(1)];
        __NR_newfstatat, Cached, fd 0, keeps [Path(1)];
        __NR_faccessat, Cached, fd 0, keeps [Path(1)];
        __NR_faccessat2, Cached, fd 0, keeps [Path(1)];
        __NR_readlinkat, Cached, fd 0, keeps [Path(1)];
        __NR_fchmodat, Cached, fd 0, keeps [Path(1)];
        __NR_fchmodat2, Cached, fd 0, keeps [Path(1)];
        __NR_fchownat, Cached, fd 0, keeps [Path(1)];
        __NR_mkdirat, Cached, fd 0, keeps [Path(1)];
        __NR_mknodat, Cached, fd 0, keeps [Path(1)];
        __NR_unlinkat, Cached, fd 0, keeps [Path(1)];
        __NR_utimensat, Cached, fd 0, keeps [Path(1), Structure(2, 2 * TIME)];
        __NR_inotify_add_watch, Cached, fd 0, keeps [Path(1)];
        __NR_name_to_handle_at, Cached, fd 0, keeps [Path(1)];
        __NR_open_tree, Cached, fd 0, keeps [Path(1)];
        __NR_getxattrat, Cached, fd 0, keeps [Path(1)];
        __NR_listxattrat, Cached, fd 0, keeps [Path(1)];
        __NR_removexattrat, Cached, fd 0, keeps [Path(1)];
        __NR_setxattrat, Cached, fd 0, keeps [Path(1)];
        __NR_file_getattr, Cached, fd 0, keeps [Path(1)];
        __NR_file_setattr, Cached, fd 0, keeps [Path(1)];
        __NR_renameat, Cached, fd 0, keeps [Path(1), Path(3)];
        __NR_renameat2, Cached, fd 0, keeps [Path(1), Path(3)];
        __NR_linkat, Cached, fd 0, keeps [Path(1), Path(3)];
        __NR_symlinkat, Cached, fd 1, keeps [Path(0), Path(2)];
        __NR_truncate, Cached, keeps [Path(0)];
        __NR_statfs, Cached, keeps [Path(0)];
        __NR_setxattr, Cached, keeps [Path(0), Path(1)];
        __NR_lsetxattr, Cached, keeps [Path(0), Path(1)];
        __NR_getxattr, Cached, keeps [Path(0), Path(1)];
        __NR_lgetxattr, Cached, keeps [Path(0), Path(1)];
        __NR_removexattr, Cached, keeps [Path(0), Path(1)];
        __NR_lremovexattr, Cached, keeps [Path(0), Path(1)];
        __NR_listxattr, Cached, keeps [Path(0)];
        __NR_llistxattr, Cached, keeps [Path(0)];
        __NR_fsetxattr, Cached, fd 0, keeps [Path(1)];
        __NR_fgetxattr, Cached, fd 0, keeps [Path(1)];
        __NR_fremovexattr, Cached, fd 0, keeps [Path(1)];
        __NR_flistxattr, Cached, fd 0;
        __NR_fstat, Cached, fd 0;
        __NR_fstatfs, Cached, fd 0;
        __NR_fchmod, Cached, fd 0;
        __NR_fchown, Cached, fd 0;
        __NR_getdents64, Cached, fd 0;
        __NR_ftruncate, Cached, fd 0;
        __NR_close, Cached;
        __NR_cachestat, Cached, fd 0;
        __NR_close_range, Cached;
        __NR_lookup_dcookie, Cached;
        __NR_mq_open, Cached;
        __NR_mq_unlink, Cached;
        __NR_memfd_create, Cached;
        __NR_open_by_handle_at, Cached;
        __NR_fanotify_mark, Cached;
        __NR_ioctl, Cached, fd 0, note "what a device waits for is waited for where the call is made";
        __NR_msync, Cached;
        __NR_madvise, Cached;
        __NR_process_madvise, Cached;
        __NR_mlock, Cached;
        __NR_mlock2, Cached;
        __NR_munlock, Cached;
        __NR_mlockall, Cached;
        __NR_munlockall, Cached;
        __NR_readahead, Cached;
        __NR_fadvise64, Cached;
        __NR_remap_file_pages, Cached;
        __NR_fsync, Try(direct::sync, "kernel AIO, or a worker"), fd 0;
        __NR_fdatasync, Try(direct::sync, "kernel AIO, or a worker"), fd 0;
        __NR_syncfs, Worker, fd 0;
        __NR_fallocate, Worker, fd 0;
        __NR_sync_file_range, Worker, fd 0;
        __NR_sync, Worker;
        __NR_mount, Worker;
        __NR_umount2, Worker;
        __NR_swapon, Worker;
        __NR_swapoff, Worker;
        __NR_pivot_root, Worker;
        __NR_move_mount, Worker;
        __NR_fsopen, Worker;
        __NR_fsconfig, Worker;
        __NR_fsmount, Worker;
        __NR_fspick, Worker;
        __NR_mount_setattr, Worker;
        __NR_open_tree_attr, Worker;
        __NR_statmount, Worker;
        __NR_listmount, Worker;
        __NR_quotactl, Worker;
        __NR_quotactl_fd, Worker;
        __NR_acct, Worker;
        __NR_init_module, Worker;
        __NR_finit_module, Worker;
        __NR_delete_module, Worker;
        __NR_kexec_load, Worker;
        __NR_kexec_file_load, Worker;
        __NR_reboot, Worker;
        __NR_syslog, Worker;
        __NR_bpf, Worker;
        __NR_perf_event_open, Worker;
        __NR_process_mrelease, Worker;
        __NR_move_pages, Worker;
        __NR_migrate_pages, Worker;
        __NR_process_vm_readv, Cached;
        __NR_process_vm_writev, Cached;
        __NR_userfaultfd, Worker;
        __NR_nfsservctl, Worker;
        __NR_sethostname, Worker;
        __NR_setdomainname, Worker;
        __NR_ppoll, Try(polls::ppoll, "a timeout of 0, then a sleeper");
        __NR_pselect6, Try(polls::select, "as it is with a timeout of 0, else a sleeper");
        __NR_epoll_pwait, Try(polls::epoll_wait, "a timeout of 0, then readiness, or with a timeout a sleeper"), fd 0;
        __NR_epoll_pwait2, Try(polls::epoll_pwait2, "a timeout of 0, then readiness, or with a timeout a sleeper"), fd 0, keeps [Structure(3, TIME)];
        __NR_wait4, Try(wait::wait4, "`WNOHANG`, then a sleeper");
        __NR_waitid, Try(wait::waitid, "`WNOHANG`, then a sleeper");
        __NR_nanosleep, Try(time::nanosleep, "as it is where there is nothing to sleep, else a sleeper"), keeps [Structure(0, TIME)];
        __NR_clock_nanosleep, Try(time::clock_nanosleep, "as it is where there is nothing to sleep, else a sleeper"), keeps [Structure(2, TIME)];
        __NR_futex, Try(locks::futex, "a timeout of 0, then a sleeper"), note "waits, not PI locks: their owner is a thread";
        __NR_futex_waitv, Try(locks::futex_waitv, "a timeout of 0, then a sleeper"), keeps [Structure(3, TIME)];
        __NR_futex_wait, Try(locks::futex_wait, "a timeout of 0, then a sleeper"), keeps [Structure(4, TIME)];
        __NR_futex_wake, Inline;
        __NR_futex_requeue, Inline;
        __NR_flock, Try(locks::flock, "`LOCK_NB`, then a sleeper"), fd 0;
        __NR_fcntl, Try(locks::fcntl, "`F_SETLK` for `F_SETLKW`, then a sleeper; the rest at once");
        __NR_msgsnd, Try(queues::msgsnd, "`IPC_NOWAIT`, then a sleeper");
        __NR_msgrcv, Try(queues::msgrcv, "`IPC_NOWAIT`, then a sleeper");
        __NR_semop, Try(queues::semop, "a timeout of 0, then a sleeper");
        __NR_semtimedop, Try(queues::semop, "a timeout of 0, then a sleeper");
        __NR_mq_timedsend, Try(queues::mq_timed, "a time that is over, then a sleeper"), fd 0, keeps [Structure(4, TIME)];
        __NR_mq_timedreceive, Try(queues::mq_timed, "a time that is over, then a sleeper"), fd 0, keeps [Structure(4, TIME)];
        __NR_getrandom, Try(queues::getrandom, "`GRND_NONBLOCK`, then a sleeper");
        __NR_io_getevents, Sleeper;
        __NR_io_pgetevents, Sleeper;
        __NR_io_uring_enter, Sleeper, note "asks the kernel, not the engine";
        __NR_io_uring_setup, Cached, note "asks the kernel, not the engine";
        __NR_io_uring_register, Cached, note "asks the kernel, not the engine";
        __NR_io_submit, Worker;
        __NR_io_cancel, Worker;
        __NR_io_setup, Worker;
        __NR_io_destroy, Worker;
        __NR_rt_sigtimedwait, Sleeper, note "signals of the process: a worker has none of its own";
        __NR_lseek, Inline;
        __NR_mmap, Inline;
        __NR_mprotect, Inline;
        __NR_munmap, Inline;
        __NR_brk, Inline;
        __NR_mremap, Inline;
        __NR_mincore, Inline;
        __NR_dup, Inline;
        __NR_dup3, Inline;
        __NR_pipe2, Inline;
        __NR_getitimer, Inline;
        __NR_setitimer, Inline;
        __NR_getpid, Inline;
        __NR_uname, Inline;
        __NR_semget, Inline;
        __NR_semctl, Inline;
        __NR_shmget, Inline;
        __NR_shmat, Inline;
        __NR_shmctl, Inline;
        __NR_shmdt, Inline;
        __NR_msgget, Inline;
        __NR_msgctl, Inline;
        __NR_mq_notify, Inline;
        __NR_mq_getsetattr, Inline;
        __NR_getcwd, Inline;
        __NR_chdir, Inline;
        __NR_fchdir, Inline;
        __NR_chroot, Inline;
        __NR_umask, Inline;
        __NR_gettimeofday, Inline;
        __NR_getrlimit, Inline;
        __NR_setrlimit, Inline;
        __NR_prlimit64, Inline;
        __NR_getrusage, Inline;
        __NR_sysinfo, Inline;
        __NR_times, Inline;
        __NR_getuid, Inline;
        __NR_getgid, Inline;
        __NR_geteuid, Inline;
        __NR_getegid, Inline;
        __NR_getppid, Inline;
        __NR_setpgid, Inline;
        __NR_getpgid, Inline;
        __NR_getsid, Inline;
        __NR_setsid, Inline;
        __NR_getgroups, Inline;
        __NR_getresuid, Inline;
        __NR_getresgid, Inline;
        __NR_kill, Inline;
        __NR_tkill, Inline;
        __NR_tgkill, Inline;
        __NR_rt_sigqueueinfo, Inline;
        __NR_rt_tgsigqueueinfo, Inline;
        __NR_rt_sigaction, Inline;
        __NR_pidfd_open, Inline;
        __NR_pidfd_getfd, Inline;
        __NR_pidfd_send_signal, Inline;
        __NR_sched_get_priority_max, Inline;
        __NR_sched_get_priority_min, Inline;
        __NR_sched_yield, Inline;
        __NR_clock_gettime, Inline;
        __NR_clock_getres, Inline;
        __NR_clock_settime, Inline;
        __NR_settimeofday, Inline;
        __NR_adjtimex, Inline;
        __NR_clock_adjtime, Inline;
        __NR_timer_create, Inline;
        __NR_timer_settime, Inline;
        __NR_timer_gettime, Inline;
        __NR_timer_getoverrun, Inline;
        __NR_timer_delete, Inline;
        __NR_timerfd_create, Inline;
        __NR_timerfd_settime, Inline;
        __NR_timerfd_gettime, Inline;
        __NR_eventfd2, Inline;
        __NR_signalfd4, Inline;
        __NR_epoll_create1, Inline;
        __NR_epoll_ctl, Inline;
        __NR_inotify_init1, Inline;
        __NR_inotify_rm_watch, Inline;
        __NR_fanotify_init, Inline;
        __NR_kcmp, Inline;
        __NR_membarrier, Inline;
        __NR_memfd_secret, Inline;
        __NR_pkey_alloc, Inline;
        __NR_pkey_free, Inline;
        __NR_pkey_mprotect, Inline;
        __NR_mseal, Inline;
        __NR_mbind, Inline;
        __NR_get_mempolicy, Inline;
        __NR_set_mempolicy_home_node, Inline;
        __NR_landlock_create_ruleset, Inline;
        __NR_landlock_add_rule, Inline;
        __NR_lsm_list_modules, Inline;
        __NR_map_shadow_stack, Inline;
        __NR_vhangup, Inline;
        __NR_gettid, Own;
        __NR_getpriority, Own;
        __NR_setpriority, Own;
        __NR_ioprio_get, Own;
        __NR_ioprio_set, Own;
        __NR_sched_getparam, Own;
        __NR_sched_setparam, Own;
        __NR_sched_getscheduler, Own;
        __NR_sched_setscheduler, Own;
        __NR_sched_getattr, Own;
        __NR_sched_setattr, Own;
        __NR_sched_getaffinity, Own;
        __NR_sched_setaffinity, Own;
        __NR_sched_rr_get_interval, Own;
        __NR_rt_sigprocmask, Own;
        __NR_rt_sigpending, Own;
        __NR_get_robust_list, Own;
        __NR_getcpu, Own;
        __NR_prctl, Own;
        __NR_capget, Own;
        __NR_set_mempolicy, Own;
        __NR_personality, Own;
        __NR_add_key, Own;
        __NR_request_key, Own;
        __NR_keyctl, Own;
        __NR_lsm_get_self_attr, Own;
        __NR_exit, Refused, note "ends the thread that makes it, or all";
        __NR_exit_group, Refused, note "ends the thread that makes it, or all";
        __NR_clone, Refused, note "returns twice";
        __NR_clone3, Refused, note "returns twice";
        __NR_execve, Refused, note "does not return";
        __NR_execveat, Refused, note "does not return";
        __NR_rt_sigreturn, Refused, note "belongs to the end of a signal's handler";
        __NR_restart_syscall, Refused, note "belongs to the end of a signal's handler";
        __NR_rt_sigsuspend, Refused, note "waits for signals of the thread that makes it";
        __NR_set_tid_address, Refused, note "changes the thread that makes it";
        __NR_set_robust_list, Refused, note "changes the thread that makes it";
        __NR_rseq, Refused, note "changes the thread that makes it";
        __NR_sigaltstack, Refused, note "changes the thread that makes it";
        __NR_setuid, Refused, note "changes the thread that makes it";
        __NR_setgid, Refused, note "changes the thread that makes it";
        __NR_setreuid, Refused, note "changes the thread that makes it";
        __NR_setregid, Refused, note "changes the thread that makes it";
        __NR_setresuid, Refused, note "changes the thread that makes it";
        __NR_setresgid, Refused, note "changes the thread that makes it";
        __NR_setfsuid, Refused, note "changes the thread that makes it";
        __NR_setfsgid, Refused, note "changes the thread that makes it";
        __NR_setgroups, Refused, note "changes the thread that makes it";
        __NR_capset, Refused, note "changes the thread that makes it";
        __NR_unshare, Refused, note "changes the thread that makes it";
        __NR_setns, Refused, note "changes the thread that makes it";
        __NR_seccomp, Refused, note "changes the thread that makes it";
        __NR_landlock_restrict_self, Refused, note "changes the thread that makes it";
        __NR_lsm_set_self_attr, Refused, note "changes the thread that makes it";
        __NR_ptrace, Refused, note "the thread that traces makes it";
    }
    #[cfg(target_arch = "x86_64")]
    {
        fill! { rows:
            __NR_open, Try(open::open, "`RESOLVE_CACHED`, then a worker"), keeps [Path(0)], note "as `openat`";
            __NR_creat, Cached, keeps [Path(0)];
            __NR_stat, Cached, keeps [Path(0)];
            __NR_lstat, Cached, keeps [Path(0)];
            __NR_access, Cached, keeps [Path(0)];
            __NR_mkdir, Cached, keeps [Path(0)];
            __NR_rmdir, Cached, keeps [Path(0)];
            __NR_unlink, Cached, keeps [Path(0)];
            __NR_readlink, Cached, keeps [Path(0)];
            __NR_chmod, Cached, keeps [Path(0)];
            __NR_chown, Cached, keeps [Path(0)];
            __NR_lchown, Cached, keeps [Path(0)];
            __NR_mknod, Cached, keeps [Path(0)];
            __NR_utime, Cached, keeps [Path(0), Structure(1, 16)];
            __NR_utimes, Cached, keeps [Path(0), Structure(1, 32)];
            __NR_futimesat, Cached, fd 0, keeps [Path(1), Structure(2, 32)];
            __NR_rename, Cached, keeps [Path(0), Path(1)];
            __NR_link, Cached, keeps [Path(0), Path(1)];
            __NR_symlink, Cached, keeps [Path(0), Path(1)];
            __NR_getdents, Cached, fd 0;
            __NR_ustat, Cached;
            __NR_poll, Try(polls::poll, "a timeout of 0, then a sleeper");
            __NR_select, Try(polls::select, "as it is with a timeout of 0, else a sleeper");
            __NR_epoll_wait, Try(polls::epoll_wait, "a timeout of 0, then readiness, or with a timeout a sleeper"), fd 0;
            __NR_dup2, Inline;
            __NR_pipe, Inline;
            __NR_eventfd, Inline;
            __NR_signalfd, Inline;
            __NR_epoll_create, Inline;
            __NR_inotify_init, Inline;
            __NR_alarm, Inline;
            __NR_getpgrp, Inline;
            __NR_time, Inline;
            __NR_sysfs, Inline;
            __NR_pause, Refused, note "waits for signals of the thread that makes it";
            __NR_fork, Refused, note "returns twice";
            __NR_vfork, Refused, note "returns twice";
            __NR_arch_prctl, Refused, note "changes the thread that makes it";
            __NR_set_thread_area, Refused, note "changes the thread that makes it";
            __NR_modify_ldt, Refused, note "changes the thread that makes it";
            __NR_iopl, Refused, note "changes the thread that makes it";
            __NR_ioperm, Refused, note "changes the thread that makes it";
            __NR_uretprobe, Refused, note "changes the thread that makes it";
            __NR_get_thread_area, Own;
            __NR_uselib, Inline, note "gone: `ENOSYS`";
            __NR__sysctl, Inline, note "gone: `ENOSYS`";
            __NR_create_module, Inline, note "gone: `ENOSYS`";
            __NR_get_kernel_syms, Inline, note "gone: `ENOSYS`";
            __NR_query_module, Inline, note "gone: `ENOSYS`";
            __NR_getpmsg, Inline, note "gone: `ENOSYS`";
            __NR_putpmsg, Inline, note "gone: `ENOSYS`";
            __NR_afs_syscall, Inline, note "gone: `ENOSYS`";
            __NR_tuxcall, Inline, note "gone: `ENOSYS`";
            __NR_security, Inline, note "gone: `ENOSYS`";
            __NR_vserver, Inline, note "gone: `ENOSYS`";
            __NR_epoll_ctl_old, Inline, note "gone: `ENOSYS`";
            __NR_epoll_wait_old, Inline, note "gone: `ENOSYS`";
        }
    }
    rows
};

/// How a call may be tried.
#[inline(always)]
#[must_use]
pub fn how(nr: u32) -> How {
    row(nr).map_or(How::Unknown, |row| row.how)
}

/// What is known of a number.
#[inline(always)]
#[must_use]
pub fn row(nr: u32) -> Option<&'static Row> {
    ROWS.get(nr as usize)?.as_ref()
}

/// Whether a call answers with a descriptor that it has opened.
#[must_use]
pub fn opens(nr: u32) -> bool {
    const OPENERS: [u32; 7] = [
        g::__NR_openat,
        g::__NR_openat2,
        g::__NR_accept4,
        g::__NR_socket,
        g::__NR_pidfd_open,
        g::__NR_memfd_create,
        g::__NR_eventfd2,
    ];
    OPENERS.contains(&nr)
}
