//! What becomes of idle workers when a process has no ring any more. (A process of its own: other
//! tests' rings would keep them.)

mod client;

use std::fs;
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

use client::{Client, sqe, workers};
use sysring_sys::abi::io_uring::op;

/// Has workers do something, closes the ring, and tells how long it took until none was left.
fn round() -> Duration {
    let file = fs::File::open("/proc/self/exe").expect("this program");
    {
        let mut ring = Client::new(4, 0);
        (0..3).for_each(|i| ring.push(sqe(op::FSYNC, file.as_raw_fd(), i)));
        assert_eq!(ring.enter(3, 3), Ok(3));
        assert_ne!(workers(), 0, "they stay for more");
    }
    let closed = Instant::now();
    while workers() != 0 {
        assert!(closed.elapsed() < Duration::from_secs(60), "idle for ever");
        thread::sleep(Duration::from_millis(1));
    }
    closed.elapsed()
}

#[test]
fn idle_workers_end_with_the_last_ring() {
    // By themselves they stay for two seconds; a busy machine may take its time, but not always.
    let quick = (0..10).any(|_| round() < Duration::from_millis(1500));
    assert!(quick, "they did not hear of it");
}
