//! Sends: of vectors, with a second completion, and of buffers from a group.

mod client;

use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use client::{Client, sqe};
use sysring_sys::abi::io_uring::{op, recvsend};

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
