//! Arguments that mean something, for calls that do no harm.

use std::ffi::CString;
use std::io::Write;
use std::os::fd::IntoRawFd;
use std::path::PathBuf;

use sysring_sys::raw::general as g;

/// Where the children of a process keep their worlds.
pub fn base(parent: u32) -> PathBuf {
    std::env::temp_dir().join(format!("sysring-every-call-{parent}"))
}

/// What calls work on: made anew in each child, and left to it.
pub struct World {
    dir: PathBuf,
}

type Arguments = fn(World) -> Vec<usize>;

const CWD: usize = libc::AT_FDCWD as usize;

impl World {
    pub fn new() -> World {
        let dir = base(std::os::unix::process::parent_id()).join(std::process::id().to_string());
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::File::create(dir.join("file")).unwrap().write_all(&[7; 10_000]).unwrap();
        std::fs::create_dir(dir.join("empty")).unwrap();
        std::os::unix::fs::symlink("file", dir.join("link")).unwrap();
        World { dir }
    }

    /// A path in it. What calls are told stays until the process ends.
    fn path(&self, name: &str) -> usize {
        let path = self.dir.join(name).into_os_string().into_encoded_bytes();
        CString::new(path).unwrap().into_raw() as usize
    }

    /// The file, opened, and removed with all the rest.
    fn file(&self) -> usize {
        let file = std::fs::File::options().read(true).write(true).open(self.dir.join("file"));
        file.unwrap().into_raw_fd() as usize
    }

    fn open_dir(&self) -> usize {
        std::fs::File::open(&self.dir).unwrap().into_raw_fd() as usize
    }
}

/// Memory that stays.
fn room(len: usize) -> usize {
    Box::leak(vec![0u8; len].into_boxed_slice()).as_mut_ptr() as usize
}

fn text(text: &str) -> usize {
    CString::new(text).unwrap().into_raw() as usize
}

fn words<const N: usize>(words: [i64; N]) -> usize {
    Box::leak(Box::new(words)).as_ptr() as usize
}

fn iovecs(lens: [usize; 2]) -> usize {
    words([room(lens[0]) as i64, lens[0] as i64, room(lens[1]) as i64, lens[1] as i64])
}

fn pipe() -> [usize; 2] {
    let mut ends = [0i32; 2];
    // SAFETY: room for two.
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
    ends.map(|end| end as usize)
}

/// Two sockets, with something to read in the second.
fn sockets() -> [usize; 2] {
    let (mut a, b) = std::os::unix::net::UnixStream::pair().unwrap();
    a.write_all(b"hello").unwrap();
    [a.into_raw_fd() as usize, b.into_raw_fd() as usize]
}

fn message(len: usize) -> usize {
    let vector = words([room(len) as i64, len as i64]);
    words([0, 0, vector as i64, 1, 0, 0, 0])
}

fn eventfd(count: u32) -> usize {
    // SAFETY: takes numbers.
    unsafe { libc::eventfd(count, 0) as usize }
}

fn epoll_with_event() -> usize {
    let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 5 };
    // SAFETY: live arguments.
    unsafe {
        let epoll = libc::epoll_create1(0);
        libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, eventfd(1) as i32, &raw mut event);
        epoll as usize
    }
}

/// A child that has ended.
fn ended_child() -> usize {
    // SAFETY: the child does nothing but end.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            libc::_exit(3);
        }
        let mut info = std::mem::zeroed::<libc::siginfo_t>();
        libc::waitid(libc::P_PID, child as u32, &raw mut info, libc::WEXITED | libc::WNOWAIT);
        child as usize
    }
}

const MILLISECOND: [i64; 2] = [0, 1_000_000];

/// `listns`, younger than the headers that we build with.
const LISTNS: u32 = 470;

