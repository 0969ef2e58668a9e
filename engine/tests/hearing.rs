//! Who is told of completions: eventfds, and those who poll a ring.

mod client;

use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use client::{Client, sqe};
use sysring_engine::descriptors;
use sysring_sys::abi::io_uring::{cqe_flags, enter, op, poll, register, setup, sqe_flags};
use sysring_sys::abi::{EpollEvent, PollFd, Timespec};
use sysring_sys::{Fd, User, call};

const POLLIN: u32 = 1;

/// A thing to be ready, and the eventfd of a ring that polls for it.
struct Told {
    ring: Client,
    eventfd: Fd,
    near: UnixStream,
    _far: UnixStream,
}

impl Told {
    fn new(flags: u32) -> Told {
        let mut ring = Client::new(8, flags);
        let eventfd = eventfd_of(&ring);
        let (near, far) = UnixStream::pair().expect("a pair of sockets");
        let mut poll = sqe(op::POLL_ADD, far.as_raw_fd(), 1);
        poll.op_flags = POLLIN;
        ring.push(poll);
        assert_eq!(ring.enter(1, 0), Ok(1));
        Told { ring, eventfd, near, _far: far }
    }

    /// Whether the eventfd is written within a time.
    fn hears(&self, milliseconds: i64) -> bool {
        let mut fds = [PollFd { fd: self.eventfd.raw(), events: 1, revents: 0 }];
        let mut time = Timespec { tv_sec: 0, tv_nsec: milliseconds * 1_000_000 };
        call::ppoll(&mut fds, Some(&mut time), None) == Ok(1)
    }
}

#[test]
fn deferred_completions_are_told_of_and_wait() {
    let mut told = Told::new(setup::SINGLE_ISSUER | setup::DEFER_TASKRUN);
    assert!(!told.hears(20));
    told.near.write_all(b"x").expect("write");
    assert!(told.hears(900), "the eventfd is told of what there is to ask for");
    assert!(told.ring.reap().is_empty(), "nobody has asked");
    assert_eq!(told.ring.enter_with(0, 0, enter::GETEVENTS), Ok(0));
    assert_eq!(told.ring.reap().len(), 1);
}

#[test]
fn other_completions_do_not_wait() {
    let mut told = Told::new(0);
    told.near.write_all(b"x").expect("write");
    assert!(told.hears(900));
    assert_eq!(told.ring.reap().len(), 1);
}

fn eventfd_of(ring: &Client) -> Fd {
    let eventfd = call::eventfd(0).expect("eventfd");
    let mut number = eventfd.raw();
    let at = User::<u8>::of((&raw mut number).cast());
    let done = sysring_engine::register(ring.fd.raw() as u32, register::EVENTFD, at, 1);
    assert_eq!(done, Ok(0));
    eventfd
}

/// Polls a file again and again.
fn polls(ring: &mut Client, fd: Fd) {
    let mut again = sqe(op::POLL_ADD, fd.raw(), 1);
    (again.op_flags, again.len) = (POLLIN, poll::ADD_MULTI);
    ring.push(again);
    assert_eq!(ring.enter(1, 0), Ok(1));
}

