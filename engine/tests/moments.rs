//! Files that are made non-blocking for a moment, by several threads.

mod client;

use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use client::{Client, sqe};
use sysring_engine::native::{Call, Context, Issued, Options, Order};
use sysring_sys::abi::io_uring::op;
use sysring_sys::raw::general as g;

const ROUNDS: u64 = 20_000;

/// Runs these at the same time; whether all came back.
fn all_come_back(works: Vec<Box<dyn FnOnce() + Send>>) {
    let (done, ended) = mpsc::channel();
    let count = works.len();
    for work in works {
        let done = done.clone();
        std::thread::spawn(move || {
            work();
            done.send(()).unwrap();
        });
    }
    drop(done);
    for i in 0..count {
        let answer = ended.recv_timeout(Duration::from_secs(60));
        assert_eq!(answer, Ok(()), "{i} of {count} came back");
    }
}

/// Accepts and cancels that, again and again: nobody connects.
fn accept_by_ring(listener: RawFd) {
    let mut ring = Client::new(8, 0);
    for i in 0..ROUNDS {
        ring.push(sqe(op::ACCEPT, listener, i));
        assert_eq!(ring.enter(1, 0), Ok(1));
        assert!(ring.reap().is_empty(), "round {i}: nobody has come, and yet it is answered");
        let mut cancel = sqe(op::ASYNC_CANCEL, -1, u64::MAX);
        cancel.addr = i;
        ring.push(cancel);
        assert_eq!(ring.enter(1, 2), Ok(1));
        assert_eq!(ring.reap().len(), 2);
    }
}

fn is_pending(context: &Context, nr: u32, args: [usize; 6]) {
    // SAFETY: no address is given.
    match unsafe { context.issue(&Call { nr, args }, &Order::default()) }.unwrap() {
        Issued::Done(answer) => panic!("nothing has come, and yet it is answered: {answer}"),
        Issued::Pending(id) => context.cancel(id).unwrap(),
    }
    let mut memory = [0; 64];
    context.wait(1, None, None).unwrap();
    context.next(&mut memory).unwrap().unwrap();
}

#[test]
fn threads_accept_from_one_listener_and_none_blocks() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let fd = listener.as_raw_fd();
    let by_call = move || {
        let context = Context::new(&Options::default()).unwrap();
        for _ in 0..ROUNDS {
            is_pending(&context, g::__NR_accept4, [fd as usize, 0, 0, 0, 0, 0]);
        }
    };
    all_come_back(vec![
        Box::new(move || accept_by_ring(fd)),
        Box::new(move || accept_by_ring(fd)),
        Box::new(by_call),
    ]);
    // SAFETY: asks for flags.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    assert_eq!(flags & libc::O_NONBLOCK, 0, "left as it was");
}

#[test]
fn a_moment_of_anothers_is_not_the_files_own() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let fd = socket.as_raw_fd();
    let over = Arc::new(AtomicBool::new(false));
    let until = over.clone();
    // Of a socket that knows no connections, connecting is a note that is made at once.
    let connects = move || {
        let mut ring = Client::new(8, 0);
        let address =
            // SAFETY: all zeroes are an address.
            libc::sockaddr_in { sin_family: 2, sin_port: 9, ..unsafe { std::mem::zeroed() } };
        while !until.load(Relaxed) {
            let mut connect = sqe(op::CONNECT, fd, 1);
            connect.addr = (&raw const address) as u64;
            connect.off = size_of_val(&address) as u64;
            ring.push(connect);
            assert_eq!(ring.enter(1, 1), Ok(1));
            assert_eq!(ring.reap()[0].res, 0);
        }
    };
    let receives = move || {
        let context = Context::new(&Options::default()).unwrap();
        for _ in 0..ROUNDS {
            is_pending(&context, g::__NR_recvfrom, [fd as usize, 0, 0, 0, 0, 0]);
        }
        over.store(true, Relaxed);
    };
    all_come_back(vec![Box::new(connects), Box::new(receives)]);
}
