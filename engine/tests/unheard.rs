//! An engine to which nobody tells the calls of the application, as in a library: what the
//! application does by itself with a ring's descriptor.

mod client;

use std::sync::atomic::{AtomicU16, Ordering};

use client::{Client, sqe};
use sysring_engine::{descriptors, process};
use sysring_sys::abi::io_uring::{
    BufEntry, BufReg, MemRegionReg, OFF_PBUF_RING, OFF_PBUF_SHIFT, RegionDesc, op, pbuf_ring,
    register, setup, sqe_flags,
};
use sysring_sys::{Errno, Fd, User};

const GROUP: u16 = 7;

impl Client {
    fn register<T>(&self, call: u32, argument: &mut T) {
        let argument = User::of(std::ptr::from_mut(argument).cast());
        assert_eq!(sysring_engine::register(self.fd.raw() as u32, call, argument, 1), Ok(0));
    }

    /// A plain `mmap` of the descriptor.
    fn map_plainly(&self, offset: u64) -> *mut u8 {
        let (protection, fd) = (libc::PROT_READ | libc::PROT_WRITE, self.fd.raw());
        let none = std::ptr::null_mut();
        // SAFETY: a new mapping where the kernel chooses.
        let at = unsafe { libc::mmap(none, 4096, protection, libc::MAP_SHARED, fd, offset as i64) };
        assert_ne!(at, libc::MAP_FAILED, "{}", std::io::Error::last_os_error());
        at.cast()
    }

    fn one(&mut self, entry: sysring_sys::abi::io_uring::Sqe) -> i32 {
        self.push(entry);
        assert_eq!(self.enter(1, 1), Ok(1));
        self.reap()[0].res
    }
}

/// What `poll` says of a descriptor at once.
fn polled(fd: i32) -> i16 {
    let mut polled = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry.
    unsafe { libc::poll(&raw mut polled, 1, 0) };
    polled.revents
}

fn epoll(set: i32, how: i32, fd: i32) -> i32 {
    let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 5 };
    // SAFETY: an event of ours.
    unsafe { libc::epoll_ctl(set, how, fd, &raw mut event) }
}

#[test]
fn a_ring_of_buffers_is_mapped_by_a_plain_call() {
    process::set_unheard();
    let mut ring = Client::new(8, 0);
    // SAFETY: takes a number.
    let set = unsafe { libc::epoll_create1(0) };
    assert_eq!(epoll(set, libc::EPOLL_CTL_ADD, ring.fd.raw()), 0);
    for group in [GROUP, GROUP + 1] {
        let flags = pbuf_ring::MMAP;
        let mut shape = BufReg { ring_entries: 4, bgid: group, flags, ..BufReg::default() };
        ring.register(register::PBUF_RING, &mut shape);
        let at = ring.map_plainly(OFF_PBUF_RING | u64::from(group) << OFF_PBUF_SHIFT);
        let mut taken = [0u8; 16];
        let entry = BufEntry { addr: taken.as_mut_ptr() as u64, len: 16, bid: 3, resv: 0 };
        // SAFETY: inside the mapping, whose last half word of the first entry is the tail.
        unsafe {
            at.cast::<BufEntry>().write(entry);
            AtomicU16::from_ptr(at.add(14).cast()).store(1, Ordering::Release);
        }
        let mut ends = [0; 2];
        // SAFETY: room for two descriptors, and bytes that are there.
        unsafe {
            assert_eq!(libc::pipe(ends.as_mut_ptr()), 0);
            assert_eq!(libc::write(ends[1], c"hello".as_ptr().cast(), 5), 5);
        }
        let mut read = sqe(op::READ, ends[0], 1);
        (read.flags, read.buf_index, read.off) = (sqe_flags::BUFFER_SELECT, group, u64::MAX);
        assert_eq!(ring.one(read), 5);
        assert_eq!(&taken[..5], b"hello");
    }
    // The descriptor is what it was, and in the set.
    assert_eq!(ring.enter(0, 0), Ok(0));
    // SAFETY: takes numbers.
    assert_eq!(unsafe { libc::fcntl(ring.fd.raw(), libc::F_GET_SEALS) }, -1);
    ring.push(sqe(op::NOP, -1, 2));
    assert_eq!(ring.enter(1, 1), Ok(1));
    assert_eq!((polled(ring.fd.raw()), polled(set)), (libc::POLLIN, libc::POLLIN));
    assert_eq!(epoll(set, libc::EPOLL_CTL_DEL, ring.fd.raw()), 0);
}

#[test]
fn who_polls_for_edges_hears_of_each_batch() {
    process::set_unheard();
    let mut ring = Client::new(8, 0);
    // SAFETY: takes a number.
    let set = unsafe { libc::epoll_create1(0) };
    let mut event = libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLET) as u32, u64: 5 };
    // SAFETY: an event of ours.
    unsafe { libc::epoll_ctl(set, libc::EPOLL_CTL_ADD, ring.fd.raw(), &raw mut event) };
    for round in 0..3 {
        ring.push(sqe(op::NOP, -1, round));
        assert_eq!(ring.enter(1, 0), Ok(1));
        // SAFETY: room for one event.
        assert_eq!(unsafe { libc::epoll_wait(set, &raw mut event, 1, 2000) }, 1, "{round}");
        assert_eq!(ring.reap().len(), 1);
    }
}

#[test]
fn a_region_is_mapped_by_a_plain_call() {
    process::set_unheard();
    let ring = Client::new(8, setup::R_DISABLED);
    let mut described = RegionDesc { size: 4096, ..RegionDesc::default() };
    let mut region =
        MemRegionReg { region_uptr: (&raw mut described) as u64, ..MemRegionReg::default() };
    ring.register(register::MEM_REGION, &mut region);
    let at = ring.map_plainly(described.mmap_offset);
    // SAFETY: the mapping.
    unsafe { at.write_volatile(1) };
}

