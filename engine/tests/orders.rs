//! What children of `fork` ask of the process that they have a ring from, on the engine called directly.

mod client;

use std::io::{PipeReader, Read, Write};
use std::os::fd::AsRawFd;
use std::time::Duration;

use client::{Client, sqe};
use sysring_sys::Errno;
use sysring_sys::abi::io_uring::{Sqe, op, setup};

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

fn wait_for(pid: i32) {
    let mut status = 0;
    // SAFETY: the child is ours, the status our own.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
}

/// Asks that the parent's poll of this number be cancelled; its own is 10 more.
fn cancel(ring: &mut Client, poll: u64) {
    ring.push(Sqe { addr: poll, ..sqe(op::ASYNC_CANCEL, -1, 10 + poll) });
    let _ = ring.enter(1, 0);
}

/// Begins to ask, tells, and is killed while it waits for the answer of a parent that does not come.
fn killed_while_it_asks(ring: &mut Client) {
    let (mut begins, mut tell): (PipeReader, _) = std::io::pipe().unwrap();
    let pid = child(ring, |ring| {
        let _ = tell.write_all(&[1]);
        cancel(ring, 1);
    });
    begins.read_exact(&mut [0]).unwrap();
    std::thread::sleep(Duration::from_millis(30));
    // SAFETY: the child is ours.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGKILL) }, 0);
    wait_for(pid);
}

#[test]
fn who_is_killed_while_it_asks_leaves_the_next_its_turn() {
    let (reader, _writer) = std::io::pipe().unwrap();
    // Who has promised to come has no driver, that would answer.
    let mut ring = Client::new(8, setup::COOP_TASKRUN);
    for poll in [1, 2] {
        ring.push(Sqe { op_flags: 1, ..sqe(op::POLL_ADD, reader.as_raw_fd(), poll) });
    }
    assert_eq!(ring.enter(2, 0), Ok(2));
    killed_while_it_asks(&mut ring);
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
    wait_for(asks);
}
