//! Files opened with O_DIRECT go by kernel AIO, not by workers. The counters are the process's, so
//! there is one test.

mod client;

use std::fs::OpenOptions;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

use client::{Client, sqe};
use sysring_engine::stats;
use sysring_sys::Errno;
use sysring_sys::abi::io_uring::{Sqe, op, sqe_flags};
use sysring_sys::raw::general::O_DIRECT;

#[repr(align(4096))]
struct Block([u8; 4096]);

#[test]
fn direct_io_goes_through_kernel_aio() {
    round_trip_in(&std::env::temp_dir());
    // Its files know O_DIRECT, since Linux 6.6, and cannot be asked not to wait.
    round_trip_in(Path::new("/dev/shm"));
}

fn round_trip_in(folder: &Path) {
    let path = folder.join(format!("sysring-direct-{}", std::process::id()));
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true).custom_flags(O_DIRECT as i32);
    let mut file = match options.open(&path) {
        Ok(file) => file,
        Err(e) => return eprintln!("skipped: no O_DIRECT in {}: {e}", folder.display()),
    };
    std::fs::remove_file(&path).unwrap();

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
