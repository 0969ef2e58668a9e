//! What requests work on: files, pipes, sockets and memory, made again for each case.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::path::PathBuf;

use sysring_sys::abi::io_uring::{Sqe, op, register};

use crate::raw::Ring;

/// Numbers of descriptors; none is ever given to another file.
pub const FILE: i32 = 300;
pub const PIPE_READ: i32 = 301;
pub const PIPE_WRITE: i32 = 302;
pub const SOCKET: i32 = 303;
pub const PEER: i32 = 304;
pub const FOLDER: i32 = 305;
pub const EPOLL: i32 = 306;
pub const LISTENER: i32 = 307;
pub const FRESH: i32 = 308;
pub const PATH_ONLY: i32 = 309;
pub const READ_ONLY: i32 = 310;
pub const OTHER_READ: i32 = 311;
pub const OTHER_WRITE: i32 = 312;
pub const EVENT: i32 = 313;
pub const TCP: i32 = 314;
const TCP_PEER: i32 = 315;
pub const NULL: i32 = 316;
pub const CLOSED: i32 = 399;
/// What a program opens gets numbers from here on down to 3; everything above is ours.
const MINE: i32 = 300;

/// Memory, far from everything else.
const MEMORY: u64 = 0x3000_0000_0000;
pub const BUFFER: u64 = MEMORY;
/// Names, vectors and times, as [`World::renew`] writes them.
pub const NAME: u64 = MEMORY + 0x4000;
pub const NEW_NAME: u64 = MEMORY + 0x4100;
pub const VECTOR: u64 = MEMORY + 0x4200;
pub const TIME: u64 = MEMORY + 0x4300;
pub const HOW: u64 = MEMORY + 0x4400;
pub const ADDRESS: u64 = MEMORY + 0x4500;
pub const MESSAGE: u64 = MEMORY + 0x4600;
pub const EVENTS: u64 = MEMORY + 0x4700;
pub const FILES: u64 = MEMORY + 0x4800;
pub const ATTRIBUTE: u64 = MEMORY + 0x4900;
pub const FUTEXES: u64 = MEMORY + 0x4a00;
pub const RESULT: u64 = MEMORY + 0x5000;
/// The last four bytes that are mapped before some that are not.
const EDGE: u64 = MEMORY + 0x7ffc;
const LEN: usize = 0x8000;
const NO_ACCESS: u64 = MEMORY + 0x10_0000;
const NO_WRITING: u64 = MEMORY + 0x20_0000;
const NOTHING: u64 = MEMORY + 0x30_0000;

pub struct World {
    folder: PathBuf,
}

