//! Reads of what is not in the page cache. The counters are the process's, so there is one test.

mod client;

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

use client::{Client, sqe};
use sysring_engine::stats;
use sysring_sys::abi::io_uring::{Sqe, op};

const PAGE: usize = 4096;

fn file() -> File {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("not cached any more");
    let mut options = File::options();
    let mut file = options.read(true).write(true).create(true).truncate(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    file.write_all(&[7; 256 * PAGE]).unwrap();
    file
}

fn at(opcode: u8, file: &File, page: *const u8, number: usize) -> Sqe {
    let (len, off) = (PAGE as u32, (number * PAGE) as u64);
    Sqe { addr: page as u64, len, off, ..sqe(opcode, file.as_raw_fd(), 1) }
}

/// Reads a page from the disk, perhaps after one has been written elsewhere, by a ring that knows nothing
/// of the file yet; whether a worker has waited for it.
fn waits_elsewhere(written: bool) -> bool {
    let (file, mut ring) = (file(), Client::new(8, 0));
    let mut page = [7u8; PAGE];
    if written {
        ring.push(at(op::WRITE, &file, page.as_ptr(), 0));
        assert_eq!(ring.enter(1, 1), Ok(1));
        assert_eq!(ring.reap()[0].res, PAGE as i32);
    }
    let before = stats::get().worker.load(Relaxed);
    file.sync_all().unwrap();
    // SAFETY: takes numbers.
    unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
    page.fill(0);
    ring.push(at(op::READ, &file, page.as_mut_ptr(), 200));
    assert_eq!(ring.enter(1, 1), Ok(1));
    assert_eq!((ring.reap()[0].res, page), (PAGE as i32, [7; PAGE]));
    stats::get().worker.load(Relaxed) != before
}

/// Many file systems can be asked not to wait for what is read, and not for what is written: what was
/// learned of the one must not have the other wait for the disk where it is submitted.
#[test]
fn what_was_written_may_be_read_without_waiting() {
    let often = |written| (0..20).any(|_| waits_elsewhere(written));
    if !often(false) {
        return eprintln!("skipped: what is read is at hand at once on this file system");
    }
    assert!(often(true), "each read has kept its submitter");
}
