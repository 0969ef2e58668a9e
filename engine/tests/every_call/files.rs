//! Files: opened, looked at, changed, named.

use sysring_sys::raw::general as g;

use super::world::{
    Arguments, CWD, MILLISECOND, World, epoll_with_event, eventfd, make, pipe, put, room, sockets,
    text, unseen, vague, vague_words, words,
};

/// What `name_to_handle_at` says of the file.
fn handle(w: &World) -> usize {
    let handle = vague_words([128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    make(g::__NR_name_to_handle_at, [CWD, w.path("file"), handle, unseen(0i32), 0]);
    handle
}

fn inotify() -> usize {
    make(g::__NR_inotify_init1, [0])
}

/// One that hears of the file.
fn watching(w: &World) -> [usize; 2] {
    let notify = inotify();
    [notify, make(g::__NR_inotify_add_watch, [notify, w.path("file"), libc::IN_MODIFY as usize])]
}

fn fanotify() -> usize {
    make(g::__NR_fanotify_init, [libc::FAN_CLASS_NOTIF as usize, 0])
}

/// The arguments of the newer calls for extended attributes.
fn attribute() -> usize {
    words([put(room(16), [1, 2]) as i64, 5])
}

pub static CALLS: &[Arguments] = &[
    (g::__NR_openat, |w| vec![CWD, w.path("file"), libc::O_RDWR as usize, 0]),
    (g::__NR_openat, |w| vec![CWD, w.path("new"), (libc::O_RDWR | libc::O_CREAT) as usize, 0o600]),
    (g::__NR_openat, |w| vec![w.open_dir(), text("nothing"), 0, 0]),
    (g::__NR_openat2, |w| vec![w.open_dir(), text("file"), words([0, 0, 0]), 24]),
    (g::__NR_close, |w| vec![w.file()]),
    (g::__NR_close_range, |w| vec![w.file(), 900, 0]),
    (g::__NR_statx, |w| vec![CWD, w.path("file"), 0, 0x7ff, vague(256)]),
    (g::__NR_statx, |w| vec![w.open_dir(), text("no"), 0, 0x7ff, room(256)]),
    (g::__NR_newfstatat, |w| vec![CWD, w.path("link"), vague(256), 0x100]),
    (g::__NR_fstat, |w| vec![w.file(), vague(256)]),
    (g::__NR_statfs, |w| vec![w.path("file"), vague(256)]),
    (g::__NR_fstatfs, |w| vec![w.file(), vague(256)]),
    (g::__NR_faccessat, |w| vec![CWD, w.path("file"), 4]),
    (g::__NR_faccessat2, |w| vec![CWD, w.path("file"), 4, 0]),
    (g::__NR_readlinkat, |w| vec![CWD, w.path("link"), room(100), 100]),
    (g::__NR_getdents64, |w| vec![w.open_dir(), vague(4096), 4096]),
    (g::__NR_getcwd, |_| vec![room(4096), 4096]),
    (g::__NR_chdir, |w| vec![w.path("empty")]),
    (g::__NR_fchdir, |w| vec![w.open_dir()]),
    (g::__NR_chroot, |w| vec![w.path("empty")]),
    (g::__NR_mkdirat, |w| vec![CWD, w.path("made"), 0o700]),
    (g::__NR_mkdirat, |w| vec![CWD, w.path("empty"), 0o700]),
    (g::__NR_unlinkat, |w| vec![CWD, w.path("empty"), 0x200]),
    (g::__NR_unlinkat, |w| vec![CWD, w.path("file"), 0]),
    (g::__NR_renameat, |w| vec![CWD, w.path("file"), CWD, w.path("moved")]),
    (g::__NR_renameat2, |w| vec![CWD, w.path("file"), CWD, w.path("moved"), 0]),
    (g::__NR_renameat2, |w| vec![CWD, w.path("file"), CWD, w.path("link"), 1]),
    (g::__NR_linkat, |w| vec![CWD, w.path("file"), CWD, w.path("another"), 0]),
    (g::__NR_symlinkat, |w| vec![text("to"), CWD, w.path("second")]),
    (g::__NR_mknodat, |w| vec![CWD, w.path("fifo"), (libc::S_IFIFO | 0o600) as usize, 0]),
    (g::__NR_fchmodat, |w| vec![CWD, w.path("file"), 0o640]),
    (g::__NR_fchmodat2, |w| vec![CWD, w.path("file"), 0o640, 0]),
    (g::__NR_fchmod, |w| vec![w.file(), 0o640]),
    (g::__NR_fchownat, |w| vec![CWD, w.path("file"), usize::MAX, usize::MAX, 0]),
    (g::__NR_fchown, |w| vec![w.file(), usize::MAX, usize::MAX]),
    (g::__NR_utimensat, |w| vec![CWD, w.path("file"), words([5, 5, 6, 6]), 0]),
    (g::__NR_truncate, |w| vec![w.path("file"), 77]),
    (g::__NR_ftruncate, |w| vec![w.file(), 77]),
    (g::__NR_fallocate, |w| vec![w.file(), 0, 0, 100_000]),
    (g::__NR_fsync, |w| vec![w.file()]),
    (g::__NR_fdatasync, |w| vec![w.file()]),
    // A file system that has nothing to write.
    (g::__NR_syncfs, |_| vec![pipe()[0]]),
    (g::__NR_sync_file_range, |w| vec![w.file(), 0, 4096, 2]),
    (g::__NR_fadvise64, |w| vec![w.file(), 0, 4096, 4]),
    (g::__NR_readahead, |w| vec![w.file(), 0, 4096]),
    (g::__NR_cachestat, |w| vec![w.file(), words([0, 4096]), vague(40), 0]),
    (g::__NR_lookup_dcookie, |_| vec![1, room(100), 100]),
    (g::__NR_setxattr, |w| vec![w.path("file"), text("user.a"), put(room(8), [4]), 4, 0]),
    (g::__NR_lsetxattr, |w| vec![w.path("file"), text("user.a"), put(room(8), [4]), 4, 0]),
    (g::__NR_lsetxattr, |w| vec![w.path("link"), text("user.a"), put(room(8), [4]), 4, 0]),
    (g::__NR_fsetxattr, |w| vec![w.file(), text("user.a"), put(room(8), [4]), 4, 0]),
    (g::__NR_setxattrat, |w| vec![CWD, w.path("file"), 0, text("user.a"), attribute(), 16]),
    (g::__NR_getxattr, |w| vec![w.attributed(), text("user.a"), room(10), 10]),
    (g::__NR_getxattr, |w| vec![w.path("file"), text("user.none"), room(4), 4]),
    (g::__NR_lgetxattr, |w| vec![w.attributed(), text("user.a"), room(10), 10]),
    (g::__NR_fgetxattr, |w| vec![w.attributed_file(), text("user.a"), room(10), 10]),
    (g::__NR_getxattrat, |w| vec![CWD, w.attributed(), 0, text("user.a"), attribute(), 16]),
    (g::__NR_listxattr, |w| vec![w.attributed(), room(400), 400]),
    (g::__NR_llistxattr, |w| vec![w.attributed(), room(400), 400]),
    (g::__NR_flistxattr, |w| vec![w.attributed_file(), room(400), 400]),
    (g::__NR_listxattrat, |w| vec![CWD, w.attributed(), 0, room(400), 400]),
    (g::__NR_removexattr, |w| vec![w.attributed(), text("user.a")]),
    (g::__NR_lremovexattr, |w| vec![w.attributed(), text("user.a")]),
    (g::__NR_fremovexattr, |w| vec![w.attributed_file(), text("user.a")]),
    (g::__NR_removexattrat, |w| vec![CWD, w.attributed(), 0, text("user.a")]),
    (g::__NR_file_getattr, |w| vec![CWD, w.path("file"), vague(24), 24, 0]),
    (g::__NR_file_setattr, |w| vec![CWD, w.path("file"), words([0, 0, 0]), 24, 0]),
    (g::__NR_name_to_handle_at, |w| {
        let handle = vague_words([128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        vec![CWD, w.path("file"), handle, room(4), 0]
    }),
    (g::__NR_open_by_handle_at, |w| vec![w.open_dir(), handle(&w), 0]),
    (g::__NR_flock, |w| vec![w.file(), libc::LOCK_EX as usize]),
    (g::__NR_fcntl, |w| vec![w.file(), libc::F_GETFL as usize]),
    (g::__NR_fcntl, |w| vec![w.file(), libc::F_SETLKW as usize, words([0, 0, 0, 0])]),
    (g::__NR_ioctl, |_| vec![sockets()[1], libc::FIONREAD as usize, room(4)]),
    (g::__NR_dup, |w| vec![w.file()]),
    (g::__NR_dup3, |w| vec![w.file(), 100, 0]),
    (g::__NR_pipe2, |_| vec![room(8), libc::O_CLOEXEC as usize]),
    (g::__NR_memfd_create, |_| vec![text("memory"), 0]),
    (g::__NR_eventfd2, |_| vec![1, 0]),
    (g::__NR_signalfd4, |_| vec![usize::MAX, words([0x2000]), 8, 0]),
    (g::__NR_inotify_init1, |_| vec![0]),
    (g::__NR_inotify_add_watch, |w| vec![inotify(), w.path("file"), libc::IN_MODIFY as usize]),
    (g::__NR_inotify_rm_watch, |w| watching(&w).to_vec()),
    (g::__NR_fanotify_init, |_| vec![libc::FAN_CLASS_NOTIF as usize, 0]),
    (g::__NR_fanotify_mark, |w| {
        let (add, modify) = (libc::FAN_MARK_ADD as usize, libc::FAN_MODIFY as usize);
        vec![fanotify(), add, modify, CWD, w.path("file")]
    }),
    (g::__NR_epoll_create1, |_| vec![0]),
    (g::__NR_epoll_ctl, |_| {
        vec![make(g::__NR_epoll_create1, [0]), 1, eventfd(1), words([libc::EPOLLIN as i64, 0])]
    }),
    (g::__NR_epoll_pwait, |_| vec![epoll_with_event(), room(120), 10, usize::MAX, 0, 8]),
    (g::__NR_epoll_pwait, |_| vec![epoll_with_event(), room(120), 10, 5, 0, 8]),
    (g::__NR_epoll_pwait2, |_| vec![epoll_with_event(), room(120), 10, words(MILLISECOND), 0, 8]),
    (g::__NR_ppoll, |_| vec![words([sockets()[1] as i64 | 1 << 32]), 1, 0, 0, 8]),
    (g::__NR_ppoll, |_| vec![words([pipe()[0] as i64 | 1 << 32]), 1, words(MILLISECOND), 0, 8]),
    (g::__NR_pselect6, |_| vec![0, 0, 0, 0, words(MILLISECOND), 0]),
    (g::__NR_pselect6, |_| vec![900, words([-1; 15]), 0, 0, words([0, 0]), 0]),
    (g::__NR_umask, |_| vec![0o22]),
];

/// Those with a newer twin, which other processors do not have.
#[cfg(target_arch = "x86_64")]
pub static OLD_CALLS: &[Arguments] = &[
    (g::__NR_open, |w| vec![w.path("file"), 0, 0]),
    (g::__NR_stat, |w| vec![w.path("file"), vague(256)]),
    (g::__NR_lstat, |w| vec![w.path("link"), vague(256)]),
    (g::__NR_access, |w| vec![w.path("file"), 4]),
    (g::__NR_mkdir, |w| vec![w.path("made"), 0o700]),
    (g::__NR_rmdir, |w| vec![w.path("empty")]),
    (g::__NR_rename, |w| vec![w.path("file"), w.path("moved")]),
    (g::__NR_link, |w| vec![w.path("file"), w.path("another")]),
    (g::__NR_symlink, |w| vec![text("to"), w.path("second")]),
    (g::__NR_unlink, |w| vec![w.path("file")]),
    (g::__NR_readlink, |w| vec![w.path("link"), room(100), 100]),
    (g::__NR_chmod, |w| vec![w.path("file"), 0o600]),
    (g::__NR_chown, |w| vec![w.path("file"), usize::MAX, usize::MAX]),
    (g::__NR_lchown, |w| vec![w.path("link"), usize::MAX, usize::MAX]),
    (g::__NR_mknod, |w| vec![w.path("fifo"), (libc::S_IFIFO | 0o600) as usize, 0]),
    (g::__NR_utime, |w| vec![w.path("file"), words([5, 6])]),
    (g::__NR_utimes, |w| vec![w.path("file"), words([5, 5, 6, 6])]),
    (g::__NR_futimesat, |w| vec![CWD, w.path("file"), words([5, 5, 6, 6])]),
    (g::__NR_getdents, |w| vec![w.open_dir(), vague(4096), 4096]),
    (g::__NR_ustat, |w| vec![w.device(), vague(32)]),
    (g::__NR_sysfs, |_| vec![3]),
    (g::__NR_creat, |w| vec![w.path("new"), 0o600]),
    (g::__NR_poll, |_| vec![words([sockets()[1] as i64 | 1 << 32]), 1, usize::MAX]),
    (g::__NR_poll, |_| vec![words([pipe()[0] as i64 | 1 << 32]), 1, 2]),
    (g::__NR_select, |_| vec![0, 0, 0, 0, words([0, 1000])]),
    (g::__NR_epoll_wait, |_| vec![epoll_with_event(), room(120), 10, 5]),
    (g::__NR_pipe, |_| vec![room(8)]),
    (g::__NR_dup2, |w| vec![w.file(), 100]),
    (g::__NR_eventfd, |_| vec![1]),
    (g::__NR_signalfd, |_| vec![usize::MAX, words([0x2000]), 8]),
    (g::__NR_epoll_create, |_| vec![1]),
    (g::__NR_inotify_init, |_| vec![]),
];

#[cfg(not(target_arch = "x86_64"))]
pub static OLD_CALLS: &[Arguments] = &[];
