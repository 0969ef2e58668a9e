//! Calls that x86-64 alone has, mostly since before there were others.

use super::fill::{call_name, fill};
use super::numbers as g;
use super::row::{How, Keep, Moves, NONE, Row};
use crate::native::{open, polls};
use How::{Attempt as Try, Cached, Inline, Own, Refused};
use Keep::{Path, Structure};

pub(super) const fn fill<const N: usize>(mut rows: [Option<Row>; N]) -> [Option<Row>; N] {
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
        __NR_uretprobe, Refused, note "belongs to a probe's trampoline";
        __NR_uprobe, Refused, note "belongs to a probe's trampoline";
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
    rows
}
