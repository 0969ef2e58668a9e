//! Timers: which of several is meant, what an update changes, and times that cannot be counted.

mod client;

use std::io::{Write, pipe};
use std::os::fd::AsRawFd;
use std::ptr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use client::{Client, sqe};
use sysring_engine::Caller;
use sysring_sys::abi::Timespec;
use sysring_sys::abi::io_uring::{
    GeteventsArg, LINK_TIMEOUT_UPDATE, Sqe, cancel, enter, op, poll, sqe_flags, timeout,
};
use sysring_sys::{Errno, User, call};

const FAR: Timespec = Timespec { tv_sec: 1000, tv_nsec: 0 };
const CANCELED: i32 = -125;
const TIME: i32 = -62;

fn after(milliseconds: i64) -> Timespec {
    Timespec { tv_sec: 0, tv_nsec: milliseconds * 1_000_000 }
}

fn wall_clock(milliseconds: u64) -> Timespec {
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let at = at + Duration::from_millis(milliseconds);
    Timespec { tv_sec: at.as_secs() as i64, tv_nsec: i64::from(at.subsec_nanos()) }
}

fn timer(user_data: u64, time: &Timespec, count: u64, flags: u32) -> Sqe {
    let addr = ptr::from_ref(time) as u64;
    Sqe { addr, len: 1, off: count, op_flags: flags, ..sqe(op::TIMEOUT, -1, user_data) }
}

fn remove(user_data: u64) -> Sqe {
    Sqe { addr: user_data, ..sqe(op::TIMEOUT_REMOVE, -1, 100) }
}

fn update(user_data: u64, time: &Timespec, flags: u32) -> Sqe {
    let off = ptr::from_ref(time) as u64;
    Sqe { off, op_flags: flags | timeout::UPDATE, ..remove(user_data) }
}

/// A read that waits, with a timeout behind it.
fn guarded(ring: &mut Client, fd: i32, user_data: u64, limit: Sqe, memory: &mut [u8; 8]) {
    let mut read = sqe(op::READ, fd, user_data);
    (read.addr, read.len) = (memory.as_mut_ptr() as u64, 8);
    read.flags = sqe_flags::IO_LINK;
    ring.push(read);
    ring.push(Sqe { opcode: op::LINK_TIMEOUT, ..limit });
}

/// Submits, and what has ended once there are so many, in order.
fn ended(ring: &mut Client, submit: u32, wait: u32) -> Vec<(u64, i32)> {
    ring.enter(submit, 0).unwrap();
    let mut seen = Vec::new();
    while seen.len() < wait as usize {
        ring.enter(0, wait - seen.len() as u32).unwrap();
        seen.extend(ring.reap().iter().map(|cqe| (cqe.user_data, cqe.res)));
    }
    seen
}

#[test]
fn an_update_keeps_the_clock() {
    let mut ring = Client::new(8, 0);
    let far = wall_clock(1_000_000);
    ring.push(timer(1, &far, 0, timeout::ABS | timeout::REALTIME));
    let soon = wall_clock(20);
    ring.push(update(1, &soon, timeout::ABS));
    assert_eq!(ended(&mut ring, 2, 2), [(100, 0), (1, TIME)]);
    // And names none, not even the timer's own.
    for clock in [timeout::REALTIME, timeout::BOOTTIME] {
        ring.push(update(1, &soon, timeout::ABS | clock));
        assert_eq!(ended(&mut ring, 1, 1), [(100, Errno::EINVAL.to_res())]);
    }
}

#[test]
fn an_update_of_a_linked_timeout_keeps_the_clock() {
    let mut ring = Client::new(8, 0);
    let (reader, _writer) = pipe().unwrap();
    let (far, mut memory) = (wall_clock(1_000_000), [0; 8]);
    let limit = timer(2, &far, 0, timeout::ABS | timeout::REALTIME);
    guarded(&mut ring, reader.as_raw_fd(), 1, limit, &mut memory);
    let soon = wall_clock(20);
    ring.push(update(2, &soon, timeout::ABS | LINK_TIMEOUT_UPDATE));
    assert_eq!(ended(&mut ring, 3, 3), [(100, 0), (2, TIME), (1, CANCELED)]);
}

#[test]
fn shots_that_are_updated_are_without_end() {
    let mut ring = Client::new(8, 0);
    let (first, then) = (after(100), after(2));
    ring.push(timer(1, &first, 3, timeout::MULTISHOT));
    ring.push(update(1, &then, 0));
    let seen = ended(&mut ring, 2, 8);
    assert_eq!(seen[0], (100, 0));
    assert!(seen[1..].iter().all(|cqe| *cqe == (1, TIME)), "{seen:?}");
}

