//! What the flags of `io_uring_setup` make of a ring.

mod client;

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use client::{Client, sqe};
use sysring_engine::iopoll;
use sysring_sys::Fd;
use sysring_sys::abi::io_uring::{enter, op, setup};

const BLOCK: usize = 4096;
const O_DIRECT: i32 = sysring_sys::raw::general::O_DIRECT as i32;

#[repr(align(4096))]
struct Block([u8; BLOCK]);

/// A file of four blocks opened twice: cached, and past the cache.
fn direct_file(name: &str) -> (File, File) {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut cached = File::create(&path).expect("a file");
    cached.write_all(&[7; 4 * BLOCK]).expect("write");
    cached.sync_all().expect("sync");
    let mut open = OpenOptions::new();
    let direct = open.read(true).write(true).custom_flags(O_DIRECT).open(&path).expect("O_DIRECT");
    let cached = File::open(&path).expect("the file again");
    std::fs::remove_file(&path).expect("remove");
    (cached, direct)
}

#[test]
fn a_polled_ring_refuses_what_cannot_be_polled() {
    let (cached, _) = direct_file("refused");
    let mut ring = Client::new(8, setup::IOPOLL);
    let mut block = Block([0; BLOCK]);
    let mut read = sqe(op::READ, cached.as_raw_fd(), 1);
    (read.addr, read.len) = (block.0.as_mut_ptr() as u64, BLOCK as u32);
    ring.push(read);
    ring.push(sqe(op::NOP, -1, 2));
    ring.push(sqe(op::FSYNC, cached.as_raw_fd(), 3));
    assert_eq!(ring.enter(3, 0), Ok(3));
    let seen: Vec<_> = ring.reap().iter().map(|c| (c.user_data, c.res)).collect();
    assert_eq!(seen, [(1, -95), (2, 0), (3, -22)]);
}

#[test]
fn polled_reads_come_to_who_enters() {
    let (_, direct) = direct_file("polled");
    if !iopoll::can_poll(Fd::new(direct.as_raw_fd())) {
        eprintln!("skipped: the file system of the build directory cannot be polled");
        return;
    }
    let mut ring = Client::new(8, setup::IOPOLL | setup::HYBRID_IOPOLL);
    let mut blocks = [const { Block([0; BLOCK]) }; 4];
    for (i, block) in blocks.iter_mut().enumerate() {
        let mut read = sqe(op::READ, direct.as_raw_fd(), i as u64);
        (read.addr, read.len) = (block.0.as_mut_ptr() as u64, BLOCK as u32);
        read.off = (i * BLOCK) as u64;
        ring.push(read);
    }
    assert_eq!(ring.enter(4, 0), Ok(4));
    let mut seen = Vec::new();
    while seen.len() < 4 {
        // As the kernel: it may come back with fewer than were asked for.
        assert_eq!(ring.enter(0, 4), Ok(0));
        seen.extend(ring.reap());
    }
    assert!(seen.iter().all(|cqe| cqe.res == BLOCK as i32));
    assert!(blocks.iter().all(|block| block.0 == [7; BLOCK]));
    // Nothing is under way: there is nothing to wait for.
    assert_eq!(ring.enter_with(0, 1, enter::GETEVENTS), Ok(0));
}

#[test]
fn hybrid_polling_is_a_kind_of_polling() {
    assert_eq!(Client::refused(8, setup::HYBRID_IOPOLL), Some(sysring_sys::Errno::EINVAL));
}
