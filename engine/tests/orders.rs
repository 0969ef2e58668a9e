//! What children of `fork` ask of the process that they have a ring from, on the engine called directly.

mod client;

use std::io::{PipeReader, Read, Write};
use std::os::fd::AsRawFd;
use std::time::Duration;

use client::{Client, sqe};
use sysring_sys::Errno;
use sysring_sys::abi::io_uring::{Cqe, Sqe, enter, op};

/// A child that has the ring, and does this with it.
fn child(ring: &mut Client, work: impl FnOnce(&mut Client)) -> i32 {
    // SAFETY: the child makes system calls alone: this test, which is the only one here, has no
    // other threads that could hold a lock.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid == 0 {
        work(ring);
        // SAFETY: ends the child where it is.
        unsafe { libc::_exit(0) };
    }
    pid
}

/// What it ends with.
fn wait_for(pid: i32) -> i32 {
    let mut status = 0;
    // SAFETY: the child is ours, the status our own.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    status
}

/// Sends a signal to a child of ours.
fn signal(pid: i32, signal: i32) {
    // SAFETY: takes numbers.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
}

/// A ring with polls of this process's, 1 and 2. Who waits at once has no driver, that would answer.
fn ring_that_polls(reader: &PipeReader) -> Client {
    let mut ring = Client::new(8, 0);
    for poll in [1, 2] {
        ring.push(Sqe { op_flags: 1, ..sqe(op::POLL_ADD, reader.as_raw_fd(), poll) });
    }
    ring.push(sqe(op::NOP, -1, 0));
    assert_eq!(ring.enter(3, 1), Ok(3));
    ring
}

/// Asks that the parent's poll of this number be cancelled; its own is 10 more.
fn cancel(ring: &mut Client, poll: u64) {
    ring.push(Sqe { addr: poll, ..sqe(op::ASYNC_CANCEL, -1, 10 + poll) });
    let _ = ring.enter(1, 0);
}

/// Begins to ask, tells, and is killed while it waits for the answer of a parent that does not come;
/// whether it had not given up before.
fn killed_while_it_asks(ring: &mut Client) -> bool {
    let (mut begins, mut tell): (PipeReader, _) = std::io::pipe().unwrap();
    let pid = child(ring, |ring| {
        let _ = tell.write_all(&[1]);
        cancel(ring, 1);
    });
    begins.read_exact(&mut [0]).unwrap();
    std::thread::sleep(Duration::from_millis(30));
    signal(pid, libc::SIGKILL);
    wait_for(pid) == libc::SIGKILL
}

/// Whether a process sleeps, or has ended.
fn sleeps(pid: i32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    state.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(['S', 'Z']))
}

/// A child is stopped while it asks, and is answered; another comes to ask, and the first goes on half a
/// second later. Whether both have their answers, unless the first had its own before it was stopped.
fn stopped_while_it_is_answered() -> Option<bool> {
    let (reader, _writer) = std::io::pipe().unwrap();
    let mut ring = ring_that_polls(&reader);
    let first = child(&mut ring, |ring| cancel(ring, 1));
    while !sleeps(first) {
        std::thread::yield_now();
    }
    signal(first, libc::SIGSTOP);
    // By somebody else, for it may have been stopped with the ring in its hands.
    let wakes = child(&mut ring, |_| {
        std::thread::sleep(Duration::from_millis(500));
        signal(first, libc::SIGCONT);
    });
    ring.enter_with(0, 0, enter::GETEVENTS).unwrap();
    let mut seen = ring.reap();
    let of =
        |seen: &[Cqe], user_data| seen.iter().find(|c| c.user_data == user_data).map(|c| c.res);
    let in_time = of(&seen, 1).is_some() && of(&seen, 11).is_none();
    let second = child(&mut ring, |ring| cancel(ring, 2));
    while of(&seen, 11).is_none() || of(&seen, 12).is_none() {
        ring.enter(0, 1).unwrap();
        seen.extend(ring.reap());
    }
    [first, wakes, second].into_iter().for_each(|pid| assert_eq!(wait_for(pid), 0));
    in_time.then(|| of(&seen, 11) == Some(0) && of(&seen, 12) == Some(0))
}

#[test]
fn who_is_killed_while_it_asks_leaves_the_next_its_turn() {
    let (reader, _writer) = std::io::pipe().unwrap();
    let mut ring = ring_that_polls(&reader);
    assert!((0..20).any(|_| killed_while_it_asks(&mut ring)), "never killed in time");
    let asks = child(&mut ring, |ring| cancel(ring, 2));
    // The first may be cancelled, too: that was asked.
    let (mut poll, mut answer) = (None, None);
    while answer.is_none() || answer == Some(0) && poll.is_none() {
        ring.enter(0, 1).unwrap();
        for cqe in ring.reap() {
            match cqe.user_data {
                2 => poll = Some(cqe.res),
                12 => answer = Some(cqe.res),
                _ => {}
            }
        }
    }
    assert_eq!((poll, answer), (Some(Errno::ECANCELED.to_res()), Some(0)));
    assert_eq!(wait_for(asks), 0);
    who_is_stopped_has_its_answer_when_it_goes_on();
}

/// Each time in a process of its own, which has no driver yet.
fn who_is_stopped_has_its_answer_when_it_goes_on() {
    for _ in 0..20 {
        // SAFETY: the child has this thread alone, as `child` says.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0);
        if pid == 0 {
            let outcome =
                std::panic::catch_unwind(stopped_while_it_is_answered).unwrap_or(Some(false));
            // SAFETY: ends the child where it is.
            unsafe { libc::_exit(outcome.map_or(2, |well| i32::from(!well))) };
        }
        match wait_for(pid) {
            0 => return,
            status if libc::WEXITSTATUS(status) == 2 => {}
            status => panic!("an answer is lost: {status:#x}"),
        }
    }
    panic!("never stopped in time");
}
