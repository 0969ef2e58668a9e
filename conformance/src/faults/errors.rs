//! How each system call can fail, whatever it is given: the errors of its manual page that lie with
//! the machine, not with the caller.

use linux_raw_sys::general as nr;

use libc::{EAGAIN, EDQUOT, EINTR, EIO, EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSPC, EPERM};

/// Descriptors from here on are the engine's own. Its eventfds and timers do not block, and reading
/// and writing those that do not cannot fail but for `EAGAIN`, when there is nothing to be done.
pub const OWN: u64 = 960;

/// The errors a call may give; none for a call that cannot fail, and for those that give something
/// back (`close`, `munmap`).
#[must_use]
pub fn of(nr: u64, args: [u64; 3]) -> &'static [i32] {
    let own = (OWN..1 << 31).contains(&args[0]);
    // What has no descriptor is refused before anything can fail.
    let nowhere = (args[0] as i32) < 0;
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
        nr::__NR_epoll_ctl if args[1] as i32 != libc::EPOLL_CTL_DEL => &[ENOMEM, ENOSPC],
        nr::__NR_epoll_pwait | nr::__NR_epoll_pwait2 => &[EINTR],
        nr::__NR_ppoll => &[EINTR, ENOMEM],
        nr::__NR_nanosleep | nr::__NR_waitid => &[EINTR],
        // Not the wakes: they cannot fail.
        nr::__NR_futex if args[1] & 0x7f == 0 => &[EINTR, EAGAIN],
        // Kernel AIO.
        nr::__NR_io_setup => &[EAGAIN, ENOMEM],
        nr::__NR_io_submit => &[EAGAIN, ENOMEM],
        nr::__NR_io_getevents | nr::__NR_io_pgetevents => &[EINTR],
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
        nr::__NR_connect => &[EINTR, ENOMEM, ENOBUFS],
        nr::__NR_bind | nr::__NR_listen | nr::__NR_getsockopt | nr::__NR_setsockopt => {
            &[ENOMEM, ENOBUFS]
        }
        nr::__NR_sched_setaffinity | nr::__NR_prctl => &[EPERM, ENOMEM],
        _ => &[],
    }
}
