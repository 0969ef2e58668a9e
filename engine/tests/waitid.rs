//! Children, on the engine called directly.
// They are waited for, through a ring.
#![allow(clippy::zombie_processes)]

mod client;

use std::process::{Child, Command};

use client::{Client, sqe};
use sysring_sys::abi::Timespec;
use sysring_sys::abi::io_uring::{Sqe, op, sqe_flags};

const P_ALL: u32 = 0;
const P_PID: u32 = 1;
const WEXITED: u32 = 4;
const WSTOPPED: u32 = 2;
const CLD_EXITED: i32 = 1;
const CLD_STOPPED: i32 = 5;

/// A child that ends with 7 after some time.
fn child(seconds: &str) -> Child {
    Command::new("sh").args(["-c", &format!("sleep {seconds}; exit 7")]).spawn().unwrap()
}

fn wait(which: u32, child: &Child, info: &mut [i32; 32], options: u32, user_data: u64) -> Sqe {
    let mut wait = sqe(op::WAITID, child.id() as i32, user_data);
    (wait.len, wait.off, wait.file_index) = (which, info.as_mut_ptr() as u64, options);
    wait
}

fn cancel(user_data: u64) -> Sqe {
    let mut cancel = sqe(op::ASYNC_CANCEL, -1, 99);
    cancel.addr = user_data;
    cancel
}

fn results(ring: &mut Client, count: usize) -> Vec<(u64, i32)> {
    let mut seen = Vec::new();
    while seen.len() < count {
        ring.enter(0, 1).unwrap();
        seen.extend(ring.reap().iter().map(|c| (c.user_data, c.res)));
    }
    seen
}

// The children of all tests are this process's: who waits for any waits alone.
#[test]
fn a_child_is_waited_for_cancelled_stopped_and_any() {
    ends_are_told();
    cancelled_waits_leave_the_child();
    stops_are_told();
    any_child_will_do();
    a_closed_ring_leaves_the_child();
}

fn ends_are_told() {
    let mut ring = Client::new(8, 0);
    for seconds in ["0", "0.1"] {
        let child = child(seconds);
        let mut info = [0x55; 32];
        ring.push(wait(P_PID, &child, &mut info, WEXITED, 1));
        assert_eq!(ring.enter(1, 1), Ok(1));
        assert_eq!(results(&mut ring, 1), [(1, 0)]);
        assert_eq!(info[..3], [17, 0, CLD_EXITED]);
        assert_eq!((info[4], info[6]), (child.id() as i32, 7));
        assert_eq!((info[3], info[7]), (0x55, 0x55), "only what is told is written");
        // It is gone.
        ring.push(wait(P_PID, &child, &mut info, WEXITED, 1));
        assert_eq!(ring.enter(1, 1), Ok(1));
        assert_eq!(results(&mut ring, 1), [(1, -10)]);
    }
}

fn cancelled_waits_leave_the_child() {
    let mut ring = Client::new(8, 0);
    let mut child = child("0.3");
    let mut info = [0x55; 32];
    for which in [P_PID, P_ALL] {
        ring.push(wait(which, &child, &mut info, WEXITED, 1));
        assert_eq!(ring.enter(1, 0), Ok(1));
        ring.push(cancel(1));
        assert_eq!(ring.enter(1, 2), Ok(1));
        assert_eq!(results(&mut ring, 2), [(99, 1), (1, -125)]);
        assert_eq!(info[..3], [0; 3]);
        let mut limited = wait(which, &child, &mut info, WEXITED, 1);
        limited.flags = sqe_flags::IO_LINK;
        ring.push(limited);
        let time = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
        let mut timeout = sqe(op::LINK_TIMEOUT, -1, 2);
        (timeout.addr, timeout.len) = (&raw const time as u64, 1);
        ring.push(timeout);
        assert_eq!(ring.enter(2, 2), Ok(2));
        assert_eq!(results(&mut ring, 2), [(2, 1), (1, -125)]);
    }
    assert_eq!(child.wait().unwrap().code(), Some(7));
}

fn stops_are_told() {
    let mut ring = Client::new(8, 0);
    let mut child = child("0.2");
    let mut info = [0; 32];
    ring.push(wait(P_PID, &child, &mut info, WSTOPPED, 1));
    assert_eq!(ring.enter(1, 0), Ok(1));
    let id = child.id();
    let signal = |name: &str| {
        let script = format!("kill -{name} {id}");
        assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
    };
    signal("STOP");
    assert_eq!(results(&mut ring, 1), [(1, 0)]);
    assert_eq!((info[2], info[6]), (CLD_STOPPED, 19));
    signal("CONT");
    child.wait().unwrap();
}

fn any_child_will_do() {
    let mut ring = Client::new(8, 0);
    let (first, second) = (child("0.1"), child("0.3"));
    let (mut info, mut other) = ([0; 32], [0; 32]);
    ring.push(wait(P_ALL, &first, &mut info, WEXITED, 1));
    assert_eq!(ring.enter(1, 0), Ok(1));
    assert_eq!(results(&mut ring, 1), [(1, 0)]);
    assert_eq!((info[4], info[6]), (first.id() as i32, 7));
    ring.push(wait(P_ALL, &first, &mut other, WEXITED, 2));
    assert_eq!(ring.enter(1, 0), Ok(1));
    assert_eq!(results(&mut ring, 1), [(2, 0)]);
    assert_eq!((other[4], other[6]), (second.id() as i32, 7));
}

fn a_closed_ring_leaves_the_child() {
    let mut child = child("0.2");
    let mut info = [0; 32];
    let mut ring = Client::new(8, 0);
    for (which, options) in [(P_PID, WEXITED), (P_ALL, WEXITED), (P_PID, WEXITED | WSTOPPED)] {
        ring.push(wait(which, &child, &mut info, options, 1));
    }
    assert_eq!(ring.enter(3, 0), Ok(3));
    drop(ring);
    assert_eq!(child.wait().unwrap().code(), Some(7));
}