#[test]
fn a_copy_of_the_descriptor_is_known_and_outlives_it() {
    process::set_unheard();
    let mut ring = Client::new(8, 0);
    let other = Client::new(8, 0);
    let first = ring.fd;
    // SAFETY: takes numbers.
    ring.fd = Fd::new(unsafe { libc::dup(first.raw()) });
    assert!(ring.fd.raw() < first.raw());
    assert_eq!(ring.one(sqe(op::NOP, -1, 1)), 0);
    // SAFETY: as above.
    assert_eq!(unsafe { libc::close(first.raw()) }, 0);
    assert_eq!(ring.one(sqe(op::NOP, -1, 1)), 0);
    // What is no copy of a ring is none.
    // SAFETY: takes a number.
    let set = unsafe { libc::epoll_create1(0) };
    let none = User::NULL;
    let caller = sysring_engine::Caller::default();
    let entered = sysring_engine::enter(set as u32, 0, 0, 0, none, 8, &caller);
    assert_eq!(entered, Err(Errno::EOPNOTSUPP));
    drop(other);
}

/// While the ring's number shows something else, too.
#[test]
fn a_copy_that_is_met_while_memory_is_shown_leaves_the_ring_its_number() {
    process::set_unheard();
    let mut ring = Client::new(8, 0);
    let first = ring.fd;
    let flags = pbuf_ring::MMAP;
    let mut shape = BufReg { ring_entries: 4, bgid: GROUP, flags, ..BufReg::default() };
    ring.register(register::PBUF_RING, &mut shape);
    // While the number shows the memory, no copy of the ring can be made of it.
    assert_eq!(ring.enter(0, 0), Ok(0));
    // SAFETY: takes a number.
    let copy = unsafe { libc::fcntl(first.raw(), libc::F_DUPFD, first.raw() + 1) };
    let copy = Fd::new(copy);
    let mut shape = BufReg { ring_entries: 4, bgid: GROUP + 1, flags, ..BufReg::default() };
    ring.register(register::PBUF_RING, &mut shape);
    // SAFETY: asks.
    assert_ne!(unsafe { libc::fcntl(first.raw(), libc::F_GET_SEALS) }, -1);
    ring.fd = copy;
    assert_eq!(ring.one(sqe(op::NOP, -1, 1)), 0);
    // SAFETY: asks.
    assert_eq!(unsafe { libc::fcntl(first.raw(), libc::F_GET_SEALS) }, -1);
    ring.fd = first;
    assert_eq!(ring.one(sqe(op::NOP, -1, 1)), 0);
    assert_eq!(descriptors::close(copy), Some(Ok(())));
}

/// A copy's number that is another file's, without a word.
#[test]
fn what_takes_the_place_of_a_copy_is_itself() {
    process::set_unheard();
    let mut ring = Client::new(8, 0);
    // SAFETY: takes numbers.
    let copy = Fd::new(unsafe { libc::dup(ring.fd.raw()) });
    let first = std::mem::replace(&mut ring.fd, copy);
    assert_eq!(ring.one(sqe(op::NOP, -1, 1)), 0);
    // Another ring's.
    let other = Client::new(8, 0);
    // SAFETY: takes a number that is ours.
    assert_eq!(unsafe { libc::dup2(other.fd.raw(), copy.raw()) }, copy.raw());
    ring.push(sqe(op::NOP, -1, 1));
    assert_eq!(ring.enter(1, 0), Ok(0));
    ring.fd = first;
    assert_eq!(ring.enter(1, 1), Ok(1));
    assert_eq!(ring.reap().len(), 1);
    let mut ends = [0; 2];
    // SAFETY: room for two descriptors; and numbers that are ours.
    unsafe {
        assert_eq!(libc::pipe(ends.as_mut_ptr()), 0);
        assert_eq!(libc::dup2(ends[0], copy.raw()), copy.raw());
    }
    let mut poll = sqe(op::POLL_ADD, copy.raw(), 2);
    poll.op_flags = libc::POLLOUT as u32;
    ring.push(poll);
    assert_eq!(ring.enter(1, 0), Ok(1));
    assert!(ring.reap().is_empty());
    assert_eq!(ring.one(sqe(op::CLOSE, copy.raw(), 3)), 0);
    // SAFETY: asks.
    assert_eq!(unsafe { libc::fcntl(copy.raw(), libc::F_GETFD) }, -1);
}

#[test]
fn the_ring_closes_with_its_last_copy() {
    process::set_unheard();
    let mut ring = Client::new(8, 0);
    let first = ring.fd;
    let mut ends = [0; 2];
    // SAFETY: room for two descriptors; and takes numbers.
    unsafe {
        assert_eq!(libc::pipe(ends.as_mut_ptr()), 0);
        ring.fd = Fd::new(libc::dup(first.raw()));
        assert_eq!(libc::close(first.raw()), 0);
    }
    let mut buffer = [0u8; 1];
    let mut read = sqe(op::READ, ends[0], 1);
    (read.addr, read.len, read.off) = (buffer.as_mut_ptr() as u64, 1, u64::MAX);
    ring.push(read);
    assert_eq!(ring.enter(1, 0), Ok(1));
    drop(ring);
    // Its request has let go of the pipe.
    // SAFETY: our own descriptor.
    unsafe { libc::close(ends[0]) };
    let given_up = (0..200).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        polled(ends[1]) & libc::POLLERR != 0
    });
    assert!(given_up);
}
