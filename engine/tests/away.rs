//! An application that stays away from a ring whose completions only it may post.

mod client;

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use client::{Client, sqe};
use sysring_sys::User;
use sysring_sys::abi::io_uring::{Sqe, enter, op, register, setup, sqe_flags};

const POLLIN: u32 = 1;

fn moment() {
    thread::sleep(Duration::from_millis(20));
}

/// Whether the engine's driver sleeps, whenever it is looked at.
fn driver_sleeps() -> bool {
    let tasks = fs::read_dir("/proc/self/task").expect("tasks");
    let stats = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("stat")).ok());
    let mut drivers = stats.filter(|stat| stat.contains("(iou-drv-")).peekable();
    assert!(drivers.peek().is_some(), "there is a driver");
    drivers.all(|stat| stat.contains(") S "))
}

/// How often the engine's drivers went to sleep.
fn driver_slept() -> u64 {
    let tasks = fs::read_dir("/proc/self/task").expect("tasks");
    let told = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("status")).ok());
    told.filter(|status| status.starts_with("Name:\tiou-drv-"))
        .filter_map(|status| {
            let line = status.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:"))?;
            line.trim().parse::<u64>().ok()
        })
        .sum()
}

/// One call submits and another waits, so the driver has something to look after in between.
#[test]
fn who_comes_to_wait_is_not_raced() {
    let mut ring = Client::new(8, 0);
    let (mut near, far) = UnixStream::pair().expect("a pair of sockets");
    let mut turn = |ring: &mut Client| {
        let poll = Sqe { op_flags: POLLIN, ..sqe(op::POLL_ADD, far.as_raw_fd(), 1) };
        ring.push(poll);
        assert_eq!(ring.enter(1, 0), Ok(1));
        near.write_all(b"x").expect("write");
        assert_eq!(ring.enter(0, 1), Ok(0));
        assert_eq!(ring.reap()[0].res, 1);
        let mut byte = [0];
        (&far).read_exact(&mut byte).expect("read");
    };
    turn(&mut ring);
    moment();
    let (begun, before) = (Instant::now(), driver_slept());
    (0..2000).for_each(|_| turn(&mut ring));
    let (took, slept) = (begun.elapsed(), driver_slept() - before);
    // It looks in every half millisecond at most, and is told once to do so: other tests have it, too.
    let looks = took.as_micros() as u64 / 500 * 2 + 100;
    assert!(slept <= looks, "{slept} times in {took:?}");
}

/// What is ready stays ready until the application asks for it, and the driver has told it so once.
#[test]
fn the_driver_rests_when_it_has_told() {
    let mut ring = Client::new(8, setup::SINGLE_ISSUER | setup::DEFER_TASKRUN);
    let number = ring.fd.raw() as u32;
    assert_eq!(sysring_engine::register(number, register::PERSONALITY, User::NULL, 0), Ok(1));
    let (mut near, far) = UnixStream::pair().expect("a pair of sockets");
    let (_to, into) = io::pipe().expect("a pipe");
    let (from, mut first) = io::pipe().expect("a pipe");
    let (from_other, mut second) = io::pipe().expect("a pipe");
    let tee = |from: &io::PipeReader, user_data| {
        let mut tee = sqe(op::TEE, into.as_raw_fd(), user_data);
        (tee.file_index, tee.len) = (from.as_raw_fd() as u32, 1);
        tee
    };
    let mut poll = sqe(op::POLL_ADD, far.as_raw_fd(), 1);
    poll.op_flags = POLLIN;
    ring.push(poll);
    ring.push(Sqe { personality: 1, flags: sqe_flags::IO_LINK, ..tee(&from, 2) });
    ring.push(sqe(op::NOP, -1, 3));
    ring.push(tee(&from_other, 4));
    assert_eq!(ring.enter(4, 0), Ok(4));
    moment();
    // Who has the personality gives the rest of the link back, and the driver comes to look.
    first.write_all(b"x").expect("write");
    moment();
    // Another worker takes it along, and there is something to be listened for.
    second.write_all(b"x").expect("write");
    moment();
    near.write_all(b"x").expect("write");
    moment();

    let end = Instant::now() + Duration::from_secs(10);
    let mut asleep = 0;
    while asleep < 20 {
        assert!(Instant::now() < end, "the driver is busy");
        asleep = if driver_sleeps() { asleep + 1 } else { 0 };
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(ring.enter_with(0, 4, enter::GETEVENTS), Ok(0));
    let mut seen: Vec<_> = ring.reap().iter().map(|c| (c.user_data, c.res)).collect();
    seen.sort_unstable();
    assert_eq!(seen, [(1, 1), (2, 1), (3, 0), (4, 1)]);
}
