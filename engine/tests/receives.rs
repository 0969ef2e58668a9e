//! Receives that go on: into buffers of a group, up to a limit.

mod client;

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use client::{Client, sqe};
use sysring_sys::abi::io_uring::{
    BufEntry, BufReg, cqe_flags, op, pbuf_ring, recvsend, register, sqe_flags,
};
use sysring_sys::{Errno, User};

/// What the shots of a receive bring that may receive so much in all, of 40 bytes into buffers of 16:
/// the results, and whether more shots come; and what is in the third buffer.
fn shots(limit: u32, completions: u32) -> (Vec<(i32, bool)>, [u8; 16]) {
    let (near, mut far) = UnixStream::pair().unwrap();
    let mut memory = [[0u8; 16]; 4];
    let mut ring = Client::new(8, 0);
    let mut provide = sqe(op::PROVIDE_BUFFERS, memory.len() as i32, 1);
    (provide.addr, provide.len) = (memory.as_mut_ptr() as u64, 16);
    ring.push(provide);
    let mut receive = sqe(op::RECV, near.as_raw_fd(), 2);
    (receive.flags, receive.ioprio) = (sqe_flags::BUFFER_SELECT, recvsend::RECV_MULTISHOT);
    // All shots together: `file_index` and this share a place in an SQE.
    receive.file_index = limit;
    ring.push(receive);
    far.write_all(&[7; 40]).unwrap();
    assert_eq!(ring.enter(2, 1 + completions), Ok(2));
    let seen = ring.reap();
    let seen = seen.iter().filter(|c| c.user_data == 2);
    (seen.map(|c| (c.res, c.flags & cqe_flags::MORE != 0)).collect(), memory[2])
}

#[test]
fn the_limit_of_all_shots_lets_the_last_fill_its_buffer() {
    // It was to be 4: but a buffer that is taken is filled, as in Linux 6.18.
    assert_eq!(shots(20, 2), (vec![(16, true), (16, false)], [0; 16]));
}

#[test]
fn a_limit_that_is_negative_as_a_signed_number_is_reached_by_the_first_shot() {
    assert_eq!(shots(u32::MAX, 1), (vec![(16, false)], [0; 16]));
    assert_eq!(shots(i32::MAX as u32, 3).0, [(16, true), (16, true), (8, true)]);
}

/// Memory that can be read only.
fn read_only(len: usize) -> *const u8 {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: new memory, which stays for as long as the process does.
    let got = unsafe { libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ, flags, -1, 0) };
    assert!(got != libc::MAP_FAILED);
    got.cast()
}

#[test]
fn a_header_that_cannot_be_written_is_told_of_before_all_has_come() {
    let (near, mut far) = UnixStream::pair().unwrap();
    let mut memory = [0u8; 64];
    let mut ring = Client::new(8, 0);
    let mut provide = sqe(op::PROVIDE_BUFFERS, 1, 1);
    (provide.addr, provide.len) = (memory.as_mut_ptr() as u64, 64);
    ring.push(provide);
    let mut receive = sqe(op::RECVMSG, near.as_raw_fd(), 2);
    // A header of zeroes: no name, no vector, no control messages.
    (receive.addr, receive.len) = (read_only(4096) as u64, 1);
    (receive.flags, receive.op_flags) = (sqe_flags::BUFFER_SELECT, libc::MSG_WAITALL as u32);
    ring.push(receive);
    far.write_all(&[7; 20]).unwrap();

    assert_eq!(ring.enter(2, 2), Ok(2));

    let seen: Vec<_> = ring.reap().iter().map(|c| (c.user_data, c.res, c.flags)).collect();
    assert_eq!(seen, [(1, 0, 0), (2, Errno::EFAULT.to_res(), 0)]);
}

#[repr(align(4096))]
struct Entries([BufEntry; 8]);

