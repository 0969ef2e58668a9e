//! What calls work on: made anew in each child, and left to it.

use std::ffi::CString;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::fd::IntoRawFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};

use sysring_sys::raw::general as g;

pub use super::child::{put, room, unable, vague};

/// Where the children of a process keep their worlds.
pub fn base(parent: u32) -> PathBuf {
    std::env::temp_dir().join(format!("sysring-every-call-{parent}"))
}

pub struct World {
    dir: PathBuf,
}

/// A number, and how to make arguments for it in a new world.
pub type Arguments = (u32, fn(World) -> Vec<usize>);

pub const CWD: usize = libc::AT_FDCWD as usize;
pub const MILLISECOND: [i64; 2] = [0, 1_000_000];

impl World {
    pub fn new() -> World {
        let dir = base(std::os::unix::process::parent_id()).join(std::process::id().to_string());
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::File::create(dir.join("file")).unwrap().write_all(&[7; 10_000]).unwrap();
        std::fs::create_dir(dir.join("empty")).unwrap();
        std::os::unix::fs::symlink("file", dir.join("link")).unwrap();
        World { dir }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Of the file system that it is on.
    #[cfg(target_arch = "x86_64")]
    pub fn device(&self) -> usize {
        std::os::unix::fs::MetadataExt::dev(&self.dir.metadata().unwrap()) as usize
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> usize {
        c_path(&self.dir.join(name)) as usize
    }

    /// The file, opened, and removed with all the rest.
    pub fn file(&self) -> usize {
        let file = std::fs::File::options().read(true).write(true).open(self.dir.join("file"));
        file.unwrap().into_raw_fd() as usize
    }

    pub fn open_dir(&self) -> usize {
        std::fs::File::open(&self.dir).unwrap().into_raw_fd() as usize
    }

    /// Mounts of the child's own, and something mounted: its path.
    pub fn mounted(&self) -> usize {
        self.mounts();
        let (none, kind) = (c"none".as_ptr() as usize, c"tmpfs".as_ptr() as usize);
        let at = self.path("empty");
        assert_eq!(make(g::__NR_mount, [none, at, kind, 0, 0]), 0);
        at
    }

    pub fn mounts(&self) {
        apart(libc::CLONE_NEWNS);
        let flags = (libc::MS_REC | libc::MS_PRIVATE) as usize;
        assert_eq!(make(g::__NR_mount, [0, c"/".as_ptr() as usize, 0, flags, 0]), 0);
    }

    /// The path of the file, which has an attribute where the file system has any.
    pub fn attributed(&self) -> usize {
        let path = self.path("file");
        make(
            g::__NR_setxattr,
            [path, c"user.a".as_ptr() as usize, c"value".as_ptr() as usize, 5, 0],
        );
        path
    }

    pub fn attributed_file(&self) -> usize {
        self.attributed();
        self.file()
    }
}

/// Namespaces of the child's own, if need be with users of its own.
pub fn apart(namespaces: i32) {
    // SAFETY: changes this child alone.
    let gone = unsafe {
        libc::unshare(namespaces) == 0 || libc::unshare(libc::CLONE_NEWUSER | namespaces) == 0
    };
    if !gone {
        unable(&format!("namespaces of one's own: {}", std::io::Error::last_os_error()));
    }
}

/// A user who may not change the machine.
pub fn nobody() {
    // SAFETY: as above.
    if unsafe { libc::geteuid() == 0 && libc::setresuid(65534, 65534, 65534) != 0 } {
        unable(&format!("another user: {}", std::io::Error::last_os_error()));
    }
}

/// A C string that stays until the process ends.
pub fn c_path(path: &Path) -> *mut libc::c_char {
    CString::new(path.as_os_str().as_encoded_bytes()).unwrap().into_raw()
}

pub fn text(text: &str) -> usize {
    CString::new(text).unwrap().into_raw() as usize
}

/// Memory with words in it, which are compared afterwards.
pub fn words<const N: usize>(words: [i64; N]) -> usize {
    put(room(8 * N), words)
}

/// The same, with what differs between processes.
pub fn vague_words<const N: usize>(words: [i64; N]) -> usize {
    put(vague(8 * N), words)
}

/// Memory that nobody looks at afterwards.
pub fn unseen<T: 'static>(value: T) -> usize {
    std::ptr::from_mut(Box::leak(Box::new(value))) as usize
}

pub fn iovecs(lens: [usize; 2]) -> usize {
    words([room(lens[0]) as i64, lens[0] as i64, room(lens[1]) as i64, lens[1] as i64])
}

/// A system call that is part of the scenery.
pub fn make<const N: usize>(nr: u32, given: [usize; N]) -> usize {
    let mut args = [0; 6];
    args[..N].copy_from_slice(&given);
    let [a, b, c, d, e, f] = args;
    // SAFETY: arguments that mean what they should, in a child with nothing to lose.
    unsafe { libc::syscall(i64::from(nr), a, b, c, d, e, f) as usize }
}

pub fn pipe() -> [usize; 2] {
    let mut ends = [0i32; 2];
    // SAFETY: room for two.
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
    ends.map(|end| end as usize)
}

pub fn full_pipe() -> [usize; 2] {
    let ends = pipe();
    make(g::__NR_write, [ends[1], c"something".as_ptr() as usize, 9]);
    ends
}

/// Two sockets, with something to read in the second.
pub fn sockets() -> [usize; 2] {
    let (mut a, b) = UnixStream::pair().unwrap();
    a.write_all(b"hello").unwrap();
    [a.into_raw_fd() as usize, b.into_raw_fd() as usize]
}

/// Two sockets, with two messages in the second.
pub fn datagrams() -> [usize; 2] {
    let (a, b) = UnixDatagram::pair().unwrap();
    a.send(b"one").unwrap();
    a.send(b"two, longer").unwrap();
    [a.into_raw_fd() as usize, b.into_raw_fd() as usize]
}

/// A socket with a caller waiting.
pub fn called() -> usize {
    let listener = listener();
    let caller = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    std::mem::forget(caller);
    listener.into_raw_fd() as usize
}

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

/// The address of somebody who listens.
pub fn listening() -> usize {
    let listener = listener();
    let port = listener.local_addr().unwrap().port();
    std::mem::forget(listener);
    let host = [[127, 0], [0, 1]].map(u16::from_ne_bytes);
    unseen([libc::AF_INET as u16, port.to_be(), host[0], host[1], 0, 0, 0, 0])
}

pub fn socket(family: i32, kind: i32) -> usize {
    // SAFETY: takes numbers.
    unsafe { libc::socket(family, kind, 0) as usize }
}

pub fn message(len: usize) -> usize {
    let vector = words([room(len) as i64, len as i64]);
    words([0, 0, vector as i64, 1, 0, 0, 0])
}

/// Two headers for messages, with buffers.
pub fn messages() -> usize {
    let vectors = [(); 2].map(|()| words([room(16) as i64, 16]) as i64);
    let [a, b] = vectors;
    words([0, 0, a, 1, 0, 0, 0, 0, 0, 0, b, 1, 0, 0, 0, 0])
}

pub fn eventfd(count: u32) -> usize {
    // SAFETY: takes numbers.
    unsafe { libc::eventfd(count, 0) as usize }
}

pub fn epoll_with_event() -> usize {
    let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 5 };
    // SAFETY: live arguments.
    unsafe {
        let epoll = libc::epoll_create1(0);
        libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, eventfd(1) as i32, &raw mut event);
        epoll as usize
    }
}

/// Pages, one of which is there.
pub fn pages(len: usize) -> usize {
    mapping(len, libc::MAP_PRIVATE)
}

pub fn mapping(len: usize, kind: i32) -> usize {
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: new memory, which stays.
    unsafe {
        let at = libc::mmap(std::ptr::null_mut(), len, prot, kind | libc::MAP_ANONYMOUS, -1, 0);
        assert_ne!(at, libc::MAP_FAILED);
        at.cast::<u8>().write(1);
        at as usize
    }
}

/// A child that has ended.
pub fn ended_child() -> usize {
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

pub fn pid() -> usize {
    std::process::id() as usize
}

pub fn tid() -> usize {
    make(g::__NR_gettid, [])
}

pub fn pidfd(of: usize) -> usize {
    make(g::__NR_pidfd_open, [of, 0])
}