/// A completion makes the file ready, of which the poll tells, once, and ends.
fn hears_itself_once(ring: &mut Client) {
    ring.push(sqe(op::NOP, -1, 2));
    let mut seen = Vec::new();
    assert_eq!(ring.enter(1, 1), Ok(1));
    for _ in 0..50 {
        assert_eq!(ring.enter_with(0, 0, enter::GETEVENTS), Ok(0));
        seen.extend(ring.reap().iter().map(|c| (c.user_data, c.flags & cqe_flags::MORE)));
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(seen, [(2, 0), (1, 0)]);
}

#[test]
fn a_poll_of_the_rings_own_eventfd_ends() {
    let mut ring = Client::new(8, 0);
    let eventfd = eventfd_of(&ring);
    polls(&mut ring, eventfd);
    hears_itself_once(&mut ring);
}

#[test]
fn a_poll_of_a_set_with_the_ring_in_it_ends() {
    let mut ring = Client::new(8, 0);
    let set = call::epoll_create().expect("epoll");
    descriptors::watched(ring.fd);
    call::epoll_ctl(set, call::EpollOp::Add, ring.fd, POLLIN, 0).expect("add");
    polls(&mut ring, set);
    hears_itself_once(&mut ring);
}

#[test]
fn a_poll_of_a_set_with_the_ring_in_it_hears_of_what_was_taken_since() {
    for flags in [0, setup::SINGLE_ISSUER | setup::DEFER_TASKRUN] {
        let mut ring = Client::new(8, flags);
        let set = call::epoll_create().expect("epoll");
        descriptors::watched(ring.fd);
        call::epoll_ctl(set, call::EpollOp::Add, ring.fd, POLLIN, 0).expect("add");
        polls(&mut ring, set);
        ring.push(sqe(op::NOP, -1, 2));
        assert_eq!(ring.enter(1, 0), Ok(1));
        let mut seen = ring.reap();
        // Nothing is left, and the descriptor stops to be readable.
        assert_eq!(ring.enter(0, 0), Ok(0));
        for _ in 0..50 {
            thread::sleep(Duration::from_millis(1));
            assert_eq!(ring.enter_with(0, 0, enter::GETEVENTS), Ok(0));
            seen.extend(ring.reap());
        }
        let seen: Vec<_> = seen.iter().map(|c| (c.user_data, c.flags & cqe_flags::MORE)).collect();
        assert_eq!(seen, [(2, 0), (1, 0)], "flags {flags:#x}");
    }
}

#[test]
fn a_ring_that_polls_another_hears_before_the_call_returns() {
    let mut listens = Client::new(8, 0);
    let mut talks = Client::new(8, 0);
    let mut poll = sqe(op::POLL_ADD, talks.fd.raw(), 1);
    poll.op_flags = POLLIN;
    listens.push(poll);
    assert_eq!(listens.enter(1, 0), Ok(1));
    assert!(listens.reap().is_empty());
    talks.push(sqe(op::NOP, -1, 2));
    assert_eq!(talks.enter(1, 0), Ok(1));
    assert_eq!(listens.reap().len(), 1);
}

/// A level-triggered poller of a ring whose completions others than the application post.
#[test]
fn who_has_taken_what_there_was_does_not_spin() {
    for flags in [0, setup::SQPOLL] {
        let mut ring = Client::new(8, flags);
        let set = call::epoll_create().expect("epoll");
        descriptors::watched(ring.fd);
        call::epoll_ctl(set, call::EpollOp::Add, ring.fd, POLLIN, 0).expect("add");
        let (_to, into) = io::pipe().expect("a pipe");
        let (from, mut far) = io::pipe().expect("a pipe");
        let mut tee = sqe(op::TEE, into.as_raw_fd(), 1);
        (tee.file_index, tee.len) = (from.as_raw_fd() as u32, 1);
        ring.push(tee);
        if flags & setup::SQPOLL != 0 {
            ring.publish();
        } else {
            assert_eq!(ring.enter(1, 0), Ok(1));
        }
        assert!(!is_readable(set, 20));
        far.write_all(b"x").expect("write");
        assert!(is_readable(set, 900), "the descriptor tells");
        // The tail is moved before the descriptor tells.
        assert_eq!(ring.reap().len(), 1);
        falls_silent(set, flags);
        call::close(set).expect("close");
    }
}

/// Whether a descriptor is readable within a time.
fn is_readable(fd: Fd, milliseconds: i64) -> bool {
    let mut fds = [PollFd { fd: fd.raw(), events: 1, revents: 0 }];
    let mut time = Timespec { tv_sec: 0, tv_nsec: milliseconds * 1_000_000 };
    call::ppoll(&mut fds, Some(&mut time), None).expect("poll") == 1
}

/// What is in a set stops to be readable.
fn falls_silent(set: Fd, flags: u32) {
    let end = Instant::now() + Duration::from_secs(10);
    while is_readable(set, 0) {
        assert!(Instant::now() < end, "setup flags {flags:#x}: it tells for ever");
        thread::sleep(Duration::from_millis(1));
    }
}

/// The same of a ring that was readable before anybody polled it, and has nothing to post afterwards;
/// put into the set by a call, and by an operation of its own that is silent.
#[test]
fn who_begins_to_poll_late_does_not_spin() {
    for (flags, by_operation) in
        [0, setup::SQPOLL].into_iter().flat_map(|f| [(f, false), (f, true)])
    {
        let mut ring = Client::new(8, flags);
        let submit = |ring: &mut Client| match flags & setup::SQPOLL {
            0 => assert_eq!(ring.enter(1, 0), Ok(1)),
            _ => ring.publish(),
        };
        ring.push(sqe(op::NOP, -1, 1));
        submit(&mut ring);
        assert!(is_readable(ring.fd, 900), "setup flags {flags:#x}: there is a completion");
        let set = call::epoll_create().expect("epoll");
        let event = EpollEvent { events: POLLIN, data: 0 };
        if by_operation {
            let mut add = sqe(op::EPOLL_CTL, set.raw(), 2);
            (add.off, add.len) = (ring.fd.raw() as u64, call::EpollOp::Add as u32);
            add.addr = (&raw const event) as u64;
            add.flags = sqe_flags::CQE_SKIP_SUCCESS;
            ring.push(add);
            submit(&mut ring);
        } else {
            descriptors::watched(ring.fd);
            call::epoll_ctl(set, call::EpollOp::Add, ring.fd, POLLIN, 0).expect("add");
        }
        assert!(is_readable(set, 900), "setup flags {flags:#x}: the set tells");
        assert_eq!(ring.reap().iter().map(|c| c.user_data).collect::<Vec<_>>(), [1]);
        falls_silent(set, flags);
        call::close(set).expect("close");
    }
}
