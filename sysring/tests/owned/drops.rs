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

#[test]
fn a_file_is_closed_also_when_there_is_no_room_to_say_so() {
    for engine in [sysring::Engine::Kernel, sysring::Engine::User] {
        let builder = sysring::Ring::builder().engine(engine);
        let Ok(ring) = Ring::with(&builder, 1) else {
            println!("skipped: on the kernel: there is no io_uring");
            continue;
        };
        let (reader, writer) = pipe();
        // Two entries, for which a queue of one has no room.
        let close = ring.close(writer).within(Duration::from_secs(60));
        assert_eq!(close.wait(), Err(Errno::E2BIG));
        assert_eq!(ring.read(&reader, [0; 1]).wait().0, Ok(0), "the other end is open");
    }
}

#[test]
fn a_cancelled_stream_can_be_drained() {
    use std::task::{Context, Poll, Waker};

    for engine in [sysring::Engine::Kernel, sysring::Engine::User] {
        let builder = sysring::Ring::builder().engine(engine).cq_entries(2);
        let Ok(ring) = Ring::with(&builder, 2) else {
            println!("skipped: on the kernel: there is no io_uring");
            continue;
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut connections = ring.accept_multi(&listener.into());
        connections.start();
        ring.submit().unwrap();
        // More than there is room to tell of: it stops by itself.
        let _clients: Vec<_> = (0..6).map(|_| TcpStream::connect(address).unwrap()).collect();
        ring.submit().unwrap();
        connections.cancel();
        let mut context = Context::from_waker(Waker::noop());
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut next = move || loop {
            assert!(Instant::now() < deadline, "it does not end");
            if let Poll::Ready(item) = connections.poll_next(&mut context) {
                return item;
            }
            ring.wait(Some(Duration::from_millis(10)));
        };
        while let Some(item) = next() {
            assert!(matches!(item, Ok(_) | Err(Errno::ECANCELED)), "{item:?}");
        }
        assert!(next().is_none());
    }
}

#[test]
fn a_stream_that_is_cancelled_first_does_not_begin() {
    both(|ring| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut connections = ring.accept_multi(&listener.into());
        connections.cancel();
        assert!(connections.wait_next().is_none());
    });
}

#[test]
fn an_invalid_operation_does_not_keep_others_from_room() {
    both(|ring| {
        // The kernel stops submission behind each entry that is invalid.
        let options = sysring::owned::OpenOptions::reading();
        let mut invalid: Vec<_> = (0..8).map(|_| ring.open("a\0b", options)).collect();
        invalid.iter_mut().for_each(|open| open.start());
        let mut nops: Vec<_> = (0..6).map(|_| ring.nop()).collect();
        let mut chain: Vec<&mut dyn sysring::owned::Startable> =
            nops.iter_mut().map(|nop| nop as &mut dyn sysring::owned::Startable).collect();
        assert_eq!(ring.link(&mut chain), Ok(()));
        for nop in nops {
            assert_eq!(nop.wait(), Ok(()));
        }
        for open in invalid {
            assert_eq!(open.wait().unwrap_err(), Errno::EINVAL);
        }
    });
}

#[test]
fn what_drains_holds_no_cancellation_back() {
    both(|ring| {
        let alive = Alive::default();
        let (reader, _writer) = pipe();
        let mut before = ring.read(&reader, alive.buffer(8));
        let mut drained = ring.read(&reader, alive.buffer(8)).drain();
        let mut behind = ring.read(&reader, alive.buffer(8));
        before.start();
        drained.start();
        behind.start();
        ring.submit().unwrap();
        // Held back yet, and so are the requests to cancel them.
        drop(drained);
        drop(behind);
        drop(before);
        settle(&ring);
        assert_eq!(alive.count(), 0);

        // The ring is dropped with all of them.
        let mut before = ring.read(&reader, alive.buffer(8));
        let mut drained = ring.read(&reader, alive.buffer(8)).drain();
        before.start();
        drained.start();
        ring.submit().unwrap();
        drop((drained, before));
        drop(ring);
        assert_eq!(alive.count(), 0);
    });
}
