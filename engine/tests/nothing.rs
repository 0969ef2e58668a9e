//! Vectors of no bytes, of which some files make something.

mod client;

use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::time::Duration;

use client::{Client, sqe};
use sysring_sys::abi::io_uring::{Sqe, op, register, sqe_flags};
use sysring_sys::{Errno, User};

/// One entry without bytes.
static NOTHING: [usize; 2] = [0, 0];

/// A transfer of it.
fn of_nothing(opcode: u8, fd: i32) -> Sqe {
    Sqe { addr: NOTHING.as_ptr() as u64, len: 1, ..sqe(opcode, fd, 1) }
}

/// The answer to a vector of no bytes: at once, by a thread, and with registered credentials.
fn each_way(opcode: u8, fd: i32) -> [i32; 3] {
    let mut ring = Client::new(8, 0);
    let credentials = register::PERSONALITY;
    let id = sysring_engine::register(ring.fd.raw() as u32, credentials, User::NULL, 0).unwrap();
    [(0, 0), (sqe_flags::ASYNC, 0), (0, id as u16)].map(|(flags, personality)| {
        ring.push(Sqe { flags, personality, ..of_nothing(opcode, fd) });
        assert_eq!(ring.enter(1, 1), Ok(1));
        ring.reap()[0].res
    })
}

#[test]
fn a_datagram_of_nothing_is_sent() {
    let (near, far) = UnixDatagram::pair().unwrap();
    far.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(each_way(op::WRITEV, near.as_raw_fd()), [0; 3]);
    for _ in 0..3 {
        assert_eq!(far.recv(&mut [0]).unwrap(), 0);
    }
    far.set_nonblocking(true).unwrap();
    assert!(far.recv(&mut [0]).is_err());
}

#[test]
fn a_datagram_of_nothing_is_sent_under_the_number_of_a_file() {
    let mut ring = Client::new(8, 0);
    let file = File::open("/proc/self/exe").unwrap();
    let mut byte = 0u8;
    let mut read = sqe(op::READ, file.as_raw_fd(), 1);
    (read.addr, read.len) = (&raw mut byte as u64, 1);
    ring.push(read);
    assert_eq!(ring.enter(1, 1), Ok(1));
    assert_eq!(ring.reap()[0].res, 1);

    let (near, far) = UnixDatagram::pair().unwrap();
    let number = file.into_raw_fd();
    // SAFETY: takes numbers; that of the file is nobody's but ours.
    assert_eq!(unsafe { libc::dup2(near.as_raw_fd(), number) }, number);
    // SAFETY: as above.
    let near = unsafe { UnixDatagram::from_raw_fd(number) };
    ring.push(of_nothing(op::WRITEV, near.as_raw_fd()));
    assert_eq!(ring.enter(1, 1), Ok(1));
    assert_eq!(ring.reap()[0].res, 0);
    far.set_nonblocking(true).unwrap();
    assert_eq!(far.recv(&mut [0]).unwrap(), 0);
}

#[test]
fn a_counter_that_is_read_has_eight_bytes() {
    // SAFETY: a new descriptor, that nobody else has.
    let counter = unsafe { OwnedFd::from_raw_fd(libc::eventfd(0, libc::EFD_CLOEXEC)) };
    assert_eq!(each_way(op::READV, counter.as_raw_fd()), [Errno::EINVAL.to_res(); 3]);
}

#[test]
fn events_that_have_not_come_are_not_waited_for() {
    // SAFETY: as above.
    let events = unsafe { OwnedFd::from_raw_fd(libc::inotify_init1(libc::IN_CLOEXEC)) };
    assert_eq!(each_way(op::READV, events.as_raw_fd()), [0; 3]);
}

#[test]
fn a_datagram_of_nothing_waits_for_room() {
    let mut ring = Client::new(8, 0);
    let (near, far) = UnixDatagram::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    let mut sent = 0;
    while near.send(&[1]).is_ok() {
        sent += 1;
    }
    near.set_nonblocking(false).unwrap();
    ring.push(of_nothing(op::WRITEV, near.as_raw_fd()));
    assert_eq!(ring.enter(1, 0), Ok(1));
    assert!(ring.reap().is_empty());

    for _ in 0..sent {
        assert_eq!(far.recv(&mut [0, 0]).unwrap(), 1);
    }
    assert_eq!(ring.enter(0, 1), Ok(0));
    assert_eq!(ring.reap()[0].res, 0);
    far.set_nonblocking(true).unwrap();
    assert_eq!(far.recv(&mut [0]).unwrap(), 0);
}

#[test]
fn a_broken_pipe_is_told_of_nothing() {
    let (near, far) = UnixStream::pair().unwrap();
    drop(far);
    assert_eq!(each_way(op::WRITEV, near.as_raw_fd()), [Errno::EPIPE.to_res(); 3]);
}
