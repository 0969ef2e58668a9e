//! Sends: of vectors, with a second completion, and of buffers from a group.

mod client;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use client::{Client, sqe};
use sysring_sys::abi::io_uring::{
    BufEntry, BufReg, NOTIF_USAGE_ZC_COPIED, Sqe, cqe_flags, op, recvsend, register, setup,
    sqe_flags,
};
use sysring_sys::{Errno, User};

const WAITALL: u32 = 0x100;

/// Bytes that tell their place.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i / 251 + i) as u8).collect()
}

#[test]
fn a_vector_is_sent_whole_and_in_order_through_a_socket_that_fills_up() {
    let (near, mut far) = UnixStream::pair().unwrap();
    let data = pattern(3 << 20);
    let mut vector: Vec<[u64; 2]> =
        data.chunks(700_001).map(|chunk| [chunk.as_ptr() as u64, chunk.len() as u64]).collect();
    let mut ring = Client::new(8, 0);
    let mut send = sqe(op::SEND, near.as_raw_fd(), 1);
    (send.addr, send.len) = (vector.as_ptr() as u64, vector.len() as u32);
    (send.ioprio, send.op_flags) = (recvsend::SEND_VECTORIZED, WAITALL);
    ring.push(send);
    assert_eq!(ring.enter(1, 0), Ok(1));
    assert!(ring.reap().is_empty(), "a socket does not hold so much");
    // The vector was the application's for the length of the submission only.
    vector.fill([1, 1]);
    let reader = std::thread::spawn(move || {
        let mut got = vec![0; 3 << 20];
        far.read_exact(&mut got).unwrap();
        got
    });
    assert_eq!(ring.enter(0, 1), Ok(0));
    let seen: Vec<_> = ring.reap().iter().map(|c| (c.user_data, c.res, c.flags)).collect();
    assert_eq!(seen, [(1, 3 << 20, 0)]);
    assert!(reader.join().unwrap() == data);
}

/// A connection through the loopback device.
fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

fn send_zc(fd: i32, user_data: u64, data: &[u8]) -> Sqe {
    let mut send = sqe(op::SEND_ZC, fd, user_data);
    (send.addr, send.len) = (data.as_ptr() as u64, data.len() as u32);
    send
}

fn told(ring: &mut Client) -> Vec<(u64, i32, u32)> {
    ring.reap().iter().map(|c| (c.user_data, c.res, c.flags)).collect()
}

const MORE: u32 = cqe_flags::MORE;
const NOTIF: u32 = cqe_flags::NOTIF;

#[test]
fn a_send_without_a_copy_completes_twice_and_says_that_it_copied() {
    let (near, mut far) = tcp();
    let mut ring = Client::new(8, 0);
    let mut send = send_zc(near.as_raw_fd(), 7, b"hello");
    send.ioprio = recvsend::SEND_ZC_REPORT_USAGE;
    ring.push(send);
    assert_eq!(ring.enter(1, 2), Ok(1));
    assert_eq!(told(&mut ring), [(7, 5, MORE), (7, NOTIF_USAGE_ZC_COPIED as i32, NOTIF)]);
    let mut got = [0; 5];
    far.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"hello");
}

