//! The engine called directly, without a trap: every stretch of the road once.

mod client;

use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use client::{Client, sqe};
use sysring_sys::abi::io_uring::{enter, op, setup, sqe_flags};

#[test]
fn nops_complete_in_order() {
    let mut ring = Client::new(8, 0);
    for i in 0..8 {
        ring.push(sqe(op::NOP, -1, i));
    }
    assert_eq!(ring.enter(8, 8), Ok(8));
    let seen: Vec<_> = ring.reap().iter().map(|c| (c.user_data, c.res)).collect();
    assert_eq!(seen, (0..8).map(|i| (i, 0)).collect::<Vec<_>>());
}

#[test]
fn a_cached_read_completes_inline() {
    let mut file = tempfile();
    file.write_all(&[7; 8192]).unwrap();
    let mut ring = Client::new(8, 0);
    let mut buffer = [0u8; 4096];
    let mut read = sqe(op::READ, file.as_raw_fd(), 1);
    (read.addr, read.len, read.off) = (buffer.as_mut_ptr() as u64, 4096, 4096);
    ring.push(read);
    assert_eq!(ring.enter(1, 0), Ok(1));
    assert_eq!(ring.reap()[0].res, 4096);
    assert_eq!(buffer, [7; 4096]);
}

#[test]
fn a_receive_parks_until_data_comes() {
    let (mut near, far) = UnixStream::pair().unwrap();
    let mut ring = Client::new(8, 0);
    let mut buffer = [0u8; 16];
    let mut recv = sqe(op::RECV, far.as_raw_fd(), 1);
    (recv.addr, recv.len) = (buffer.as_mut_ptr() as u64, 16);
    ring.push(recv);
    assert_eq!(ring.enter(1, 0), Ok(1));
    assert!(ring.reap().is_empty());
    near.write_all(b"hello").unwrap();
    assert_eq!(ring.enter(0, 1), Ok(0));
    assert_eq!(ring.reap()[0].res, 5);
    assert_eq!(&buffer[..5], b"hello");
}

#[test]
fn completions_come_without_enter() {
    let (mut near, far) = UnixStream::pair().unwrap();
    let mut ring = Client::new(8, 0);
    let mut buffer = [0u8; 16];
    let mut recv = sqe(op::RECV, far.as_raw_fd(), 1);
    (recv.addr, recv.len) = (buffer.as_mut_ptr() as u64, 16);
    ring.push(recv);
    assert_eq!(ring.enter(1, 0), Ok(1));
    near.write_all(b"x").unwrap();
    let start = Instant::now();
    loop {
        if let [cqe] = ring.reap()[..] {
            assert_eq!(cqe.res, 1);
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(5), "nothing came");
        std::thread::yield_now();
    }
}

#[test]
fn a_timeout_goes_off() {
    let mut ring = Client::new(8, 0);
    let time = [0i64, 20_000_000];
    let mut timeout = sqe(op::TIMEOUT, -1, 1);
    (timeout.addr, timeout.len) = (time.as_ptr() as u64, 1);
    let start = Instant::now();
    ring.push(timeout);
    assert_eq!(ring.enter(1, 1), Ok(1));
    assert_eq!(ring.reap()[0].res, -62);
    assert!(start.elapsed() >= Duration::from_millis(20));
}

#[test]
fn a_removed_timeout_is_gone() {
    let mut ring = Client::new(8, 0);
    let time = [0i64, 5_000_000];
    for round in 0..3 {
        let mut timeout = sqe(op::TIMEOUT, -1, 1);
        (timeout.addr, timeout.len) = (time.as_ptr() as u64, 1);
        ring.push(timeout);
        let mut remove = sqe(op::TIMEOUT_REMOVE, -1, 2);
        remove.addr = 1;
        ring.push(remove);
        assert_eq!(ring.enter(2, 2), Ok(2));
        let mut seen: Vec<_> = ring.reap().iter().map(|c| (c.user_data, c.res)).collect();
        seen.sort_unstable();
        assert_eq!(seen, [(1, -125), (2, 0)], "round {round}");
        std::thread::sleep(Duration::from_millis(6));
        assert_eq!(ring.enter_with(0, 0, enter::GETEVENTS), Ok(0));
        assert!(ring.reap().is_empty());
    }
}

