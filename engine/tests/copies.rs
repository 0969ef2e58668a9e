//! Copies of a ring's descriptor, and closing while somebody is in a call.

mod client;

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use client::{Client, sqe};
use sysring_engine::{Caller, descriptors};
use sysring_sys::abi::Timespec;
use sysring_sys::abi::io_uring::{enter, op, register};
use sysring_sys::{Errno, Fd, User};

/// Above what tests get, below what the engine hears of.
const LOW: i32 = 500;

/// A descriptor at a number that no other test has meanwhile.
fn low() -> OwnedFd {
    let null = std::fs::File::open("/dev/null").unwrap();
    // SAFETY: makes a descriptor, which is ours.
    unsafe { OwnedFd::from_raw_fd(libc::fcntl(null.as_raw_fd(), libc::F_DUPFD, LOW)) }
}

/// A copy of the ring's descriptor below the floor.
fn copied_low(ring: &Client) -> OwnedFd {
    let copy = low();
    let number = Fd::new(copy.as_raw_fd());
    assert_eq!(descriptors::dup_onto(ring.fd, number, 0), Some(Ok(number)));
    copy
}

fn enter_by(number: i32, submit: u32) -> Result<usize, Errno> {
    sysring_engine::enter(number as u32, submit, 0, 0, User::NULL, 8, &Caller::default())
}

/// Whether a NOP that is submitted by this number is done.
fn works(ring: &mut Client, number: i32) -> bool {
    ring.push(sqe(op::NOP, -1, 1));
    enter_by(number, 1) == Ok(1) && ring.reap().len() == 1
}

fn pipe() -> [i32; 2] {
    let mut ends = [0; 2];
    // SAFETY: room for two descriptors.
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
    ends
}

/// Has the ring wait for a byte, and hold the reading end of a pipe alone; the other one.
fn parks_a_read(ring: &mut Client, number: i32) -> OwnedFd {
    let [from, to] = pipe();
    let mut read = sqe(op::POLL_ADD, from, 9);
    read.op_flags = libc::POLLIN as u32;
    ring.push(read);
    assert_eq!(enter_by(number, 1), Ok(1));
    // SAFETY: both are ours.
    unsafe {
        libc::close(from);
        OwnedFd::from_raw_fd(to)
    }
}

/// Whether nobody has the other end of a pipe any more.
fn is_let_go(end: &OwnedFd, within_ms: i32) -> bool {
    let mut polled = libc::pollfd { fd: end.as_raw_fd(), events: 0, revents: 0 };
    // SAFETY: one entry.
    unsafe { libc::poll(&raw mut polled, 1, within_ms) == 1 }
}

#[test]
fn a_copy_that_fails_changes_nothing() {
    let mut ring = Client::new(8, 0);
    let (number, other) = (ring.fd, Client::new(8, 0));
    let nothing = Fd::new(LOW - 1);
    assert_eq!(descriptors::dup_onto(nothing, number, 0), Some(Err(Errno::EBADF)));
    assert_eq!(descriptors::dup_onto(Fd::new(0), number, 0x1234), Some(Err(Errno::EINVAL)));
    assert_eq!(descriptors::dup_onto(other.fd, number, 0x1234), Some(Err(Errno::EINVAL)));
    assert_eq!(descriptors::dup_onto(number, number, 0), Some(Err(Errno::EINVAL)));
    assert!(works(&mut ring, number.raw()));
    // And the handle that was there for the copy is not: the ring closes.
    assert_eq!(descriptors::dup_onto(number, Fd::new(i32::MAX), 0), Some(Err(Errno::EBADF)));
    let end = parks_a_read(&mut ring, number.raw());
    assert!(!is_let_go(&end, 20));
    drop(ring);
    assert!(is_let_go(&end, 2000));
}

#[test]
fn what_a_copy_replaces_is_closed() {
    let (mut ring, mut other) = (Client::new(8, 0), Client::new(8, 0));
    let (number, copy) = (ring.fd, other.fd);
    let end = parks_a_read(&mut other, copy.raw());
    assert_eq!(descriptors::dup_onto(number, copy, 0), Some(Ok(copy)));
    assert!(is_let_go(&end, 2000));
    assert!(works(&mut ring, copy.raw()) && works(&mut ring, number.raw()));
    // By what is no ring, too.
    let end = parks_a_read(&mut ring, copy.raw());
    assert_eq!(descriptors::dup_onto(Fd::new(0), number, 0), Some(Ok(number)));
    assert_eq!(enter_by(number.raw(), 0), Err(Errno::EOPNOTSUPP));
    assert!(works(&mut ring, copy.raw()) && !is_let_go(&end, 20));
    assert_eq!(descriptors::dup_onto(Fd::new(0), copy, 0), Some(Ok(copy)));
    assert!(is_let_go(&end, 2000));
    for fd in [number, copy] {
        assert!(!descriptors::is_ring(fd));
        // SAFETY: they are ours, and no ring's.
        unsafe { libc::close(fd.raw()) };
    }
    std::mem::forget((ring, other));
}

