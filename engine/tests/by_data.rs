//! Requests that are named by their user_data, among few and among many.

mod client;

use std::io::{PipeReader, PipeWriter, Write, pipe};
use std::os::fd::AsRawFd;

use client::{Client, sqe};
use sysring_sys::Errno;
use sysring_sys::abi::io_uring::{Cqe, Sqe, cancel, op, poll};

const IN: u32 = 1;
const LATER: [u64; 2] = [3600, 0];
/// What is under way besides: so little that it is looked through, and so much that it must not be.
const OTHERS: [u64; 4] = [0, 60, 300, 5000];
/// The user_data of these begins here.
const OTHER: u64 = 1 << 32;
/// The user_data of what says something about others.
const SAYS: u64 = 1 << 40;

fn answer(ring: &mut Client, entry: Sqe) -> Vec<Cqe> {
    ring.push(Sqe { user_data: SAYS, ..entry });
    assert_eq!(ring.enter(1, 1), Ok(1));
    ring.reap()
}

fn result(cqes: &[Cqe], user_data: u64) -> Option<i32> {
    let mut meant = cqes.iter().filter(|cqe| cqe.user_data == user_data);
    let first = meant.next().map(|cqe| cqe.res);
    assert!(meant.next().is_none(), "{cqes:?}");
    first
}

/// A ring in which that many timeouts wait.
fn busy(others: u64) -> Client {
    let mut ring = Client::sized(64, 0, 16384);
    for number in 0..others {
        let mut timeout = sqe(op::TIMEOUT, -1, OTHER + number);
        (timeout.addr, timeout.len) = (LATER.as_ptr() as u64, 1);
        ring.push(timeout);
        assert_eq!(ring.enter(1, 0), Ok(1));
    }
    ring
}

fn add_poll(ring: &mut Client, file: &impl AsRawFd, user_data: u64, flags: u32) {
    let mut add = sqe(op::POLL_ADD, file.as_raw_fd(), user_data);
    (add.op_flags, add.len) = (IN, flags);
    ring.push(add);
    assert_eq!(ring.enter(1, 0), Ok(1));
}

fn update(addr: u64, len: u32, off: u64) -> Sqe {
    let op_flags = if len & poll::UPDATE_EVENTS != 0 { IN } else { 0 };
    Sqe { addr, len, off, op_flags, ..sqe(op::POLL_REMOVE, -1, 0) }
}

fn rename(ring: &mut Client, from: u64, to: u64) -> i32 {
    result(&answer(ring, update(from, poll::UPDATE_USER_DATA, to)), SAYS).expect("an answer")
}

#[test]
fn of_polls_with_one_user_data_the_newest_is_meant() {
    for others in OTHERS {
        let mut ring = busy(others);
        let mut pipes: [(PipeReader, PipeWriter); 3] = std::array::from_fn(|_| pipe().unwrap());
        for (reader, _) in &pipes {
            add_poll(&mut ring, reader, 7, 0);
        }
        // From the newest to the oldest; and an update makes a poll the newest.
        for (from, to) in [(7, 102), (7, 101), (7, 100), (100, 7), (102, 7), (101, 7)] {
            assert_eq!(rename(&mut ring, from, to), 0, "{from} to {to} among {others}");
        }
        let events = answer(&mut ring, update(7, poll::UPDATE_EVENTS, 0));
        assert_eq!(result(&events, SAYS), Some(0));
        for (from, to) in [(7, 201), (7, 202), (7, 200)] {
            assert_eq!(rename(&mut ring, from, to), 0, "{from} to {to} among {others}");
        }
        assert_eq!(rename(&mut ring, 7, 8), Errno::ENOENT.to_res());
        for (number, (_, writer)) in pipes.iter_mut().enumerate() {
            writer.write_all(b"x").unwrap();
            assert_eq!(ring.enter(0, 1), Ok(0));
            assert_eq!(result(&ring.reap(), 200 + number as u64), Some(IN as i32));
        }
    }
}

#[test]
fn one_of_many_is_found() {
    for others in OTHERS {
        let mut ring = busy(others);
        let (reader, _writer) = pipe().unwrap();
        for user_data in [1, 2, 1] {
            add_poll(&mut ring, &reader, user_data, 0);
        }
        let cancelled = Errno::ECANCELED.to_res();
        for number in (0..others).step_by(97) {
            let user_data = OTHER + number;
            let opcode = if number % 2 == 0 { op::TIMEOUT_REMOVE } else { op::ASYNC_CANCEL };
            let stop = Sqe { addr: user_data, ..sqe(opcode, -1, 0) };
            let cqes = answer(&mut ring, stop);
            assert_eq!(result(&cqes, SAYS), Some(0), "{number} of {others}");
            assert_eq!(result(&cqes, user_data), Some(cancelled));
            assert_eq!(result(&answer(&mut ring, stop), SAYS), Some(Errno::ENOENT.to_res()));
        }
        let all = Sqe { addr: 1, op_flags: cancel::ALL, ..sqe(op::ASYNC_CANCEL, -1, 0) };
        let cqes = answer(&mut ring, all);
        assert_eq!(result(&cqes, SAYS), Some(2));
        assert_eq!(cqes.iter().filter(|cqe| cqe.user_data == 1).count(), 2);
        let one = Sqe { addr: 2, ..sqe(op::POLL_REMOVE, -1, 0) };
        assert_eq!(result(&answer(&mut ring, one), 2), Some(cancelled));
    }
}

#[test]
fn what_an_update_says_of_how_often_counts_for_nothing() {
    for (was, says) in [(0, poll::ADD_MULTI), (poll::ADD_MULTI, 0)] {
        let mut ring = busy(0);
        let (reader, mut writer) = pipe().unwrap();
        add_poll(&mut ring, &reader, 1, was);
        let events = answer(&mut ring, update(1, poll::UPDATE_EVENTS | says, 0));
        assert_eq!(result(&events, SAYS), Some(0));
        writer.write_all(b"x").unwrap();
        assert_eq!(ring.enter(0, 1), Ok(0));
        assert_eq!(result(&ring.reap(), 1), Some(IN as i32));
        let left = Sqe { addr: 1, ..sqe(op::POLL_REMOVE, -1, 0) };
        let expected = if was == 0 { Errno::ENOENT.to_res() } else { 0 };
        assert_eq!(result(&answer(&mut ring, left), SAYS), Some(expected));
    }
}
