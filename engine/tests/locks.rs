//! Record locks of the process outlive what the engine does with its own descriptors of the file.

mod client;

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use client::{Client, sqe};
use sysring_sys::abi::io_uring::{FILE_INDEX_ALLOC, Sqe, op, register, sqe_flags};
use sysring_sys::{Errno, Fd, User, call};

/// They count the descriptors of the process, of which there is one set.
static TURN: Mutex<()> = Mutex::new(());

/// A file with a record lock on it.
struct Locked(File, std::path::PathBuf);

impl Locked {
    fn new(name: &str) -> Locked {
        let path = std::env::temp_dir().join(format!("sysring-{name}-{}", std::process::id()));
        let file = File::options().create(true).truncate(true).read(true).write(true).open(&path);
        let file = Locked(file.unwrap(), path);
        fs::write(format!("/proc/self/fd/{}", file.0.as_raw_fd()), [7; 512]).unwrap();
        file.set(libc::F_WRLCK);
        assert!(file.is_locked());
        file
    }

    fn set(&self, kind: i32) {
        // SAFETY: a structure of numbers.
        let mut lock: libc::flock = unsafe { std::mem::zeroed() };
        lock.l_type = kind as i16;
        // SAFETY: the kernel reads a `struct flock`.
        assert_eq!(unsafe { libc::fcntl(self.0.as_raw_fd(), libc::F_SETLK, &raw const lock) }, 0);
    }

    fn is_locked(&self) -> bool {
        call::has_record_locks(Fd::new(self.0.as_raw_fd())) == Ok(true)
    }

    /// How many descriptors lead to it.
    fn descriptors(&self) -> usize {
        let all = fs::read_dir("/proc/self/fd").unwrap().flatten();
        all.filter(|fd| fs::read_link(fd.path()).is_ok_and(|path| path == self.1)).count()
    }

    /// Waits until none but its own does: who takes the ring apart may be the worker, which had it last.
    fn is_alone(&self) -> bool {
        let start = Instant::now();
        while self.descriptors() != 1 && start.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.descriptors() == 1
    }

    /// A read that a worker does.
    fn read(&self, to: &mut [u8; 64]) -> Sqe {
        Sqe {
            addr: to.as_mut_ptr() as u64,
            len: 64,
            flags: sqe_flags::ASYNC,
            ..sqe(op::READ, self.0.as_raw_fd(), 1)
        }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.1);
    }
}

fn one(ring: &mut Client, entry: Sqe) -> i32 {
    ring.push(entry);
    assert_eq!(ring.enter(1, 1), Ok(1));
    ring.reap()[0].res
}

fn can_tell_files_apart(file: &File) -> bool {
    let fd = Fd::new(file.as_raw_fd());
    let can = call::same_file(fd, fd) == Ok(true);
    if !can {
        println!(
            "skipped: in part: nobody tells here whether two descriptors lead to the same file"
        );
    }
    can
}

#[test]
fn a_worker_costs_no_lock_and_no_descriptors() {
    let _turn = TURN.lock();
    let file = Locked::new("worker");
    let mut ring = Client::new(8, 0);
    let mut to = [0; 64];
    for _ in 0..200 {
        let read = file.read(&mut to);
        assert_eq!(one(&mut ring, read), 64);
        assert!(file.is_locked());
    }
    if can_tell_files_apart(&file.0) {
        assert_eq!(file.descriptors(), 2, "one is kept, and used each time");
    }
    file.set(libc::F_UNLCK);
    drop(ring);
    assert!(file.is_alone());
}

#[test]
fn neither_does_a_slot_of_the_table() {
    let _turn = TURN.lock();
    let file = Locked::new("slot");
    let mut ring = Client::new(8, 0);
    let fds = [file.0.as_raw_fd(), -1];
    let register = |ring: &Client, opcode, arg: *const i32, count| {
        sysring_engine::register(ring.fd.raw() as u32, opcode, User::<u8>::new(arg as u64), count)
    };
    for _ in 0..100 {
        assert_eq!(register(&ring, register::FILES, fds.as_ptr(), 2), Ok(0));
        assert_eq!(register(&ring, register::UNREGISTER_FILES, std::ptr::null(), 0), Ok(0));
        assert!(file.is_locked());
    }
    // Another open file of the same inode, which never gets a number of the application's.
    assert_eq!(register(&ring, register::FILES, fds.as_ptr(), 2), Ok(0));
    let path = std::ffi::CString::new(file.1.to_str().unwrap()).unwrap();
    let open = Sqe {
        addr: path.as_ptr() as u64,
        file_index: FILE_INDEX_ALLOC,
        ..sqe(op::OPENAT, libc::AT_FDCWD, 2)
    };
    assert_eq!(one(&mut ring, open), 1);
    assert!(file.is_locked());
    assert_eq!(one(&mut ring, open), Errno::ENFILE.to_res());
    assert!(file.is_locked());
    let close = Sqe { file_index: 2, ..sqe(op::CLOSE, 0, 3) };
    assert_eq!(one(&mut ring, close), 0);
    assert!(file.is_locked());
    file.set(libc::F_UNLCK);
    drop(ring);
    assert!(file.is_alone());
}