#[test]
fn timeouts_by_count_end_in_the_order_of_their_counts() {
    let mut ring = Client::new(16, 0);
    for (user_data, count) in [(1, 5), (2, 3), (3, 3), (4, 0), (5, 1), (6, 4)] {
        ring.push(timer(user_data, &FAR, count, 0));
    }
    for _ in 0..6 {
        ring.push(sqe(op::NOP, -1, 9));
    }
    let seen = ended(&mut ring, 12, 11);
    let timers: Vec<_> = seen.iter().filter(|(user_data, _)| *user_data != 9).copied().collect();
    assert_eq!(timers, [(5, 0), (2, 0), (3, 0), (6, 0), (1, 0)]);
}

#[test]
fn of_timers_with_one_name_the_first_of_the_list_is_removed() {
    let mut ring = Client::new(16, 0);
    let (sooner, later) = (after(10), after(30));
    // Who was begun first; but what is updated begins anew.
    ring.push(timer(7, &FAR, 0, 0));
    ring.push(timer(7, &sooner, 0, 0));
    ring.push(remove(7));
    assert_eq!(ended(&mut ring, 3, 3), [(100, 0), (7, CANCELED), (7, TIME)]);
    ring.push(timer(7, &later, 0, 0));
    ring.push(timer(7, &FAR, 0, 0));
    ring.push(update(7, &later, 0));
    ring.push(remove(7));
    assert_eq!(ended(&mut ring, 4, 4), [(100, 0), (100, 0), (7, CANCELED), (7, TIME)]);
    // Those that count come before those that do not.
    ring.push(timer(7, &later, 0, 0));
    ring.push(timer(7, &FAR, 40, 0));
    ring.push(timer(7, &FAR, 30, 0));
    ring.push(remove(7));
    ring.push(remove(7));
    let removed = [(100, 0), (100, 0), (7, CANCELED), (7, CANCELED), (7, TIME)];
    assert_eq!(ended(&mut ring, 5, 5), removed);
}

#[test]
fn of_linked_timeouts_with_one_name_the_first_is_updated() {
    let mut ring = Client::new(16, 0);
    let (reader, _writer) = pipe().unwrap();
    let (soon, mut memory) = (after(10), [[0; 8]; 2]);
    let [first, second] = &mut memory;
    guarded(&mut ring, reader.as_raw_fd(), 1, timer(7, &FAR, 0, 0), first);
    guarded(&mut ring, reader.as_raw_fd(), 2, timer(7, &FAR, 0, 0), second);
    ring.push(update(7, &soon, LINK_TIMEOUT_UPDATE));
    assert_eq!(ended(&mut ring, 5, 3), [(100, 0), (7, TIME), (1, CANCELED)]);
    // It stays where it was: the second is now the first.
    ring.push(update(7, &FAR, LINK_TIMEOUT_UPDATE));
    ring.push(update(7, &soon, LINK_TIMEOUT_UPDATE));
    assert_eq!(ended(&mut ring, 2, 4), [(100, 0), (100, 0), (7, TIME), (2, CANCELED)]);
}

/// That it is said to be linked counts for updates alone.
#[test]
fn what_is_removed_is_no_linked_timeout() {
    let mut ring = Client::new(8, 0);
    let (reader, _writer) = pipe().unwrap();
    let (soon, mut memory) = (after(20), [0; 8]);
    guarded(&mut ring, reader.as_raw_fd(), 1, timer(7, &soon, 0, 0), &mut memory);
    ring.push(timer(7, &FAR, 0, 0));
    let mut one = update(7, &soon, LINK_TIMEOUT_UPDATE);
    one.op_flags &= !timeout::UPDATE;
    ring.push(one);
    assert_eq!(ended(&mut ring, 4, 4), [(100, 0), (7, CANCELED), (7, TIME), (1, CANCELED)]);
}

