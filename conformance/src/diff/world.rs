//! The environment of one program: made afresh for each, the same on both sides, and read back
//! at the end.

use std::collections::hash_map::DefaultHasher;
use std::fmt::Write as _;
use std::fs;
use std::hash::Hasher;
use std::io;
use std::mem::zeroed;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::layout::*;

/// Maps the memory every program uses; once per process.
pub fn map_arena() {
    let map = |at: u64, len: usize, protection| {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
        // SAFETY: NOREPLACE: nothing that exists is overwritten.
        let got = unsafe { libc::mmap(at as *mut libc::c_void, len, protection, flags, -1, 0) };
        assert!(got as u64 == at, "the address {at:#x} is taken: {}", io::Error::last_os_error());
    };
    let both = libc::PROT_READ | libc::PROT_WRITE;
    map(ARENA, (SLOT * SLOTS) as usize, both);
    map(READ_ONLY, 0x4000, libc::PROT_READ);
    map(FORBIDDEN, 0x4000, libc::PROT_NONE);
    map(EDGE, 0x1000, both);
    map(REGISTERED, (REGISTERED_LEN * REGISTERED_COUNT) as usize, both);
    map(ADDRESSES, 0x1000, both);
}

/// Memory of the arena, as bytes.
pub fn memory(at: u64, len: u64) -> &'static mut [u8] {
    // SAFETY: only called with ranges that `map_arena` mapped writable, which stay mapped for
    // ever. Requests in flight may write there as well; bytes have no invalid value, and the
    // callers look only at what is at rest.
    unsafe { std::slice::from_raw_parts_mut(at as *mut u8, len as usize) }
}

pub struct World {
    folder: PathBuf,
}

fn check(answer: i32) -> i32 {
    assert!(answer >= 0, "cannot make the environment: {}", io::Error::last_os_error());
    answer
}

/// Moves `from` to the number `to`.
fn place(from: i32, to: i32) {
    // SAFETY: `from` was opened by the caller for this purpose; takes numbers only.
    unsafe {
        check(libc::dup3(from, to, libc::O_CLOEXEC));
        libc::close(from);
    }
}

fn pipe(reader: i32, writer: i32, flags: i32) {
    let mut ends = [0; 2];
    // SAFETY: `ends` has room for two.
    check(unsafe { libc::pipe2(ends.as_mut_ptr(), flags) });
    place(ends[0], reader);
    place(ends[1], writer);
}

fn pair(kind: i32, left: i32, right: i32) {
    let mut ends = [0; 2];
    // SAFETY: `ends` has room for two.
    check(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) });
    place(ends[0], left);
    place(ends[1], right);
}

fn feed(fd: i32, len: usize) {
    let bytes: Vec<u8> = (0..len).map(|i| i as u8 ^ fd as u8).collect();
    // SAFETY: writes from a vector that lives.
    let wrote = unsafe { libc::write(fd, bytes.as_ptr().cast(), len) };
    assert!(wrote == len as isize, "cannot fill fd {fd}");
}

fn socket(family: i32, flags: i32, to: i32) {
    // SAFETY: takes numbers only.
    place(check(unsafe { libc::socket(family, libc::SOCK_STREAM | flags, 0) }), to);
}

/// No TIME_WAIT: the ports of a hundred thousand programs would not suffice.
fn reset_on_close(fd: i32) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let at = (&raw const linger).cast();
    let len = size_of::<libc::linger>() as u32;
    // SAFETY: `at` and `len` name `linger`.
    unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_LINGER, at, len) };
}

/// An address of 127/8 for each program, as far as they go: the ports of one would not suffice for
/// the connections of all, which linger.
fn loopback() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mixed = std::process::id().wrapping_mul(4099).wrapping_add(number) % 0x00ff_fffe;
    0x7f00_0001 + mixed
}

/// Binds `fd` to a free loopback port and writes the address down in slot `index`.
fn bind_tcp(fd: i32, index: u64) {
    // SAFETY: a sockaddr_in of zeroes is valid; the lengths are those of `address`.
    unsafe {
        let mut address: libc::sockaddr_in = zeroed();
        address.sin_family = libc::AF_INET as u16;
        address.sin_addr.s_addr = u32::to_be(loopback());
        let mut len = size_of::<libc::sockaddr_in>() as u32;
        check(libc::bind(fd, (&raw const address).cast(), len));
        check(libc::getsockname(fd, (&raw mut address).cast(), &raw mut len));
        let bytes = std::slice::from_raw_parts((&raw const address).cast::<u8>(), len as usize);
        memory(ADDRESSES + index * ADDRESS_LEN, 16).copy_from_slice(bytes);
    }
}

