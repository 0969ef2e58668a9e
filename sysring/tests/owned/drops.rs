//! Operations, rings and files that are dropped or forgotten at every moment.

use std::mem::forget;
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use sysring::Errno;
use sysring::owned::{Handle, Ring};

use crate::common::{Alive, both, pipe};

/// Lets the ring hear of what has ended.
fn settle(ring: &Ring) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while ring.under_way() > 0 {
        assert!(Instant::now() < deadline, "{ring:?} is not cancelled");
        ring.wait(Some(Duration::from_millis(100)));
    }
}

#[test]
fn what_was_never_started_was_never_lent() {
    both(|ring| {
        let alive = Alive::default();
        drop(ring.read(&pipe().0, alive.buffer(8)));
        assert_eq!((alive.count(), ring.under_way()), (0, 0));
    });
}

#[test]
fn a_buffer_outlives_its_operation_until_it_is_cancelled() {
    both(|ring| {
        let alive = Alive::default();
        let (reader, writer) = pipe();
        for submitted in [false, true] {
            let mut read = ring.read(&reader, alive.buffer(8));
            read.start();
            if submitted {
                ring.submit().unwrap();
            }
            drop(read);
            settle(&ring);
            assert_eq!(alive.count(), 0);
        }
        // It did not take what came later.
        ring.write(&writer, "later").wait().0.unwrap();
        assert_eq!(ring.read(&reader, [0; 5]).wait().1, *b"later");
    });
}

#[test]
fn a_result_that_nobody_takes_is_dropped_with_its_buffer() {
    both(|ring| {
        let alive = Alive::default();
        let file = Handle::from(std::fs::File::open("/proc/version").unwrap());
        let mut read = ring.read_at(&file, alive.buffer(8), 0);
        read.start();
        while !read.is_over() {
            ring.wait(None);
        }
        assert_eq!(alive.count(), 1);
        drop(read);
        assert_eq!(alive.count(), 0);
    });
}

#[test]
fn a_forgotten_operation_goes_on() {
    both(|ring| {
        let alive = Alive::default();
        let (reader, writer) = pipe();
        let mut read = ring.read(&reader, alive.buffer(4));
        read.start();
        forget(read);
        ring.write(&writer, "taken and more").wait().0.unwrap();
        let (_, rest) = ring.read(&reader, Vec::with_capacity(16)).wait();
        assert_eq!(rest, b"n and more");
        assert_eq!(alive.count(), 1, "its result is there for ever");
    });
}

#[test]
fn the_last_handle_cancels_and_waits() {
    both(|ring| {
        let alive = Alive::default();
        let (reader, _writer) = pipe();
        let mut reads: Vec<_> = (0..20).map(|_| ring.read(&reader, alive.buffer(64))).collect();
        reads.iter_mut().for_each(|read| read.start());
        drop(ring);
        assert_eq!(alive.count(), 20, "operations keep the ring");
        drop(reads);
        assert_eq!(alive.count(), 0);
        // Nobody else has the pipe any more.
        assert!(reader.into_fd().is_ok());
    });
}

#[test]
fn a_connection_that_nobody_takes_is_closed() {
    both(|ring| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let listener = Handle::from(listener);
        let mut accept = ring.accept(&listener);
        accept.start();
        ring.submit().unwrap();
        let mut client = TcpStream::connect(address).unwrap();
        while !accept.is_over() {
            ring.wait(None);
        }
        drop(accept);
        assert_eq!(std::io::Read::read(&mut client, &mut [0]).unwrap(), 0);
    });
}

#[test]
fn a_stream_that_is_dropped_closes_what_has_arrived() {
    both(|ring| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut connections = ring.accept_multi(&listener.into());
        let mut clients: Vec<TcpStream> =
            (0..3).map(|_| TcpStream::connect(address).unwrap()).collect();
        let first = connections.wait_next().unwrap().unwrap();
        let _late = TcpStream::connect(address).unwrap();
        drop(connections);
        settle(&ring);
        clients.remove(0);
        for mut client in clients {
            assert_eq!(std::io::Read::read(&mut client, &mut [0]).unwrap_or(0), 0);
        }
        assert!(first.into_fd().is_ok(), "what was taken stays");
    });
}

#[test]
fn what_is_cancelled_while_it_ends_ends_once() {
    both(|ring| {
        let alive = Alive::default();
        let (reader, writer) = pipe();
        for round in 0..200 {
            let mut read = ring.read(&reader, alive.buffer(1));
            read.start();
            ring.submit().unwrap();
            ring.write(&writer, "x").wait().0.unwrap();
            if round % 2 == 0 {
                read.cancel();
            }
            let (count, _) = read.wait();
            if count == Err(Errno::ECANCELED) {
                assert_eq!(ring.read(&reader, [0]).wait().1, *b"x");
            }
        }
        assert_eq!((alive.count(), ring.under_way()), (0, 0));
    });
}