#[test]
fn what_waits_for_all_has_used_no_more_of_its_buffer_than_has_come() {
    let (near, mut far) = UnixStream::pair().unwrap();
    let mut memory = [0u8; 64];
    let mut ring = Client::new(8, 0);
    let mut entries = Entries([BufEntry::default(); 8]);
    entries.0[0] = BufEntry { addr: memory.as_mut_ptr() as u64, len: 64, bid: 0, resv: 1 };
    let at = entries.0.as_ptr() as u64;
    let shape =
        BufReg { ring_addr: at, ring_entries: 8, flags: pbuf_ring::INC, ..BufReg::default() };
    let fd = ring.fd.raw() as u32;
    let at = (&raw const shape) as u64;
    assert_eq!(sysring_engine::register(fd, register::PBUF_RING, User::new(at), 1), Ok(0));
    let mut receive = sqe(op::RECV, near.as_raw_fd(), 1);
    (receive.flags, receive.len) = (sqe_flags::BUFFER_SELECT, 50);
    receive.op_flags = libc::MSG_WAITALL as u32;
    far.write_all(&[7; 20]).unwrap();
    ring.push(receive);
    assert_eq!(ring.enter(1, 0), Ok(1));
    assert!(ring.reap().is_empty());

    // The group's number, and how many of its buffers are used up.
    let mut status = [0u32; 10];
    let at = (&raw mut status) as u64;
    assert_eq!(sysring_engine::register(fd, register::PBUF_STATUS, User::new(at), 1), Ok(0));
    assert_eq!(status[1], 0);
    far.write_all(&[8; 30]).unwrap();
    assert_eq!(ring.enter(0, 1), Ok(0));
    let seen: Vec<_> = ring.reap().iter().map(|c| (c.user_data, c.res, c.flags)).collect();
    assert_eq!(seen, [(1, 50, cqe_flags::BUFFER)]);
    assert_eq!(memory[..51], *[[7; 20].as_slice(), &[8; 30], &[0]].concat());
}

/// What a bundle came to: the result, the number of the first buffer, and whether more waits.
type Told = (i32, u32, bool);

/// What bundles receive that ask for so much each, of so many bytes into four buffers of 16.
fn bundles(sent: usize, asked: &[u32]) -> Vec<Told> {
    let (near, far) = UnixStream::pair().unwrap();
    bundles_from(near.as_raw_fd(), far, 0, sent, asked)
}

/// The same of any two sockets, with flags as `recv(2)` has them.
fn bundles_from(
    near: i32,
    mut far: impl Write,
    flags: u32,
    sent: usize,
    asked: &[u32],
) -> Vec<Told> {
    let mut memory = [[0u8; 16]; 4];
    let mut ring = Client::new(8, 0);
    let mut entries = Entries([BufEntry::default(); 8]);
    for (id, (entry, buffer)) in (0..).zip(entries.0.iter_mut().zip(&mut memory)) {
        *entry = BufEntry { addr: buffer.as_mut_ptr() as u64, len: 16, bid: id, resv: 0 };
    }
    // The tail lies in the first entry.
    entries.0[0].resv = memory.len() as u16;
    let at = entries.0.as_ptr() as u64;
    let shape = BufReg { ring_addr: at, ring_entries: 8, ..BufReg::default() };
    let fd = ring.fd.raw() as u32;
    let at = (&raw const shape) as u64;
    assert_eq!(sysring_engine::register(fd, register::PBUF_RING, User::new(at), 1), Ok(0));
    far.write_all(&vec![7; sent]).unwrap();
    let mut receive = |&len: &u32| {
        let mut receive = sqe(op::RECV, near, 1);
        receive.op_flags = flags;
        (receive.flags, receive.ioprio) = (sqe_flags::BUFFER_SELECT, recvsend::BUNDLE);
        receive.len = len;
        ring.push(receive);
        assert_eq!(ring.enter(1, 1), Ok(1));
        let [cqe] = ring.reap()[..] else { panic!("one completion") };
        assert_ne!(cqe.flags & cqe_flags::BUFFER, 0);
        let more = cqe.flags & cqe_flags::SOCK_NONEMPTY != 0;
        (cqe.res, cqe.flags >> cqe_flags::BUFFER_SHIFT, more)
    };
    asked.iter().map(&mut receive).collect()
}

#[test]
fn what_a_bundle_asks_for_cuts_no_buffer_but_the_first() {
    assert_eq!(bundles(64, &[40, 10]), [(32, 0, true), (10, 2, true)]);
}

#[test]
fn a_bundle_that_asks_for_nothing_takes_no_part_of_a_third_buffer() {
    assert_eq!(bundles(20, &[0]), [(20, 0, false)]);
    assert_eq!(bundles(50, &[0, 0]), [(48, 0, true), (2, 3, false)]);
    assert_eq!(bundles(64, &[0]), [(64, 0, false)]);
}

#[test]
fn of_what_tcp_throws_away_a_bundle_takes_one_buffer() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (near, _) = listener.accept().unwrap();
    let near = near.as_raw_fd();
    assert_eq!(bundles_from(near, &far, libc::MSG_TRUNC as u32, 64, &[0]), [(16, 0, true)]);
    // What is left comes as ever.
    assert_eq!(bundles_from(near, &far, 0, 0, &[0]), [(48, 0, false)]);
}