#[test]
fn a_worker_syncs_a_file_and_the_link_goes_on() {
    let file = tempfile();
    let mut ring = Client::new(8, 0);
    let data = [1u8; 512];
    let mut write = sqe(op::WRITE, file.as_raw_fd(), 1);
    (write.addr, write.len, write.flags) = (data.as_ptr() as u64, 512, sqe_flags::IO_LINK);
    ring.push(write);
    let mut sync = sqe(op::FSYNC, file.as_raw_fd(), 2);
    sync.flags = sqe_flags::IO_LINK;
    ring.push(sync);
    ring.push(sqe(op::NOP, -1, 3));
    assert_eq!(ring.enter(3, 3), Ok(3));
    let seen: Vec<_> = ring.reap().iter().map(|c| (c.user_data, c.res)).collect();
    assert_eq!(seen, [(1, 512), (2, 0), (3, 0)]);
}

#[test]
fn a_broken_link_cancels_the_rest() {
    let mut ring = Client::new(8, 0);
    let mut bad = sqe(op::READ, -1, 1);
    bad.flags = sqe_flags::IO_LINK;
    ring.push(bad);
    ring.push(sqe(op::NOP, -1, 2));
    assert_eq!(ring.enter(2, 2), Ok(2));
    let seen: Vec<_> = ring.reap().iter().map(|c| (c.user_data, c.res)).collect();
    assert_eq!(seen, [(1, -9), (2, -125)]);
}

#[test]
fn a_linked_timeout_takes_its_request_down() {
    let (_near, far) = UnixStream::pair().unwrap();
    let mut ring = Client::new(8, 0);
    let mut buffer = [0u8; 16];
    let mut recv = sqe(op::RECV, far.as_raw_fd(), 1);
    (recv.addr, recv.len) = (buffer.as_mut_ptr() as u64, 16);
    recv.flags = sqe_flags::IO_LINK;
    ring.push(recv);
    let time = [0i64, 10_000_000];
    let mut timeout = sqe(op::LINK_TIMEOUT, -1, 2);
    (timeout.addr, timeout.len) = (time.as_ptr() as u64, 1);
    ring.push(timeout);
    assert_eq!(ring.enter(2, 2), Ok(2));
    let mut seen: Vec<_> = ring.reap().iter().map(|c| (c.user_data, c.res)).collect();
    seen.sort_unstable();
    assert_eq!(seen, [(1, -125), (2, -62)]);
}

#[test]
fn overflow_keeps_everything() {
    let mut ring = Client::new(4, 0);
    for round in 0..8 {
        for i in 0..4 {
            ring.push(sqe(op::NOP, -1, round * 4 + i));
        }
        assert_eq!(ring.enter(4, 0), Ok(4));
    }
    let mut seen = Vec::new();
    while seen.len() < 32 {
        let more: Vec<_> = ring.reap().iter().map(|c| c.user_data).collect();
        seen.extend(more);
        ring.enter_with(0, 0, enter::GETEVENTS).unwrap();
    }
    assert_eq!(seen, (0..32).collect::<Vec<_>>());
}

#[test]
fn sqpoll_submits_by_itself() {
    let mut ring = Client::new(8, setup::SQPOLL);
    ring.push(sqe(op::NOP, -1, 5));
    ring.publish();
    let start = Instant::now();
    loop {
        if let [cqe] = ring.reap()[..] {
            assert_eq!(cqe.user_data, 5);
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(5), "nothing came");
        std::thread::yield_now();
    }
}

#[test]
fn closed_rings_leave_nothing_behind() {
    let count = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    drop(Client::new(8, 0));
    let before = count();
    for _ in 0..2000 {
        let mut ring = Client::new(8, 0);
        ring.push(sqe(op::NOP, -1, 0));
        ring.enter(1, 1).unwrap();
    }
    // Other tests run beside this one; two thousand rings would show.
    assert!(count() < before + 200);
}

/// In a build that checks arithmetic, what ends twice is counted below zero.
#[test]
fn a_ring_is_closed_while_a_linked_timeout_waits() {
    let (_near, far) = UnixStream::pair().unwrap();
    let later = [1000i64, 0];
    for flags in [sqe_flags::IO_LINK, sqe_flags::IO_HARDLINK] {
        let mut ring = Client::new(8, 0);
        let mut poll = sqe(op::POLL_ADD, far.as_raw_fd(), 1);
        (poll.flags, poll.op_flags) = (flags, libc::POLLIN as u32);
        ring.push(poll);
        let mut timeout = sqe(op::LINK_TIMEOUT, -1, 2);
        (timeout.addr, timeout.len) = (later.as_ptr() as u64, 1);
        ring.push(timeout);
        assert_eq!(ring.enter(2, 0), Ok(2));
        assert!(ring.reap().is_empty());
    }
}

fn tempfile() -> std::fs::File {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("sysring-road-{}-{n}", std::process::id()));
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path)
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    file
}