/// Binds `fd` to an abstract name of its own and writes it down in slot `index`; its length is 16
/// bytes. Never the same name twice: a ring that is being torn down may hold the last socket.
fn bind_unix(fd: i32, index: u64) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut address = [0u8; 16];
    address[..2].copy_from_slice(&(libc::AF_UNIX as u16).to_ne_bytes());
    let name = format!("{:06x}{number:07x}", std::process::id());
    address[3..].copy_from_slice(name.as_bytes());
    // SAFETY: `address` is a sockaddr_un cut to 16 bytes.
    check(unsafe { libc::bind(fd, address.as_ptr().cast(), 16) });
    memory(ADDRESSES + index * ADDRESS_LEN, 16).copy_from_slice(&address);
}

fn connect(fd: i32, index: u64) {
    let at = (ADDRESSES + index * ADDRESS_LEN) as *const libc::sockaddr;
    // SAFETY: 16 bytes of address were written there.
    check(unsafe { libc::connect(fd, at, 16) });
}

impl World {
    /// Makes everything in `folder`, and makes it the current directory.
    pub fn new(folder: &Path) -> World {
        // Left by a side that was killed.
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).expect("cannot make the scratch folder");
        std::env::set_current_dir(folder).expect("cannot enter the scratch folder");
        for (fd, name, flags, len) in FILES {
            let bytes: Vec<u8> = (0..len).map(|i| (i as u8).wrapping_mul(7) ^ fd as u8).collect();
            fs::write(name, bytes).expect("cannot write a scratch file");
            open(name, flags, fd);
        }
        open(".", libc::O_RDONLY | libc::O_DIRECTORY, FOLDER);
        open("b", libc::O_PATH, PATH_ONLY);
        for (name, start) in NAMES {
            match start {
                Start::Nothing => {}
                Start::File => fs::write(name, name).expect("cannot write a scratch file"),
                Start::Folder => fs::create_dir(name).expect("cannot make a folder"),
                Start::FullFolder => {
                    fs::create_dir_all(Path::new(name).join("in")).expect("cannot make a folder");
                }
            }
        }
        pipes();
        sockets();
        for (fd, value) in [(260, 0), (261, 5), (EVENTFD, 0)] {
            // SAFETY: takes numbers only.
            place(check(unsafe { libc::eventfd(value, 0) }), fd);
        }
        // SAFETY: takes numbers only.
        place(check(unsafe { libc::epoll_create1(0) }), EPOLL);
        World { folder: folder.to_path_buf() }
    }

    /// What is left in files and streams, in words.
    /// Everything that the program may have changed. Whether a stream has come to its end is
    /// `ends`'s to say: the kernel takes a ring with requests apart after `close` has returned, and
    /// their files with it.
    pub fn report(&self, ends: bool) -> String {
        let mut text = String::new();
        list(&self.folder, Path::new(""), &mut text);
        for (fd, kind) in TABLE {
            if kind == Kind::Bad {
                continue;
            }
            // SAFETY: takes numbers only.
            if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
                let _ = writeln!(text, "fd {fd}: closed");
                continue;
            }
            match kind {
                Kind::Reader(_) | Kind::Socket { .. } | Kind::Counter(_) => {
                    let _ = writeln!(text, "fd {fd}: {}", drain(fd, ends));
                }
                Kind::File(_) => {
                    // SAFETY: takes numbers only.
                    let at = unsafe { libc::lseek(fd, 0, libc::SEEK_CUR) };
                    let _ = writeln!(text, "fd {fd}: at {at}");
                }
                _ => {}
            }
        }
        let mut opened: Vec<String> = extra().into_iter().map(describe).collect();
        opened.sort();
        let _ = writeln!(text, "opened: {opened:?}");
        text
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for fd in extra() {
            reset_on_close(fd);
            // SAFETY: the world's programs opened it, and are over.
            unsafe { libc::close(fd) };
        }
        reset_on_close(236);
        reset_on_close(237);
        reset_on_close(255);
        reset_on_close(257);
        // SAFETY: these numbers are the world's.
        unsafe { libc::close_range(199, 299, 0) };
        let _ = std::env::set_current_dir("/");
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn open(name: &str, flags: i32, fd: i32) {
    let name = std::ffi::CString::new(name).expect("a name without a zero");
    // SAFETY: `name` is a string that lives.
    place(check(unsafe { libc::open(name.as_ptr(), flags | libc::O_CLOEXEC) }), fd);
}

fn pipes() {
    pipe(210, 211, 0);
    pipe(212, 213, 0);
    feed(213, 10);
    pipe(214, 215, 0);
    pipe(216, 217, libc::O_NONBLOCK);
    pipe(218, 219, 0);
    // SAFETY: takes numbers only.
    check(unsafe { libc::fcntl(219, libc::F_SETPIPE_SZ, 4096) });
    feed(219, 4096);
    pipe(220, 298, 0);
    pipe(299, 221, 0);
    // SAFETY: made on the lines above, to be closed.
    unsafe {
        libc::close(298);
        libc::close(299);
    }
}