/// A number, and how to make arguments for it in a new world.
pub static CALLS: &[(u32, Arguments)] = &[
    (g::__NR_read, |w| vec![w.file(), room(4096), 4096]),
    (g::__NR_read, |w| vec![w.file(), room(20_000), 20_000]),
    (g::__NR_read, |_| vec![sockets()[1], room(10), 10]),
    (g::__NR_read, |_| vec![eventfd(3), room(8), 8]),
    (g::__NR_write, |w| vec![w.file(), room(5000), 5000]),
    (g::__NR_write, |_| vec![pipe()[1], room(5000), 5000]),
    (g::__NR_pread64, |w| vec![w.file(), room(4096), 4096, 8000]),
    (g::__NR_pread64, |w| vec![w.file(), room(4096), 4096, usize::MAX]),
    (g::__NR_pwrite64, |w| vec![w.file(), room(100), 100, 50_000]),
    (g::__NR_readv, |w| vec![w.file(), iovecs([6000, 6000]), 2]),
    (g::__NR_writev, |w| vec![w.file(), iovecs([6000, 6000]), 2]),
    (g::__NR_preadv, |w| vec![w.file(), iovecs([6000, 6000]), 2, 100]),
    (g::__NR_pwritev, |w| vec![w.file(), iovecs([600, 600]), 2, 100]),
    (g::__NR_preadv2, |w| vec![w.file(), iovecs([600, 600]), 2, usize::MAX, 0, 0]),
    (g::__NR_pwritev2, |w| vec![w.file(), iovecs([600, 600]), 2, 10, 0, 0]),
    (g::__NR_lseek, |w| vec![w.file(), 100, 0]),
    (g::__NR_sendfile, |w| vec![pipe()[1], w.file(), 0, 3000]),
    (g::__NR_splice, |w| vec![w.file(), 0, pipe()[1], 0, 3000, 0]),
    (g::__NR_vmsplice, |_| vec![pipe()[1], iovecs([600, 600]), 2, 0]),
    (g::__NR_copy_file_range, |w| vec![w.file(), 0, w.file(), words([90_000]), 5000, 0]),
    (g::__NR_openat, |w| vec![CWD, w.path("file"), libc::O_RDWR as usize, 0]),
    (g::__NR_openat, |w| vec![CWD, w.path("new"), (libc::O_RDWR | libc::O_CREAT) as usize, 0o600]),
    (g::__NR_openat, |w| vec![w.open_dir(), text("nothing"), 0, 0]),
    (g::__NR_openat2, |w| vec![w.open_dir(), text("file"), words([0, 0, 0]), 24]),
    (g::__NR_close, |w| vec![w.file()]),
    (g::__NR_close_range, |w| vec![w.file(), 900, 0]),
    (g::__NR_statx, |w| vec![CWD, w.path("file"), 0, 0x7ff, room(256)]),
    (g::__NR_statx, |w| vec![w.open_dir(), text("no"), 0, 0x7ff, room(256)]),
    (g::__NR_newfstatat, |w| vec![CWD, w.path("link"), room(256), 0x100]),
    (g::__NR_fstat, |w| vec![w.file(), room(256)]),
    (g::__NR_statfs, |w| vec![w.path("file"), room(256)]),
    (g::__NR_fstatfs, |w| vec![w.file(), room(256)]),
    (g::__NR_faccessat, |w| vec![CWD, w.path("file"), 4]),
    (g::__NR_faccessat2, |w| vec![CWD, w.path("file"), 4, 0]),
    (g::__NR_readlinkat, |w| vec![CWD, w.path("link"), room(100), 100]),
    (g::__NR_getdents64, |w| vec![w.open_dir(), room(4096), 4096]),
    (g::__NR_getcwd, |_| vec![room(4096), 4096]),
    (g::__NR_mkdirat, |w| vec![CWD, w.path("made"), 0o700]),
    (g::__NR_mkdirat, |w| vec![CWD, w.path("empty"), 0o700]),
    (g::__NR_unlinkat, |w| vec![CWD, w.path("empty"), 0x200]),
    (g::__NR_unlinkat, |w| vec![CWD, w.path("file"), 0]),
    (g::__NR_renameat2, |w| vec![CWD, w.path("file"), CWD, w.path("moved"), 0]),
    (g::__NR_renameat2, |w| vec![CWD, w.path("file"), CWD, w.path("link"), 1]),
    (g::__NR_linkat, |w| vec![CWD, w.path("file"), CWD, w.path("another"), 0]),
    (g::__NR_symlinkat, |w| vec![text("to"), CWD, w.path("second")]),
    (g::__NR_mknodat, |w| vec![CWD, w.path("fifo"), (libc::S_IFIFO | 0o600) as usize, 0]),
    (g::__NR_fchmodat, |w| vec![CWD, w.path("file"), 0o640]),
    (g::__NR_fchmod, |w| vec![w.file(), 0o640]),
    (g::__NR_fchownat, |w| vec![CWD, w.path("file"), usize::MAX, usize::MAX, 0]),
    (g::__NR_fchown, |w| vec![w.file(), usize::MAX, usize::MAX]),
    (g::__NR_utimensat, |w| vec![CWD, w.path("file"), words([5, 5, 6, 6]), 0]),
    (g::__NR_truncate, |w| vec![w.path("file"), 77]),
    (g::__NR_ftruncate, |w| vec![w.file(), 77]),
    (g::__NR_fallocate, |w| vec![w.file(), 0, 0, 100_000]),
    (g::__NR_fsync, |w| vec![w.file()]),
    (g::__NR_fdatasync, |w| vec![w.file()]),
    (g::__NR_syncfs, |_| vec![pipe()[0]]),
    (g::__NR_sync_file_range, |w| vec![w.file(), 0, 4096, 2]),
    (g::__NR_fadvise64, |w| vec![w.file(), 0, 4096, 4]),
    (g::__NR_readahead, |w| vec![w.file(), 0, 4096]),
    (g::__NR_setxattr, |w| vec![w.path("file"), text("user.a"), room(4), 4, 0]),
    (g::__NR_getxattr, |w| vec![w.path("file"), text("user.none"), room(4), 4]),
    (g::__NR_listxattr, |w| vec![w.path("file"), room(400), 400]),
    (g::__NR_fgetxattr, |w| vec![w.file(), text("user.none"), room(4), 4]),
    (g::__NR_flock, |w| vec![w.file(), libc::LOCK_EX as usize]),
    (g::__NR_fcntl, |w| vec![w.file(), libc::F_GETFL as usize]),
    (g::__NR_fcntl, |w| vec![w.file(), libc::F_SETLKW as usize, words([0, 0, 0, 0])]),
    (g::__NR_ioctl, |_| vec![sockets()[1], libc::FIONREAD as usize, room(4)]),
    (g::__NR_dup, |w| vec![w.file()]),
    (g::__NR_dup3, |w| vec![w.file(), 100, 0]),
    (g::__NR_pipe2, |_| vec![room(8), libc::O_CLOEXEC as usize]),
    (g::__NR_memfd_create, |_| vec![text("memory"), 0]),
    (g::__NR_eventfd2, |_| vec![1, 0]),
    (g::__NR_timerfd_create, |_| vec![1, 0]),
    (g::__NR_signalfd4, |_| vec![usize::MAX, words([0x2000]), 8, 0]),
    (g::__NR_inotify_init1, |_| vec![0]),
    (g::__NR_epoll_create1, |_| vec![0]),
    (g::__NR_epoll_pwait, |_| vec![epoll_with_event(), room(120), 10, usize::MAX, 0, 8]),
    (g::__NR_epoll_pwait, |_| vec![epoll_with_event(), room(120), 10, 5, 0, 8]),
    (g::__NR_epoll_pwait2, |_| vec![epoll_with_event(), room(120), 10, words(MILLISECOND), 0, 8]),
    (g::__NR_ppoll, |_| vec![words([sockets()[1] as i64 | 1 << 32]), 1, 0, 0, 8]),
    (g::__NR_ppoll, |_| vec![words([pipe()[0] as i64 | 1 << 32]), 1, words(MILLISECOND), 0, 8]),
    (g::__NR_pselect6, |_| vec![0, 0, 0, 0, words(MILLISECOND), 0]),
    (g::__NR_socket, |_| vec![libc::AF_UNIX as usize, libc::SOCK_STREAM as usize, 0]),
    (g::__NR_socketpair, |_| vec![libc::AF_UNIX as usize, libc::SOCK_STREAM as usize, 0, room(8)]),
    (g::__NR_getsockname, |_| vec![sockets()[0], room(128), words([128])]),
    (g::__NR_getsockopt, |_| vec![sockets()[0], 1, 3, room(4), words([4])]),
    (g::__NR_setsockopt, |_| vec![sockets()[0], 1, 2, words([1]), 4]),
    (g::__NR_shutdown, |_| vec![sockets()[0], 1]),
    (g::__NR_recvfrom, |_| vec![sockets()[1], room(10), 10, 0, 0, 0]),
    (g::__NR_recvfrom, |_| vec![sockets()[1], room(10), 10, 2, 0, 0]),
    (g::__NR_sendto, |_| vec![sockets()[0], room(10), 10, 0, 0, 0]),
    (g::__NR_sendto, |_| vec![pipe()[1], room(10), 10, 0, 0, 0]),
    (g::__NR_recvmsg, |_| vec![sockets()[1], message(10), 0]),
    (g::__NR_sendmsg, |_| vec![sockets()[0], message(10), 0]),
    (g::__NR_accept4, |_| vec![sockets()[0], 0, 0, 0]),
    (g::__NR_connect, |_| vec![sockets()[0], words([0]), 2]),
    (g::__NR_wait4, |_| vec![ended_child(), room(4), 0, 0]),
    (g::__NR_waitid, |_| vec![1, ended_child(), room(128), libc::WEXITED as usize, 0]),
    (g::__NR_kill, |_| vec![std::process::id() as usize, 0]),
    (g::__NR_nanosleep, |_| vec![words(MILLISECOND), 0]),
    (g::__NR_nanosleep, |_| vec![words([0, -1]), 0]),
    (g::__NR_clock_nanosleep, |_| vec![1, 1, words(MILLISECOND), 0]),
    (g::__NR_clock_nanosleep, |_| vec![99, 0, words(MILLISECOND), 0]),
    (g::__NR_futex, |_| vec![words([5]), libc::FUTEX_WAIT as usize, 5, words(MILLISECOND)]),
    (g::__NR_futex, |_| vec![words([5]), libc::FUTEX_WAIT as usize, 6, 0]),
    (g::__NR_futex, |_| vec![words([5]), libc::FUTEX_WAKE as usize, 6]),
    (g::__NR_getrandom, |_| vec![room(32), 32, 0]),
    (g::__NR_mmap, |_| vec![0, 8192, 3, 0x22, usize::MAX, 0]),
    (g::__NR_munmap, |_| vec![0x7000_0000_0000, 4096]),
    (g::__NR_madvise, |_| vec![0, 0, 4]),
    (g::__NR_mincore, |_| vec![0x7000_0000_0000, 4096, room(1)]),
    (g::__NR_getpid, |_| vec![]),
    (g::__NR_gettid, |_| vec![]),
    (g::__NR_getuid, |_| vec![]),
    (g::__NR_umask, |_| vec![0o22]),
    (g::__NR_uname, |_| vec![room(400)]),
    (g::__NR_sysinfo, |_| vec![room(200)]),
    (g::__NR_getrusage, |_| vec![0, room(200)]),
    (g::__NR_prlimit64, |_| vec![0, 7, 0, room(16)]),
    (g::__NR_clock_gettime, |_| vec![1, room(16)]),
    (g::__NR_sched_getaffinity, |_| vec![0, 128, room(128)]),
    (g::__NR_sched_yield, |_| vec![]),
    (g::__NR_msgrcv, |_| vec![usize::MAX, room(100), 50, 0, 0]),
    (LISTNS, |_| vec![words([32, 0, 0, 0]), room(8), 1, 0]),
    (g::__NR_semop, |_| vec![usize::MAX, words([0]), 1]),
    (g::__NR_setuid, |_| vec![0]),
    (g::__NR_exit, |_| vec![9]),
];

