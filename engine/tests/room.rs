//! Waiting for room in the queue of a ring that has a thread.

mod client;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use client::{Client, sqe};
use sysring_engine::Caller;
use sysring_sys::abi::io_uring::{enter, op, setup, sq_flags};
use sysring_sys::{Fd, User};

/// A ring whose queue is full, and whose thread sleeps.
fn full() -> Client {
    let mut ring = Client::new(4, setup::SQPOLL);
    while ring.sq_flags() & sq_flags::NEED_WAKEUP == 0 {
        thread::sleep(Duration::from_millis(1));
    }
    for i in 0..4 {
        ring.push(sqe(op::NOP, -1, i));
    }
    ring
}

/// So many threads that wait for room; each tells its answer.
fn waiting(ring: Fd, count: usize) -> mpsc::Receiver<bool> {
    let (done, answers) = mpsc::channel();
    for _ in 0..count {
        let done = done.clone();
        thread::spawn(move || {
            let (fd, flags) = (ring.raw() as u32, enter::SQ_WAIT);
            let answer = sysring_engine::enter(fd, 0, 0, flags, User::NULL, 8, &Caller::default());
            done.send(answer == Ok(0)).unwrap();
        });
    }
    assert!(answers.recv_timeout(Duration::from_millis(100)).is_err(), "there is no room");
    answers
}

fn all_come_back(answers: &mpsc::Receiver<bool>, count: usize) {
    for i in 0..count {
        let answer = answers.recv_timeout(Duration::from_secs(20));
        assert_eq!(answer, Ok(true), "{i} of {count} came back");
    }
}

#[test]
fn all_who_wait_for_room_are_told_of_it() {
    let mut ring = full();
    let answers = waiting(ring.fd, 3);
    ring.publish();
    all_come_back(&answers, 3);
}
