//! `IORING_SQ_TASKRUN`: some come in when they see it, some do not wait while they do.

mod client;

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

use client::{Client, sqe};
use sysring_sys::abi::io_uring::{Sqe, enter, op, setup, sq_flags};

const POLLIN: u32 = 1;

const KINDS: [u32; 5] = [
    0,
    setup::COOP_TASKRUN,
    setup::COOP_TASKRUN | setup::TASKRUN_FLAG,
    setup::SINGLE_ISSUER | setup::DEFER_TASKRUN,
    setup::SINGLE_ISSUER | setup::DEFER_TASKRUN | setup::TASKRUN_FLAG,
];

fn poll(pipe: &io::PipeReader, user_data: u64) -> Sqe {
    Sqe { op_flags: POLLIN, ..sqe(op::POLL_ADD, pipe.as_raw_fd(), user_data) }
}

fn called(ring: &Client) -> bool {
    ring.sq_flags() & sq_flags::TASKRUN != 0
}

/// compio's way: what the flag tells of is fetched, and not waited for.
#[test]
fn who_does_not_wait_while_it_is_set_does_not_spin() {
    for flags in KINDS {
        let mut ring = Client::new(8, flags);
        let (mut from, to) = io::pipe().expect("a pipe");
        let (never, _open) = io::pipe().expect("a pipe");
        ring.push(poll(&never, 0));
        assert_eq!(ring.enter(1, 0), Ok(1));
        let mut calls = 0;
        for round in 1..=5 {
            ring.push(poll(&from, round));
            let mut to = to.try_clone().expect("a descriptor");
            let late = thread::spawn(move || {
                thread::sleep(Duration::from_millis(30));
                to.write_all(b"x").expect("write");
            });
            let mut submit = 1;
            loop {
                calls += 1;
                let wanted = u32::from(!called(&ring));
                ring.enter_with(submit, wanted, enter::GETEVENTS).expect("enter");
                submit = 0;
                if let Some(seen) = ring.reap().first() {
                    assert_eq!(seen.user_data, round);
                    break;
                }
            }
            late.join().expect("written");
            from.read_exact(&mut [0]).expect("what was written");
        }
        assert!(calls <= 200, "setup flags {flags:#x}: {calls} calls for 5 completions");
    }
}

/// liburing's way: who looks for a completion in vain enters if the flag is set.
#[test]
fn who_has_waited_may_go_on_without() {
    for flags in KINDS {
        if flags & setup::DEFER_TASKRUN != 0 && flags & setup::TASKRUN_FLAG == 0 {
            continue; // Nothing comes unasked there.
        }
        let mut ring = Client::new(8, flags);
        let (from, mut to) = io::pipe().expect("a pipe");
        let (later, mut to_later) = io::pipe().expect("a pipe");
        to.write_all(b"x").expect("write");
        ring.push(poll(&from, 1));
        ring.push(poll(&later, 2));
        assert_eq!(ring.enter_with(2, 1, enter::GETEVENTS), Ok(2));
        assert_eq!(ring.reap().first().map(|c| c.user_data), Some(1));
        to_later.write_all(b"x").expect("write");
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            if called(&ring) {
                ring.enter_with(0, 0, enter::GETEVENTS).expect("enter");
            }
            if let Some(seen) = ring.reap().first() {
                assert_eq!(seen.user_data, 2);
                break;
            }
            assert!(Instant::now() < end, "setup flags {flags:#x}: nothing comes");
        }
    }
}