/// Polls before timers; of polls the newest, of timers the oldest.
#[test]
fn what_is_cancelled_first_depends_on_where_it_waits() {
    let mut ring = Client::new(16, 0);
    let (reader, _writer) = pipe().unwrap();
    let end = |flags| Sqe { addr: 7, op_flags: flags, ..sqe(op::ASYNC_CANCEL, -1, 100) };
    let soon = after(10);
    ring.push(Sqe { op_flags: 1, ..sqe(op::POLL_ADD, reader.as_raw_fd(), 7) });
    ring.push(timer(7, &soon, 0, 0));
    ring.push(end(0));
    assert_eq!(ended(&mut ring, 3, 3), [(100, 0), (7, CANCELED), (7, TIME)]);

    for (user_data, count) in [(1, 5), (2, 0), (3, 3), (4, 0)] {
        ring.push(timer(user_data, &FAR, count, 0));
    }
    ring.push(Sqe { op_flags: 1, ..sqe(op::POLL_ADD, reader.as_raw_fd(), 5) });
    ring.push(end(cancel::ANY));
    let seen = ended(&mut ring, 6, 6);
    let order: Vec<u64> = seen.iter().map(|(user_data, _)| *user_data).collect();
    assert_eq!((seen[0].1, &order[..]), (5, &[100, 5, 3, 1, 2, 4][..]));
}

/// A poll that is updated is the newest from then on.
#[test]
fn of_polls_with_one_name_the_one_that_was_armed_last_is_removed() {
    let mut ring = Client::new(8, 0);
    let mut pipes = [pipe().unwrap(), pipe().unwrap()];
    for ((reader, _), user_data) in pipes.iter().zip([7, 6]) {
        ring.push(Sqe { op_flags: 1, ..sqe(op::POLL_ADD, reader.as_raw_fd(), user_data) });
    }
    let change = Sqe { addr: 7, off: 6, len: poll::UPDATE_USER_DATA, ..Sqe::default() };
    ring.push(Sqe { opcode: op::POLL_REMOVE, fd: -1, user_data: 100, ..change });
    ring.push(Sqe { addr: 6, ..sqe(op::POLL_REMOVE, -1, 101) });
    assert_eq!(ended(&mut ring, 4, 3), [(100, 0), (101, 0), (6, CANCELED)]);
    // What is left is the second pipe's.
    pipes[1].1.write_all(b"x").unwrap();
    assert_eq!(ended(&mut ring, 0, 1), [(6, 1)]);
}

#[test]
fn timers_that_are_due_alike_go_off_as_they_were_begun() {
    let mut ring = Client::new(16, 0);
    let now = call::now(call::CLOCK_MONOTONIC) + 10_000_000;
    let at = Timespec { tv_sec: now / 1_000_000_000, tv_nsec: now % 1_000_000_000 };
    for user_data in 1..=9 {
        ring.push(timer(user_data, &at, 0, timeout::ABS));
    }
    assert_eq!(ended(&mut ring, 9, 9), (1..=9).map(|n| (n, TIME)).collect::<Vec<_>>());
}

/// How a wait of this time ends, and when.
fn waited(ring: &Client, time: Option<Timespec>, least: u32) -> (Option<Errno>, Duration) {
    let ts = time.as_ref().map_or(0, |time| ptr::from_ref(time) as u64);
    let arg = GeteventsArg { min_wait_usec: least, ts, ..GeteventsArg::default() };
    let flags = enter::GETEVENTS | enter::EXT_ARG;
    let (fd, begun) = (ring.fd.raw() as u32, Instant::now());
    let (at, size) = (User::of(&raw const arg).cast(), size_of::<GeteventsArg>());
    let answer = sysring_engine::enter(fd, 0, 2, flags, at, size, &Caller::default());
    (answer.err(), begun.elapsed())
}

#[test]
fn a_time_that_goes_round_to_nothing_is_over() {
    let ring = Client::new(8, 0);
    for tv_sec in [i64::MIN, -1] {
        let (error, took) = waited(&ring, Some(Timespec { tv_sec, tv_nsec: 0 }), 0);
        assert_eq!(error, Some(Errno::ETIME));
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
}

/// The first stage is all there is where nothing else ends the wait, and where that goes round.
#[test]
fn a_wait_of_one_stage_ends_with_it() {
    let ring = Client::new(8, 0);
    for time in [None, Some(Timespec { tv_sec: i64::MAX, tv_nsec: 0 })] {
        let (error, took) = waited(&ring, time, 20_000);
        assert_eq!(error, Some(Errno::ETIME));
        assert!(took >= Duration::from_millis(20), "{took:?}");
    }
}

/// A first stage that is over lets nobody sleep for no time, again and again.
#[test]
fn the_second_stage_of_a_wait_is_slept_through() {
    let ring = Client::new(8, 0);
    let spent = || call::now(libc::CLOCK_THREAD_CPUTIME_ID as u32);
    let begun = spent();
    let (error, took) = waited(&ring, Some(after(300)), 1000);
    assert_eq!(error, Some(Errno::ETIME));
    assert!(took >= Duration::from_millis(300), "{took:?}");
    assert!(spent() - begun < 100_000_000, "{} ns of the processor's", spent() - begun);
}
