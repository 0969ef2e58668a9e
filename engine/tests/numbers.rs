//! Numbers that have got another file since they were last used. The counters are the process's, so
//! there is one test.

mod client;

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

use client::{Client, sqe};
use sysring_engine::stats;
use sysring_sys::abi::io_uring::{Sqe, op, sqe_flags};

const LEN: usize = 16;

fn read(file: &File, to: &mut [u8; LEN], off: u64) -> Sqe {
    Sqe { addr: to.as_mut_ptr() as u64, len: LEN as u32, off, ..sqe(op::READ, file.as_raw_fd(), 1) }
}

/// Has the number of `to` be another file's.
fn give_number(file: &impl AsRawFd, to: &File) {
    // SAFETY: both are open; whoever has `to` uses it for no memory.
    assert!(unsafe { libc::dup2(file.as_raw_fd(), to.as_raw_fd()) } >= 0);
}

fn by_workers() -> u64 {
    stats::get().worker.load(Relaxed)
}

/// A file with something in it, read once, whose number the ring then knows.
fn known(ring: &mut Client, folder: &Path) -> File {
    let path = folder.join(format!("sysring-number-{}", std::process::id()));
    let mut options = File::options();
    let mut file = options.read(true).write(true).create(true).truncate(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    file.write_all(&[7; LEN]).unwrap();
    let mut to = [0; LEN];
    ring.push(read(&file, &mut to, 0));
    assert_eq!(ring.enter(1, 1), Ok(1));
    assert_eq!((ring.reap()[0].res, to), (LEN as i32, [7; LEN]));
    file
}

#[test]
fn what_may_wait_does_so_elsewhere() {
    let mut ring = Client::new(8, 0);
    // A device that takes an offset, and cannot be asked not to wait. (This one does not.)
    let device = File::open("/dev/full").unwrap();
    // Of files in memory it is known that they cannot be asked, of others that they can.
    for folder in [Path::new("/dev/shm"), &std::env::temp_dir()] {
        let file = known(&mut ring, folder);
        give_number(&device, &file);
        let (before, mut to) = (by_workers(), [1; LEN]);
        ring.push(read(&file, &mut to, 0));
        assert_eq!(ring.enter(1, 1), Ok(1));
        assert_eq!((ring.reap()[0].res, to), (LEN as i32, [0; LEN]));
        assert_eq!(by_workers(), before + 1, "after a file in {}", folder.display());
    }
    // Who asks for a worker gets none to wait for a stream.
    let file = known(&mut ring, &std::env::temp_dir());
    let (reader, mut writer) = std::io::pipe().unwrap();
    give_number(&reader, &file);
    let (before, mut to) = (by_workers(), [1; LEN]);
    ring.push(Sqe { flags: sqe_flags::ASYNC, ..read(&file, &mut to, u64::MAX) });
    assert_eq!(ring.enter(1, 0), Ok(1));
    writer.write_all(&[9; LEN]).unwrap();
    assert_eq!(ring.enter(0, 1), Ok(0));
    assert_eq!((ring.reap()[0].res, to), (LEN as i32, [9; LEN]));
    assert_eq!(by_workers(), before, "a worker has waited");
}