#[test]
fn a_link_that_is_cancelled_still_notifies_once_each() {
    let (near, _far) = tcp();
    let mut ring = Client::new(8, 0);
    let mut fails = sqe(op::READ, -1, 1);
    fails.flags = sqe_flags::IO_LINK;
    ring.push(fails);
    let mut send = send_zc(near.as_raw_fd(), 2, b"x");
    send.flags = sqe_flags::IO_LINK;
    ring.push(send);
    ring.push(send_zc(near.as_raw_fd(), 3, b"x"));
    assert_eq!(ring.enter(3, 5), Ok(3));
    let mut seen = told(&mut ring);
    seen.sort_unstable();
    let canceled = Errno::ECANCELED.to_res();
    let expected = [
        (1, Errno::EBADF.to_res(), 0),
        (2, canceled, 0),
        (2, 0, NOTIF),
        (3, canceled, 0),
        (3, 0, NOTIF),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn what_is_refused_at_once_notifies_only_if_it_had_begun_to_be_a_send() {
    let (near, _far) = tcp();
    let mut ring = Client::new(8, setup::SUBMIT_ALL);
    let mut reserved = send_zc(near.as_raw_fd(), 1, b"x");
    reserved.addr3 = 1;
    let mut silent = send_zc(near.as_raw_fd(), 2, b"x");
    silent.flags = sqe_flags::CQE_SKIP_SUCCESS;
    let mut unknown = send_zc(near.as_raw_fd(), 3, b"x");
    unknown.ioprio = recvsend::BUNDLE;
    for refused in [reserved, silent, unknown] {
        ring.push(refused);
    }
    assert_eq!(ring.enter(3, 4), Ok(3));
    let mut seen = told(&mut ring);
    seen.sort_unstable();
    let wrong = Errno::EINVAL.to_res();
    assert_eq!(seen, [(1, wrong, 0), (2, wrong, 0), (3, wrong, MORE), (3, 0, NOTIF)]);
}

#[test]
fn a_send_that_waits_notifies_when_it_is_cancelled() {
    let (near, _far) = tcp();
    near.set_nonblocking(true).unwrap();
    while (&near).write(&[0; 1 << 16]).is_ok() {}
    let mut ring = Client::new(8, 0);
    ring.push(send_zc(near.as_raw_fd(), 1, b"x"));
    assert_eq!(ring.enter(1, 0), Ok(1));
    assert_eq!(told(&mut ring), []);
    let mut cancel = sqe(op::ASYNC_CANCEL, -1, 2);
    cancel.addr = 1;
    ring.push(cancel);
    assert_eq!(ring.enter(1, 3), Ok(1));
    let mut seen = told(&mut ring);
    seen.sort_unstable();
    assert_eq!(seen, [(1, Errno::ECANCELED.to_res(), MORE), (1, 0, NOTIF), (2, 0, 0)]);
}

#[test]
fn a_drain_waits_for_notifications_and_not_for_its_own() {
    let (near, _far) = tcp();
    let mut ring = Client::new(8, 0);
    for user_data in [1, 2, 3] {
        let mut send = send_zc(near.as_raw_fd(), user_data, b"x");
        send.flags = sqe_flags::IO_DRAIN;
        ring.push(send);
    }
    assert_eq!(ring.enter(3, 6), Ok(3));
    let expected: Vec<_> = (1..=3).flat_map(|i| [(i, 1, MORE), (i, 0, NOTIF)]).collect();
    assert_eq!(told(&mut ring), expected);
}

#[test]
fn every_one_of_many_sends_completes_and_notifies_exactly_once() {
    const ROUNDS: u64 = 400;
    const BATCH: u64 = 8;
    let (near, mut far) = tcp();
    let data = pattern(20_000);
    let reader = std::thread::spawn(move || {
        let mut total = 0;
        let mut some = vec![0; 50_000];
        while let n @ 1.. = far.read(&mut some).unwrap() {
            total += n;
        }
        total
    });
    let mut ring = Client::new(16, 0);
    let mut seen = vec![(0, 0); (ROUNDS * BATCH) as usize];
    let mut sent = 0;
    for round in 0..ROUNDS {
        for i in 0..BATCH {
            let mut send = send_zc(near.as_raw_fd(), round * BATCH + i, &data);
            send.op_flags = WAITALL;
            send.flags = if i + 1 < BATCH { sqe_flags::IO_LINK } else { 0 };
            ring.push(send);
        }
        assert_eq!(ring.enter(BATCH as u32, 2 * BATCH as u32), Ok(BATCH as usize));
        for (user_data, res, flags) in told(&mut ring) {
            let (completions, notifications) = &mut seen[user_data as usize];
            if flags == NOTIF {
                *notifications += 1;
            } else {
                assert_eq!((res, flags), (data.len() as i32, MORE));
                *completions += 1;
                sent += res as usize;
            }
        }
    }
    assert!(seen.iter().all(|counts| *counts == (1, 1)));
    drop(near);
    assert_eq!(reader.join().unwrap(), sent);
}

#[repr(C, align(4096))]
struct BufferRing([BufEntry; 8]);

/// Registers a ring of buffers that hold `data`, in pieces.
fn provide(ring: &Client, group: u16, data: &[u8], piece: usize) -> Box<BufferRing> {
    let mut buffers = Box::new(BufferRing([BufEntry::default(); 8]));
    let mut filled = 0;
    for (entry, piece) in buffers.0.iter_mut().zip(data.chunks(piece)) {
        (entry.addr, entry.len, entry.bid) = (piece.as_ptr() as u64, piece.len() as u32, filled);
        filled += 1;
    }
    // The tail lies where the first entry is reserved.
    buffers.0[0].resv = filled;
    let at = buffers.0.as_ptr() as u64;
    let shape = BufReg { ring_addr: at, ring_entries: 8, bgid: group, ..BufReg::default() };
    let answer = sysring_engine::register(
        ring.fd.raw() as u32,
        register::PBUF_RING,
        User::new((&raw const shape) as u64),
        1,
    );
    assert_eq!(answer, Ok(0));
    buffers
}

#[test]
fn a_bundle_that_fills_the_socket_goes_on_to_its_end() {
    let (near, mut far) = UnixStream::pair().unwrap();
    let data = pattern(5 << 19);
    let mut ring = Client::new(8, 0);
    let mut buffers = provide(&ring, 3, &data[..4 << 19], 1 << 19);
    let mut send = sqe(op::SEND, near.as_raw_fd(), 1);
    (send.flags, send.ioprio) = (sqe_flags::BUFFER_SELECT, recvsend::BUNDLE);
    send.buf_index = 3;
    ring.push(send);
    assert_eq!(ring.enter(1, 0), Ok(1));
    assert_eq!(told(&mut ring), [], "a socket does not hold so much");
    // What is added now was not there when the bundle was made up.
    buffers.0[4] =
        BufEntry { addr: data[4 << 19..].as_ptr() as u64, len: 1 << 19, bid: 4, resv: 0 };
    buffers.0[0].resv = 5;
    let reader = std::thread::spawn(move || {
        let mut got = Vec::new();
        far.read_to_end(&mut got).unwrap();
        got
    });
    assert_eq!(ring.enter(0, 1), Ok(0));
    assert_eq!(told(&mut ring), [(1, 4 << 19, cqe_flags::BUFFER)]);
    ring.push(send);
    assert_eq!(ring.enter(1, 1), Ok(1));
    let fourth = cqe_flags::BUFFER | 4 << cqe_flags::BUFFER_SHIFT;
    assert_eq!(told(&mut ring), [(1, 1 << 19, fourth)]);
    drop(near);
    assert!(reader.join().unwrap() == data);
}

#[test]
fn a_send_keeps_the_buffer_it_has_taken_and_names_it_whatever_comes_of_it() {
    let (near, far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    while (&near).write(&[0; 1 << 16]).is_ok() {}
    let data = pattern(2000);
    let mut ring = Client::new(8, 0);
    let _buffers = provide(&ring, 3, &data, 1000);
    for user_data in [1, 2, 3] {
        let mut send = sqe(op::SEND, near.as_raw_fd(), user_data);
        (send.flags, send.buf_index) = (sqe_flags::BUFFER_SELECT, 3);
        ring.push(send);
    }
    assert_eq!(ring.enter(3, 1), Ok(3));
    assert_eq!(told(&mut ring), [(3, Errno::ENOBUFS.to_res(), 0)]);
    drop(far);
    assert_eq!(ring.enter(0, 2), Ok(0));
    let mut seen = told(&mut ring);
    seen.sort_unstable();
    let second = cqe_flags::BUFFER | 1 << cqe_flags::BUFFER_SHIFT;
    let broken = Errno::EPIPE.to_res();
    assert_eq!(seen, [(1, broken, cqe_flags::BUFFER), (2, broken, second)]);
}
