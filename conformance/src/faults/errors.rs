//! How each system call can fail, whatever it is given: the errors of its manual page that lie with
//! the machine, not with the caller.

use linux_raw_sys::general as nr;

use libc::{EAGAIN, EDQUOT, EINTR, EINVAL, EIO, EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSPC};
use libc::{ENOSYS, EPERM};

/// Descriptors from here on are the engine's own. Its eventfds and timers do not block, and reading
/// and writing those that do not cannot fail but for `EAGAIN`, when there is nothing to be done.
pub const OWN: u64 = 960;

/// The errors a call may give; none for a call that [cannot fail](cannot_fail). What is not named here
/// may find no memory: the kernel allocates nearly everywhere.
#[must_use]
pub fn of(nr: u64, args: [u64; 3]) -> &'static [i32] {
    let own = (OWN..1 << 31).contains(&args[0]);
    // What has no descriptor is refused before anything can fail.
    let nowhere = (args[0] as i32) < 0;
    if cannot_fail(nr, args) {
        return &[];
    }
    match nr as u32 {
        // A new descriptor.
        nr::__NR_openat | nr::__NR_openat2 => &[EMFILE, ENFILE, ENOMEM, EINTR, EIO, ENOSPC],
        nr::__NR_socket
        | nr::__NR_socketpair
        | nr::__NR_pipe2
        | nr::__NR_eventfd2
        | nr::__NR_epoll_create1
        | nr::__NR_timerfd_create
        | nr::__NR_memfd_create
        | nr::__NR_pidfd_open => &[EMFILE, ENFILE, ENOMEM],
        nr::__NR_accept4 => &[EMFILE, ENFILE, ENOMEM, ENOBUFS, EINTR, EAGAIN],
        nr::__NR_dup3 => &[EMFILE, EINTR],
        nr::__NR_fcntl if matches!(args[1] as i32, libc::F_DUPFD | libc::F_DUPFD_CLOEXEC) => {
            &[EMFILE]
        }
        // Memory.
        nr::__NR_mmap | nr::__NR_mremap => &[ENOMEM, EAGAIN],
        nr::__NR_mprotect | nr::__NR_madvise => &[ENOMEM],
        nr::__NR_process_vm_readv | nr::__NR_process_vm_writev => &[ENOMEM, EPERM],
        // Waiting, and what is waited for.
        nr::__NR_epoll_ctl => &[ENOMEM, ENOSPC],
        nr::__NR_epoll_pwait | nr::__NR_epoll_pwait2 => &[EINTR],
        nr::__NR_ppoll => &[EINTR, ENOMEM],
        nr::__NR_nanosleep | nr::__NR_waitid => &[EINTR],
        nr::__NR_futex | nr::__NR_futex_wait => &[EINTR, EAGAIN],
        nr::__NR_futex_waitv => &[EINTR, EAGAIN, ENOMEM],
        // Kernel AIO.
        nr::__NR_io_setup => &[EAGAIN, ENOMEM],
        nr::__NR_io_submit => &[EAGAIN, ENOMEM],
        nr::__NR_io_getevents | nr::__NR_io_pgetevents => &[EINTR],
        // It is too late, or this kind of request cannot be.
        nr::__NR_io_cancel => &[EAGAIN, EINVAL],
        // Data.
        nr::__NR_read
        | nr::__NR_readv
        | nr::__NR_pread64
        | nr::__NR_preadv
        | nr::__NR_preadv2
        | nr::__NR_write
        | nr::__NR_writev
        | nr::__NR_pwrite64
        | nr::__NR_pwritev
        | nr::__NR_pwritev2
            if own || nowhere =>
        {
            &[]
        }
        nr::__NR_read | nr::__NR_readv | nr::__NR_pread64 | nr::__NR_preadv | nr::__NR_preadv2 => {
            &[EINTR, EAGAIN, EIO, ENOMEM]
        }
        nr::__NR_write
        | nr::__NR_writev
        | nr::__NR_pwrite64
        | nr::__NR_pwritev
        | nr::__NR_pwritev2 => &[EINTR, EAGAIN, EIO, ENOSPC, EDQUOT, ENOMEM],
        nr::__NR_recvfrom | nr::__NR_recvmsg | nr::__NR_sendto | nr::__NR_sendmsg if nowhere => &[],
        nr::__NR_recvfrom | nr::__NR_recvmsg => &[EINTR, EAGAIN, ENOMEM, ENOBUFS],
        nr::__NR_sendto | nr::__NR_sendmsg => &[EINTR, EAGAIN, ENOMEM, ENOBUFS],
        nr::__NR_splice | nr::__NR_tee => &[EINTR, ENOMEM, EIO],
        // Files and names.
        nr::__NR_fsync
        | nr::__NR_fdatasync
        | nr::__NR_sync_file_range
        | nr::__NR_fallocate
        | nr::__NR_ftruncate
        | nr::__NR_unlinkat
        | nr::__NR_renameat2
        | nr::__NR_mkdirat
        | nr::__NR_symlinkat
        | nr::__NR_linkat
        | nr::__NR_setxattr
        | nr::__NR_fsetxattr => &[EINTR, EIO, ENOSPC, EDQUOT, ENOMEM],
        nr::__NR_statx | nr::__NR_getxattr | nr::__NR_fgetxattr | nr::__NR_fadvise64 => {
            &[EIO, ENOMEM, EINTR]
        }
        // Sockets.
        // One that is interrupted has begun, and goes on: that cannot be made up.
        nr::__NR_connect
        | nr::__NR_bind
        | nr::__NR_listen
        | nr::__NR_getsockopt
        | nr::__NR_setsockopt => &[ENOMEM, ENOBUFS],
        nr::__NR_getsockname | nr::__NR_getpeername => &[ENOBUFS],
        nr::__NR_fstatfs => &[EINTR, EIO, ENOMEM],
        nr::__NR_readlinkat | nr::__NR_getdents64 => &[EIO, ENOMEM],
        // Who and what a thread is.
        nr::__NR_sched_setaffinity | nr::__NR_prctl => &[EPERM, ENOMEM],
        // A tracer's privilege, or a kernel without it.
        nr::__NR_kcmp => &[EPERM, ENOSYS],
        nr::__NR_setresuid => &[EAGAIN, EPERM],
        nr::__NR_setresgid | nr::__NR_capset => &[EPERM],
        _ => &[ENOMEM],
    }
}