/// Those with a newer twin, which other processors do not have.
#[cfg(target_arch = "x86_64")]
pub static OLD_CALLS: &[(u32, Arguments)] = &[
    (g::__NR_open, |w| vec![w.path("file"), 0, 0]),
    (g::__NR_stat, |w| vec![w.path("file"), room(256)]),
    (g::__NR_lstat, |w| vec![w.path("link"), room(256)]),
    (g::__NR_access, |w| vec![w.path("file"), 4]),
    (g::__NR_mkdir, |w| vec![w.path("made"), 0o700]),
    (g::__NR_rmdir, |w| vec![w.path("empty")]),
    (g::__NR_rename, |w| vec![w.path("file"), w.path("moved")]),
    (g::__NR_link, |w| vec![w.path("file"), w.path("another")]),
    (g::__NR_symlink, |w| vec![text("to"), w.path("second")]),
    (g::__NR_unlink, |w| vec![w.path("file")]),
    (g::__NR_readlink, |w| vec![w.path("link"), room(100), 100]),
    (g::__NR_chmod, |w| vec![w.path("file"), 0o600]),
    (g::__NR_creat, |w| vec![w.path("new"), 0o600]),
    (g::__NR_poll, |_| vec![words([sockets()[1] as i64 | 1 << 32]), 1, usize::MAX]),
    (g::__NR_poll, |_| vec![words([pipe()[0] as i64 | 1 << 32]), 1, 2]),
    (g::__NR_select, |_| vec![0, 0, 0, 0, words([0, 1000])]),
    (g::__NR_epoll_wait, |_| vec![epoll_with_event(), room(120), 10, 5]),
    (g::__NR_pipe, |_| vec![room(8)]),
    (g::__NR_dup2, |w| vec![w.file(), 100]),
    (g::__NR_fork, |_| vec![]),
];

#[cfg(not(target_arch = "x86_64"))]
pub static OLD_CALLS: &[(u32, Arguments)] = &[];