impl World {
    pub fn new() -> io::Result<World> {
        let shared = PathBuf::from("/dev/shm");
        let below = if shared.is_dir() { shared } else { std::env::temp_dir() };
        let folder = below.join(format!("sysring-fields-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        std::env::set_current_dir(&folder)?;
        for (at, len, protection) in [
            (MEMORY, LEN, libc::PROT_READ | libc::PROT_WRITE),
            (NO_ACCESS, 0x1000, libc::PROT_NONE),
            (NO_WRITING, 0x1000, libc::PROT_READ),
        ] {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
            // SAFETY: NOREPLACE: nothing that exists is overwritten.
            let got = unsafe { libc::mmap(at as *mut _, len, protection, flags, -1, 0) };
            if got as u64 != at {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(World { folder })
    }

    /// Addresses at which there is nothing, or not enough, or nothing that may be touched.
    pub fn bad_addresses(&self) -> Vec<u64> {
        vec![
            0,
            0xdead_0000,
            NOTHING,
            NO_ACCESS,
            NO_WRITING,
            EDGE,
            0x7fff_ffff_f000,
            0x8000_0000_0000,
            0xffff_8000_0000_0000,
            i64::MIN as u64,
            u64::MAX,
        ]
    }

    /// Every kind of descriptor.
    pub fn descriptors(&self) -> Vec<u64> {
        let all = [
            FILE, PIPE_READ, PIPE_WRITE, SOCKET, FOLDER, EPOLL, LISTENER, FRESH, PATH_ONLY,
            READ_ONLY, EVENT,
        ];
        all.iter().map(|&fd| fd as u64).collect()
    }

    /// Makes everything as it is at the start of a case.
    pub fn renew(&self) {
        close_from(3, MINE - 1);
        close_from(MINE, CLOSED);
        for name in ["file", "new", "link"] {
            let _ = fs::remove_file(name);
            let _ = fs::remove_dir(name);
        }
        fs::write("file", [7; 8192]).expect("a scratch file");
        // Numbers that wrong values name, too: free, they would be those of whatever either side
        // opens for a moment.
        for _ in [3, 4] {
            // SAFETY: the name is a C string.
            unsafe { libc::open(c"file".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
        }
        place(c"file", libc::O_RDWR, FILE);
        place(c"file", libc::O_RDONLY, READ_ONLY);
        place(c"file", libc::O_PATH, PATH_ONLY);
        place(c"/dev/null", libc::O_RDWR, NULL);
        place(c".", libc::O_RDONLY | libc::O_DIRECTORY, FOLDER);
        pipe(PIPE_READ, PIPE_WRITE);
        pipe(OTHER_READ, OTHER_WRITE);
        pair(SOCKET, PEER);
        tcp_pair(TCP, TCP_PEER).expect("a connection to ourselves");
        // SAFETY: numbers, and constants of the lengths given.
        unsafe {
            move_to(libc::epoll_create1(0), EPOLL);
            move_to(libc::eventfd(5, 0), EVENT);
            move_to(libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0), FRESH);
            move_to(libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0), LISTENER);
            libc::listen(LISTENER, 4);
            libc::write(PIPE_WRITE, c"0123456789".as_ptr().cast(), 10);
            libc::write(PEER, c"0123456789".as_ptr().cast(), 10);
        }
        self.fill();
    }

    fn fill(&self) {
        // SAFETY: mapped by `new`, used by nobody else while no request is out.
        let all = unsafe { std::slice::from_raw_parts_mut(MEMORY as *mut u8, LEN) };
        all.fill(0);
        let mut put = |at: u64, bytes: &[u8]| {
            let at = (at - MEMORY) as usize;
            all[at..at + bytes.len()].copy_from_slice(bytes);
        };
        let words = |words: &[u64]| words.iter().flat_map(|w| w.to_ne_bytes()).collect::<Vec<_>>();
        put(NAME, b"file\0");
        put(NEW_NAME, b"new\0");
        put(VECTOR, &words(&[BUFFER, 8, BUFFER + 64, 8]));
        put(TIME, &words(&[0, 1_000_000]));
        put(HOW, &words(&[libc::O_RDONLY as u64, 0, 0]));
        put(ADDRESS, &(libc::AF_UNIX as u16).to_ne_bytes());
        put(MESSAGE, &words(&[0, 0, VECTOR, 1, 0, 0, 0]));
        put(EVENTS, &words(&[u64::from(libc::EPOLLIN as u32), 7]));
        put(FILES, &FILE.to_ne_bytes());
        put(FUTEXES, &words(&[0, RESULT, 2, 0, RESULT + 4, 2]));
        put(ATTRIBUTE, b"user.x\0");
    }

    /// A registered buffer and a registered file, for the operations that want them.
    pub fn register(&self, ring: &Ring<'_>) {
        let buffers = [BUFFER, 0x1000];
        ring.register(register::BUFFERS, buffers.as_ptr() as u64, 1);
        let files = [FILE, -1, -1, -1];
        ring.register(register::FILES, files.as_ptr() as u64, 4);
    }

    /// A result in which numbers that may differ by chance are replaced.
    pub fn normal(&self, sqe: &Sqe, res: i32) -> String {
        let opens = matches!(
            sqe.opcode,
            op::OPENAT | op::OPENAT2 | op::ACCEPT | op::SOCKET | op::FIXED_FD_INSTALL
        );
        if opens && res >= 3 { "a descriptor".to_owned() } else { res.to_string() }
    }

    pub fn close_opened(&self, sqe: &Sqe, res: i32) {
        if self.normal(sqe, res) == "a descriptor" {
            // SAFETY: takes a number; it was just opened by the request.
            unsafe { libc::close(res) };
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn close_from(first: i32, last: i32) {
    // SAFETY: takes numbers; nothing of this process but the cases' files lies there.
    unsafe { libc::close_range(first as u32, last as u32, 0) };
}

fn move_to(from: i32, to: i32) {
    assert!(from >= 0, "no descriptor: {}", io::Error::last_os_error());
    // SAFETY: takes numbers; `from` is the caller's, made for this.
    unsafe {
        libc::dup3(from, to, libc::O_CLOEXEC);
        libc::close(from);
    }
}

fn place(name: &std::ffi::CStr, flags: i32, to: i32) {
    // SAFETY: the name is a C string.
    move_to(unsafe { libc::open(name.as_ptr(), flags) }, to);
}

fn pipe(reader: i32, writer: i32) {
    let mut ends = [0; 2];
    // SAFETY: room for two.
    unsafe { libc::pipe(ends.as_mut_ptr()) };
    move_to(ends[0], reader);
    move_to(ends[1], writer);
}

/// A connection through the loopback device, which is not remembered when it is closed.
fn tcp_pair(left: i32, right: i32) -> io::Result<()> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let near = std::net::TcpStream::connect(listener.local_addr()?)?;
    let (far, _) = listener.accept()?;
    for (end, to) in [(near, left), (far, right)] {
        let off = libc::linger { l_onoff: 1, l_linger: 0 };
        let len = size_of_val(&off) as u32;
        // SAFETY: the value is of the length given.
        unsafe {
            libc::setsockopt(
                end.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_LINGER,
                (&raw const off).cast(),
                len,
            )
        };
        move_to(end.into_raw_fd(), to);
    }
    Ok(())
}

fn pair(left: i32, right: i32) {
    let mut ends = [0; 2];
    // SAFETY: room for two.
    unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_STREAM, 0, ends.as_mut_ptr()) };
    move_to(ends[0], left);
    move_to(ends[1], right);
}
