//! Files opened with O_DIRECT go by kernel AIO, not by workers.

mod client;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::Ordering::Relaxed;

use client::{Client, sqe};
use sysring_engine::stats;
use sysring_sys::Errno;
use sysring_sys::abi::io_uring::{Sqe, op, sqe_flags};
use sysring_sys::raw::general::O_DIRECT;

/// The counters are the process's: one test at a time.
static TURN: Mutex<()> = Mutex::new(());

#[repr(align(4096))]
struct Block([u8; 4096]);

/// A new file without a name, past the page cache.
fn open(folder: &Path, name: &str) -> io::Result<File> {
    let path = folder.join(format!("sysring-{name}-{}", std::process::id()));
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true).custom_flags(O_DIRECT as i32);
    let file = options.open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[test]
fn direct_io_goes_through_kernel_aio() {
    let _turn = TURN.lock();
    round_trip_in(&std::env::temp_dir());
    // Its files know O_DIRECT, since Linux 6.6, and cannot be asked not to wait.
    round_trip_in(Path::new("/dev/shm"));
}

fn round_trip_in(folder: &Path) {
    let mut file = match open(folder, "direct") {
        Ok(file) => file,
        Err(e) => return eprintln!("skipped: no O_DIRECT in {}: {e}", folder.display()),
    };

    // The blocks are there: what has to be found a place first may have to wait, and a worker does.
    file.write_all(&Block([1; 4096]).0).unwrap();

    let before = [stats::get().aio.load(Relaxed), stats::get().worker.load(Relaxed)];
    let (data, mut back) = (Block([9; 4096]), Block([0; 4096]));
    let mut ring = Client::new(8, 0);
    let mut write = sqe(op::WRITE, file.as_raw_fd(), 1);
    (write.addr, write.len) = (data.0.as_ptr() as u64, 4096);
    write.flags = sqe_flags::IO_LINK;
    ring.push(write);
    let mut read = sqe(op::READ, file.as_raw_fd(), 2);
    (read.addr, read.len) = (back.0.as_mut_ptr() as u64, 4096);
    ring.push(read);
    assert_eq!(ring.enter(2, 2), Ok(2));

    assert!(ring.reap().iter().all(|c| c.res == 4096));
    assert_eq!(back.0, [9; 4096]);
    let after = [stats::get().aio.load(Relaxed), stats::get().worker.load(Relaxed)];
    assert_eq!(after, [before[0] + 2, before[1]], "by AIO, by workers; in {}", folder.display());

    // A vector without entries, and the same with a flag that there is not.
    let nothing = sqe(op::READV, file.as_raw_fd(), 3);
    ring.push(nothing);
    ring.push(Sqe { op_flags: 1 << 29, user_data: 4, ..nothing });
    assert_eq!(ring.enter(2, 2), Ok(2));
    let mut seen: Vec<_> = ring.reap().iter().map(|c| (c.user_data, c.res)).collect();
    seen.sort_unstable();
    assert_eq!(seen, [(3, 0), (4, Errno::EOPNOTSUPP.to_res())]);
}

/// To find a place for new blocks may take waiting: AIO says so at once, and a worker makes the write.
#[test]
fn a_write_that_has_to_wait_goes_to_the_file_it_was_given() {
    let _turn = TURN.lock();
    let folder = std::env::temp_dir();
    let (file, other) = match (open(&folder, "meant"), open(&folder, "not-meant")) {
        (Ok(file), Ok(other)) => (file, other),
        (Err(e), _) | (_, Err(e)) => return eprintln!("skipped: no O_DIRECT: {e}"),
    };
    let kept = file.try_clone().unwrap();

    let data = Block([9; 4096]);
    let mut ring = Client::new(8, 0);
    let mut write = sqe(op::WRITE, file.as_raw_fd(), 1);
    (write.addr, write.len) = (data.0.as_ptr() as u64, 4096);
    ring.push(write);
    assert_eq!(ring.enter(1, 0), Ok(1));
    // SAFETY: both descriptors are ours; the number gets another file while the write is under way.
    assert_ne!(unsafe { libc::dup2(other.as_raw_fd(), file.as_raw_fd()) }, -1);
    assert_eq!(ring.enter(0, 1), Ok(0));

    assert_eq!(ring.reap()[0].res, 4096);
    assert_eq!(other.metadata().unwrap().len(), 0, "written to the file that has the number now");
    assert_eq!(kept.metadata().unwrap().len(), 4096);
}