/// The calls that do what they are asked to, with arguments that are right; each with the reason.
fn cannot_fail(nr: u64, args: [u64; 3]) -> bool {
    match nr as u32 {
        // Give something back, or end a thread: there is nothing to be had that could be lacking.
        nr::__NR_close
        | nr::__NR_close_range
        | nr::__NR_munmap
        | nr::__NR_io_destroy
        | nr::__NR_exit
        | nr::__NR_exit_group
        | nr::__NR_rt_sigreturn => true,
        nr::__NR_epoll_ctl => args[1] as i32 == libc::EPOLL_CTL_DEL,
        // Wakes and moves: they look for sleepers in a table that is always there.
        nr::__NR_futex => !matches!(args[1] & 0x7f, FUTEX_WAIT | FUTEX_WAIT_BITSET),
        nr::__NR_futex_wake | nr::__NR_futex_requeue => true,
        // A signal that is no queued one needs no memory, and the thread is one of the engine's that
        // cannot end meanwhile.
        nr::__NR_tgkill => true,
        // Arms a timer that is there. Only a clock that is set makes it fail, where that was asked for.
        nr::__NR_timerfd_settime => true,
        // Timers of the engine's own, with times that are in order.
        nr::__NR_timer_settime | nr::__NR_timer_delete => true,
        // Answer what the thread is, from what belongs to it, or change it, and have no error to tell:
        // `setfsuid` and `setfsgid` answer who it was.
        nr::__NR_getpid
        | nr::__NR_gettid
        | nr::__NR_getppid
        | nr::__NR_getuid
        | nr::__NR_geteuid
        | nr::__NR_getgid
        | nr::__NR_getegid
        | nr::__NR_getresuid
        | nr::__NR_getresgid
        | nr::__NR_getgroups
        | nr::__NR_capget
        | nr::__NR_getcpu
        | nr::__NR_getrusage
        | nr::__NR_setfsuid
        | nr::__NR_setfsgid
        | nr::__NR_sched_yield
        | nr::__NR_sched_getaffinity
        | nr::__NR_set_tid_address
        | nr::__NR_set_robust_list
        | nr::__NR_rseq
        | nr::__NR_sigaltstack
        | nr::__NR_rt_sigprocmask
        | nr::__NR_rt_sigaction
        | nr::__NR_clock_gettime => true,
        _ => false,
    }
}

const FUTEX_WAIT: u64 = 0;
const FUTEX_WAIT_BITSET: u64 = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_thought_of_may_fail() {
        for nr in [nr::__NR_ioctl, nr::__NR_shutdown, nr::__NR_lseek, nr::__NR_membarrier] {
            assert_eq!(of(u64::from(nr), [0; 3]), [ENOMEM]);
        }
        assert!((0..512).filter(|nr| of(*nr, [0; 3]).is_empty()).count() < 40);
    }

    #[test]
    fn waking_cannot_fail_and_sleeping_can() {
        let futex = u64::from(nr::__NR_futex);
        let private = libc::FUTEX_PRIVATE_FLAG as u64;
        assert!(of(futex, [0, 1 | private, 0]).is_empty());
        assert_eq!(of(futex, [0, private, 0]), [EINTR, EAGAIN]);
        assert_eq!(of(futex, [0, FUTEX_WAIT_BITSET | private, 0]), [EINTR, EAGAIN]);
    }
}
