//! The environment of one program: made afresh for each, the same on both sides, and read back
//! at the end.

mod sockets;

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::mem::zeroed;
use std::path::{Path, PathBuf};

use sockets::{reset_on_close, sockets};

use super::children::Children;
use super::lane;
use super::layout::*;

/// Maps the memory every program uses; once for each lane.
pub fn map_arena() {
    let map = |at: u64, len: usize, protection| {
        let at = lane::at(at);
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
    map(FUTEXES, 0x1000, both);
    map(REGION, 0x1000, both);
    map(LENT, LENT_LEN as usize, both);
    map(BUFFERS, (BUFFERS_LEN * GROUPS) as usize, both);
    map(BUFFER_RINGS, (BUFFER_RING_LEN * GROUPS) as usize, both);
}

/// Memory of this lane's arena, as bytes.
pub fn memory(at: u64, len: u64) -> &'static mut [u8] {
    // SAFETY: only called with ranges that `map_arena` mapped writable, which stay mapped for
    // ever. Requests in flight may write there as well; bytes have no invalid value, and the
    // callers look only at what is at rest.
    unsafe { std::slice::from_raw_parts_mut(lane::at(at) as *mut u8, len as usize) }
}

/// New memory in the place of what was lent to a ring. The ring of the program before may be closing
/// still, which is the kernel's own affair, and has the old: a tail that it wrote into this one's
/// memory, behind a head that is further on, would keep Linux 6.18 in `io_uring_enter` for ever, not
/// to be killed.
pub fn renew(at: u64, len: u64) {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    let start = lane::at(at) as *mut libc::c_void;
    // SAFETY: `map_arena` mapped these pages for programs, and the one before is over.
    let got = unsafe { libc::mmap(start, len as usize, protection, flags, -1, 0) };
    assert!(got == start, "no memory to lend: {}", io::Error::last_os_error());
}

pub struct World {
    folder: PathBuf,
    pub children: Option<Children>,
}

fn check(answer: i32) -> i32 {
    assert!(answer >= 0, "cannot make the environment: {}", io::Error::last_os_error());
    answer
}

/// Moves `from` to the number `to` of this lane.
fn place(from: i32, to: i32) {
    // SAFETY: `from` was opened by the caller for this purpose; takes numbers only.
    unsafe {
        check(libc::dup3(from, lane::fd(to), libc::O_CLOEXEC));
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

fn feed(fd: i32, len: usize) {
    let bytes: Vec<u8> = (0..len).map(|i| i as u8 ^ fd as u8).collect();
    // SAFETY: writes from a vector that lives.
    let wrote = unsafe { libc::write(lane::fd(fd), bytes.as_ptr().cast(), len) };
    assert!(wrote == len as isize, "cannot fill fd {fd}");
}

impl World {
    /// Makes everything in `folder`, and makes it the current directory if the process is its own.
    pub fn new(folder: &Path, children: bool, alone: bool) -> World {
        // Left by a side that was killed.
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).expect("cannot make the scratch folder");
        if alone {
            std::env::set_current_dir(folder).expect("cannot enter the scratch folder");
        }
        for (fd, name, flags, len) in FILES {
            let bytes: Vec<u8> = (0..len).map(|i| (i as u8).wrapping_mul(7) ^ fd as u8).collect();
            let path = folder.join(name);
            if fd == DIRECT {
                let made = fs::File::create(&path).and_then(|file| file.set_len(len as u64));
                made.expect("cannot make a scratch file");
            } else {
                fs::write(&path, bytes).expect("cannot write a scratch file");
            }
            open(&path, flags, fd);
        }
        open(folder, libc::O_RDONLY | libc::O_DIRECTORY, FOLDER);
        open(&folder.join("b"), libc::O_PATH, PATH_ONLY);
        for (name, start) in NAMES {
            let path = folder.join(name);
            match start {
                Start::Nothing => {}
                Start::File => fs::write(&path, name).expect("cannot write a scratch file"),
                Start::Folder => fs::create_dir(&path).expect("cannot make a folder"),
                Start::FullFolder => {
                    fs::create_dir_all(path.join("in")).expect("cannot make a folder");
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
        open(Path::new("/dev/null"), libc::O_RDWR, NULL);
        let children = if children { Some(Children::new()) } else { None };
        World { folder: folder.to_path_buf(), children }
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
            if unsafe { libc::fcntl(lane::fd(fd), libc::F_GETFD) } < 0 {
                let _ = writeln!(text, "fd {fd}: closed");
                continue;
            }
            match kind {
                Kind::Reader(_) | Kind::Socket { .. } | Kind::Counter(_) => {
                    let _ = writeln!(text, "fd {fd}: {}", drain(lane::fd(fd), ends));
                }
                Kind::File(_) => {
                    // SAFETY: takes numbers only.
                    let at = unsafe { libc::lseek(lane::fd(fd), 0, libc::SEEK_CUR) };
                    let _ = writeln!(text, "fd {fd}: at {at}");
                }
                _ => {}
            }
        }
        text
    }
}

impl Drop for World {
    fn drop(&mut self) {
        reset_on_close(236);
        reset_on_close(237);
        reset_on_close(255);
        reset_on_close(257);
        // SAFETY: these numbers are the world's.
        unsafe { libc::close_range(lane::fd(199) as u32, lane::fd(278) as u32, 0) };
        let _ = std::env::set_current_dir("/");
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn open(path: &Path, flags: i32, fd: i32) {
    let name =
        std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).expect("a name without a zero");
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
    check(unsafe { libc::fcntl(lane::fd(219), libc::F_SETPIPE_SZ, 4096) });
    feed(219, 4096);
    pipe(223, INTO, 0);
    pipe(220, 277, 0);
    pipe(278, 221, 0);
    // SAFETY: made on the lines above, to be closed.
    unsafe {
        libc::close(lane::fd(277));
        libc::close(lane::fd(278));
    }
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
    bytes.chunks(8).fold(bytes.len() as u64, |hash, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        (hash.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    })
}

fn list(root: &Path, below: &Path, text: &mut String) {
    let mut names: Vec<PathBuf> = fs::read_dir(root.join(below))
        .map(|entries| entries.filter_map(|e| Some(below.join(e.ok()?.file_name()))).collect())
        .unwrap_or_default();
    names.sort();
    for name in names {
        let full = root.join(&name);
        if let Ok(target) = fs::read_link(&full) {
            let _ = writeln!(text, "{} -> {}", name.display(), target.display());
        } else if full.is_dir() {
            let _ = writeln!(text, "{}/", name.display());
            list(root, &name, text);
        } else {
            let bytes = fs::read(&full).unwrap_or_default();
            let _ =
                writeln!(text, "{}: {} bytes {:016x}", name.display(), bytes.len(), hash(&bytes));
        }
    }
}

/// What the programs of the process have opened, in words; it is closed then.
pub fn opened() -> String {
    let mut opened: Vec<String> = extra().into_iter().map(describe).collect();
    opened.sort();
    for fd in extra() {
        reset_on_close(fd);
        // SAFETY: programs opened it, and are over.
        unsafe { libc::close(fd) };
    }
    format!("opened: {opened:?}\n")
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
