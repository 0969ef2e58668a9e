//! Threads that wait on one ring at the same time.

mod client;

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use client::{Client, sqe};
use sysring_engine::Caller;
use sysring_sys::User;
use sysring_sys::abi::io_uring::{enter, op};

/// Waits for `count` completions, from any thread.
fn wait_for(fd: u32, count: u32) {
    let waited =
        sysring_engine::enter(fd, 0, count, enter::GETEVENTS, User::NULL, 8, &Caller::default());
    assert_eq!(waited, Ok(0));
}

/// One bell wakes one sleeper, and it is not said which.
#[test]
fn each_of_two_waiters_gets_what_it_waits_for() {
    for round in 0..50 {
        let mut ring = Client::new(8, 0);
        let fd = ring.fd.raw() as u32;
        let done = AtomicUsize::new(0);
        std::thread::scope(|threads| {
            let one = || {
                wait_for(fd, 1);
                done.fetch_add(1, SeqCst);
            };
            let many = || wait_for(fd, 3);
            // The bell is the latest sleeper's, as epoll goes; either way round must do.
            let first = if round % 2 == 0 { threads.spawn(one) } else { threads.spawn(many) };
            std::thread::sleep(Duration::from_millis(1));
            let second = if round % 2 == 0 { threads.spawn(many) } else { threads.spawn(one) };
            std::thread::sleep(Duration::from_millis(1));
            ring.push(sqe(op::NOP, -1, 1));
            ring.enter(1, 0).unwrap();
            let begun = Instant::now();
            while done.load(SeqCst) == 0 && begun.elapsed() < Duration::from_secs(5) {
                std::thread::sleep(Duration::from_micros(50));
            }
            let in_time = done.load(SeqCst);
            for i in 2..=3 {
                ring.push(sqe(op::NOP, -1, i));
                ring.enter(1, 0).unwrap();
            }
            first.join().unwrap();
            second.join().unwrap();
            assert_eq!(in_time, 1, "round {round}: who waited for one was not woken");
        });
    }
}