fn sockets() {
    pair(libc::SOCK_STREAM, 230, 231);
    pair(libc::SOCK_STREAM, 232, 233);
    feed(233, 20);
    pair(libc::SOCK_DGRAM, 234, 235);
    pair(libc::SOCK_STREAM, 240, 241);
    socket(libc::AF_INET, 0, 250);
    bind_tcp(250, 0);
    socket(libc::AF_UNIX, 0, 251);
    bind_unix(251, 1);
    socket(libc::AF_UNIX, 0, 252);
    bind_unix(252, 2);
    for fd in [250, 251, 252] {
        // SAFETY: takes numbers only.
        check(unsafe { libc::listen(fd, 16) });
    }
    for (left, right) in [(236, 237), (238, 239)] {
        socket(libc::AF_INET, 0, left);
        connect(left, 0);
        // SAFETY: no address is asked for.
        place(
            check(unsafe { libc::accept(250, std::ptr::null_mut(), std::ptr::null_mut()) }),
            right,
        );
    }
    // Orderly: the peer reads end of file, not a reset.
    // SAFETY: made above, to be closed; 238 is reset when the world ends.
    unsafe { libc::close(239) };
    socket(libc::AF_INET, 0, 255);
    socket(libc::AF_UNIX, 0, 256);
    socket(libc::AF_INET, libc::SOCK_NONBLOCK, 257);
    // An address where nobody listens: bound for as long as the world lasts, so that nobody will.
    socket(libc::AF_INET, 0, 258);
    bind_tcp(258, 3);
}

/// What can be read from `fd` now, without waiting: end or not, length and hash.
fn drain(fd: i32, ends: bool) -> String {
    let mut all = Vec::new();
    let mut chunk = [0u8; 4096];
    for _ in 0..64 {
        let mut ready = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        // SAFETY: one entry, as said.
        if unsafe { libc::poll(&raw mut ready, 1, 0) } != 1 || ready.revents & libc::POLLIN == 0 {
            return format!("{} bytes {:016x}", all.len(), hash(&all));
        }
        // SAFETY: reads into `chunk`.
        let got = unsafe { libc::read(fd, chunk.as_mut_ptr().cast(), chunk.len()) };
        if got <= 0 && !ends {
            return format!("{} bytes {:016x}", all.len(), hash(&all));
        }
        if got <= 0 {
            return format!("{} bytes {:016x}, then {got}", all.len(), hash(&all));
        }
        all.extend_from_slice(&chunk[..got as usize]);
    }
    format!("{} bytes {:016x} and more", all.len(), hash(&all))
}

/// Hash of bytes: to compare, and short to print.
#[must_use]
pub fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

fn list(root: &Path, below: &Path, text: &mut String) {
    let mut names: Vec<PathBuf> = fs::read_dir(root.join(below))
        .map(|entries| entries.filter_map(|e| Some(below.join(e.ok()?.file_name()))).collect())
        .unwrap_or_default();
    names.sort();
    for name in names {
        let full = root.join(&name);
        if full.is_dir() {
            let _ = writeln!(text, "{}/", name.display());
            list(root, &name, text);
        } else {
            let bytes = fs::read(&full).unwrap_or_default();
            let _ =
                writeln!(text, "{}: {} bytes {:016x}", name.display(), bytes.len(), hash(&bytes));
        }
    }
}

/// Descriptors that programs opened: those below the world's own, apart from what the process
/// had before.
fn extra() -> Vec<i32> {
    // SAFETY: takes numbers only.
    (BASE..199).filter(|fd| unsafe { libc::fcntl(*fd, libc::F_GETFD) } >= 0).collect()
}

/// Descriptors of the process itself lie below.
pub const BASE: i32 = 16;

/// What a descriptor is, without numbers that vary.
#[must_use]
pub fn describe(fd: i32) -> String {
    // SAFETY: a stat of zeroes is valid, and filled in by fstat.
    let (mode, size) = unsafe {
        let mut stat: libc::stat = zeroed();
        if libc::fstat(fd, &raw mut stat) < 0 {
            return "closed".to_owned();
        }
        (stat.st_mode & libc::S_IFMT, stat.st_size)
    };
    // SAFETY: takes numbers only.
    let (flags, cloexec) =
        unsafe { (libc::fcntl(fd, libc::F_GETFL), libc::fcntl(fd, libc::F_GETFD)) };
    match mode {
        libc::S_IFREG => format!("file of {size} flags {flags:#o} cloexec {cloexec}"),
        libc::S_IFDIR => format!("folder flags {flags:#o} cloexec {cloexec}"),
        libc::S_IFSOCK => format!("socket flags {flags:#o} cloexec {cloexec}"),
        other => format!("mode {other:#o} flags {flags:#o} cloexec {cloexec}"),
    }
}