/// The number is the ring's for as long as it is a copy, and not a moment longer.
#[test]
fn a_number_below_the_floor_is_what_it_is_now() {
    let mut ring = Client::new(8, 0);
    let copy = copied_low(&ring);
    let number = copy.as_raw_fd();
    assert!(works(&mut ring, number) && works(&mut ring, number));
    // A ring by that number, too: it does not close, is not registered, and gets messages.
    ring.push(sqe(op::CLOSE, number, 2));
    let mut message = sqe(op::MSG_RING, number, 3);
    (message.len, message.off) = (7, 5);
    ring.push(message);
    assert_eq!(ring.enter(2, 2), Ok(2));
    let mut seen: Vec<_> = ring.reap().iter().map(|cqe| (cqe.user_data, cqe.res)).collect();
    seen.sort_unstable();
    assert_eq!(seen, [(2, Errno::EBADF.to_res()), (3, 0), (5, 7)]);
    let at = User::of((&raw const number).cast::<u8>().cast_mut());
    let registered = sysring_engine::register(ring.fd.raw() as u32, register::FILES, at, 1);
    assert_eq!(registered, Err(Errno::EBADF));
    // Closed without a word, and somebody else's.
    let (from, to) = std::os::unix::net::UnixStream::pair().unwrap();
    // SAFETY: both are ours.
    assert_eq!(unsafe { libc::dup2(to.as_raw_fd(), number) }, number);
    assert_eq!(enter_by(number, 0), Err(Errno::EOPNOTSUPP));
    // SAFETY: makes a descriptor.
    let again = unsafe { libc::dup(number) };
    let mut poll = sqe(op::POLL_ADD, again, 4);
    poll.op_flags = libc::POLLIN as u32;
    ring.push(poll);
    ring.push(sqe(op::CLOSE, number, 5));
    assert_eq!(ring.enter(2, 1), Ok(2));
    let seen = ring.reap();
    assert_eq!((seen.len(), seen[0].user_data, seen[0].res), (1, 5, 0));
    // SAFETY: asks.
    assert_eq!(unsafe { libc::fcntl(number, libc::F_GETFD) }, -1);
    std::mem::forget(copy);
    drop((from, to));
    // SAFETY: ours.
    unsafe { libc::close(again) };
}

#[test]
fn the_ring_stays_for_a_copy_below_the_floor() {
    let mut ring = Client::new(8, 0);
    let (first, copy) = (ring.fd, copied_low(&ring));
    assert_eq!(descriptors::close(first), Some(Ok(())));
    assert_eq!(descriptors::close(first), None);
    assert!(works(&mut ring, copy.as_raw_fd()));
    let end = parks_a_read(&mut ring, copy.as_raw_fd());
    // Copies of the copy nobody hears of at all.
    let another = copy.try_clone().unwrap();
    drop(copy);
    drop(Client::new(8, 0));
    assert!(works(&mut ring, another.as_raw_fd()));
    assert!(!is_let_go(&end, 20));
    drop(another);
    // It is found out when a ring comes or goes.
    drop(Client::new(8, 0));
    assert!(is_let_go(&end, 2000));
    std::mem::forget(ring);
}

#[test]
fn the_ring_closes_with_the_last_that_is_heard_of() {
    let mut ring = Client::new(8, 0);
    let number = ring.fd.raw();
    drop(copied_low(&ring));
    let end = parks_a_read(&mut ring, number);
    drop(ring);
    assert!(is_let_go(&end, 2000));
}

/// Who is in a call has the ring, as in the kernel; with the last it closes.
#[test]
fn a_ring_that_is_closed_under_a_waiter_waits_for_it() {
    let mut ring = Client::new(8, 0);
    let number = ring.fd.raw();
    let end = parks_a_read(&mut ring, number);
    let later = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
    let mut timeout = sqe(op::TIMEOUT, -1, 3);
    (timeout.addr, timeout.len) = ((&raw const later) as u64, 1);
    ring.push(timeout);
    assert_eq!(ring.enter(1, 0), Ok(1));
    let waited = std::thread::scope(|threads| {
        let waiter = threads.spawn(|| {
            let caller = Caller::default();
            sysring_engine::enter(number as u32, 0, 1, enter::GETEVENTS, User::NULL, 8, &caller)
        });
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(descriptors::close(ring.fd), Some(Ok(())));
        assert_eq!(enter_by(number, 0), Err(Errno::EBADF));
        assert!(!is_let_go(&end, 20));
        waiter.join().unwrap()
    });
    assert_eq!(waited, Ok(0));
    let seen = ring.reap();
    assert_eq!((seen.len(), seen[0].user_data, seen[0].res), (1, 3, Errno::ETIME.to_res()));
    assert!(is_let_go(&end, 2000));
    std::mem::forget(ring);
}
