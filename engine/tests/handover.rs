//! What workers have for others that sleep.

mod client;

use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use client::{Client, sqe};
use sysring_sys::abi::Timespec;
use sysring_sys::abi::io_uring::{Cqe, Sqe, op, setup, sqe_flags};

/// A splice of one byte, which a worker does: it waits until there is one.
fn splice(from: &impl AsRawFd, to: &impl AsRawFd, user_data: u64) -> Sqe {
    let mut splice = sqe(op::SPLICE, to.as_raw_fd(), user_data);
    splice.file_index = from.as_raw_fd() as u32;
    (splice.addr, splice.off, splice.len) = (u64::MAX, u64::MAX, 1);
    splice
}

fn look_for(ring: &mut Client, count: usize) -> Vec<Cqe> {
    let begun = Instant::now();
    let mut seen = Vec::new();
    while seen.len() < count && begun.elapsed() < Duration::from_secs(5) {
        seen.extend(ring.reap());
        std::thread::yield_now();
    }
    seen
}

#[test]
fn a_worker_wakes_the_submission_thread_for_a_timer() {
    use std::io::Write;
    let mut ring = Client::new(8, setup::SQPOLL);
    let (from, mut into) = std::io::pipe().unwrap();
    let (_from, to) = std::io::pipe().unwrap();
    let first = Sqe { flags: sqe_flags::IO_LINK, ..splice(&from, &to, 1) };
    let time = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
    let mut second = sqe(op::TIMEOUT, -1, 2);
    (second.addr, second.len) = (&raw const time as u64, 1);
    ring.push(first);
    ring.push(second);
    ring.publish();
    // Longer than the thread looks for more before it sleeps.
    std::thread::sleep(Duration::from_millis(2500));
    into.write_all(b"x").unwrap();
    let seen = look_for(&mut ring, 2);
    assert_eq!(seen.iter().map(|cqe| cqe.user_data).collect::<Vec<_>>(), [1, 2]);
}
