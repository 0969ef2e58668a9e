//! Sockets.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, UdpSocket};

use sysring::Errno;
use sysring::owned::{Handle, SocketKind};

use crate::common::both;

#[test]
fn a_connection_is_made_taken_used_and_ended() {
    both(|ring| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let listener = Handle::from(listener);
        let mut accept = ring.accept_from(&listener);
        accept.start();
        let client = ring.socket(&address, SocketKind::Stream).wait().unwrap();
        ring.connect(&client, address).wait().unwrap();
        let (server, peer) = accept.wait().unwrap();
        assert_eq!(peer.ip(), address.ip());

        let mut recv = ring.recv(&server, Vec::with_capacity(64));
        recv.start();
        assert_eq!(ring.send(&client, "to the server").wait().0, Ok(13));
        assert_eq!(recv.wait().1, b"to the server");
        assert_eq!(ring.shutdown(&client, Shutdown::Write).wait(), Ok(()));
        assert_eq!(ring.recv(&server, [0; 1]).wait().0, Ok(0));
        drop(client);
        let again = ring.connect(&server, address).wait();
        assert_eq!(again, Err(Errno::EISCONN));
        let nobody: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let client = ring.socket(&nobody, SocketKind::Stream).wait().unwrap();
        assert_eq!(ring.connect(&client, nobody).wait(), Err(Errno::ECONNREFUSED));
    });
}

#[test]
fn connections_come_in_a_stream() {
    both(|ring| {
        let listener = TcpListener::bind("[::1]:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut connections = ring.accept_multi(&listener.into());
        for i in 0..20u8 {
            let mut client = std::net::TcpStream::connect(address).unwrap();
            client.write_all(&[i]).unwrap();
            let server = connections.wait_next().unwrap().unwrap();
            assert_eq!(ring.recv(&server, [0]).wait(), (Ok(1), [i]));
        }
        connections.cancel();
        assert_eq!(connections.wait_next().unwrap().unwrap_err(), Errno::ECANCELED);
        assert!(connections.wait_next().is_none());
    });
}

#[test]
fn sends_without_copying_give_the_buffer_back_last() {
    both(|ring| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let server = Handle::from(listener.accept().unwrap().0);
        let data: Vec<u8> = (0..64 * 1024).map(|i| (i / 7) as u8).collect();
        let mut send = ring.send_zc(&server, data.clone());
        let taken = send.wait_result().unwrap() as usize;
        let mut got = vec![0; taken];
        client.read_exact(&mut got).unwrap();
        assert_eq!(got, data[..taken]);
        let (count, back) = send.wait();
        assert_eq!((count, back), (Ok(taken), data));
        // What fails has no notification.
        let closed = Handle::from(std::fs::File::open("/dev/null").unwrap());
        assert_eq!(ring.send_zc(&closed, "x").wait().0, Err(Errno::ENOTSOCK));
    });
}

#[test]
fn all_of_a_large_buffer_is_sent() {
    both(|ring| {
        let (mut us, them) = std::os::unix::net::UnixStream::pair().unwrap();
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            us.read_to_end(&mut all).unwrap();
            all.len()
        });
        let them = Handle::from(them);
        assert_eq!(ring.send_all(&them, vec![1; 4 << 20]).wait().0, Ok(4 << 20));
        drop(them);
        assert_eq!(reader.join().unwrap(), 4 << 20);
    });
}

#[test]
fn datagrams_have_addresses() {
    both(|ring| {
        let us = UdpSocket::bind("127.0.0.1:0").unwrap();
        let them = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (here, there) = (us.local_addr().unwrap(), them.local_addr().unwrap());
        let them = Handle::from(them);
        let mut recv = ring.recv_from(&them, Vec::with_capacity(16));
        recv.start();
        us.send_to(b"ping", there).unwrap();
        let (received, bytes) = recv.wait();
        assert_eq!((received, &bytes[..]), (Ok((4, here)), &b"ping"[..]));
        assert_eq!(ring.send_to(&them, "pong", here).wait().0, Ok(4));
        let mut back = [0; 16];
        assert_eq!(us.recv_from(&mut back).unwrap(), (4, there));
    });
}

#[test]
fn several_buffers_are_one_message() {
    both(|ring| {
        let (us, them) = std::os::unix::net::UnixDatagram::pair().unwrap();
        let (us, them) = (Handle::from(us), Handle::from(them));
        assert_eq!(ring.send_vectored(&us, ("one ", vec![b'm'; 2], [b'!'])).wait().0, Ok(7));
        let (count, parts) = ring.recv_vectored(&them, ([0; 4], vec![0; 9])).wait();
        assert_eq!((count, &parts.0, &parts.1[..]), (Ok(7), b"one ", &b"mm!"[..]));

        let (us, them) = std::os::unix::net::UnixStream::pair().unwrap();
        let (us, them) = (Handle::from(us), Handle::from(them));
        // More than the socket holds: it goes on when there is room.
        let mut send = ring.send_all_vectored(&us, [vec![b'a'; 300_000], vec![b'b'; 300_000]]);
        send.start();
        let mut all = Vec::new();
        while all.len() < 600_000 {
            let (count, parts) = ring.recv_vectored(&them, [vec![0; 1000], vec![0; 70_000]]).wait();
            assert_ne!(count.unwrap(), 0);
            all.extend(parts.concat());
        }
        assert_eq!(send.wait().0, Ok(600_000));
        assert_eq!(all.iter().position(|byte| *byte == b'b'), Some(300_000));
        drop(them);
        // No signal comes.
        assert_eq!(ring.send_vectored(&us, ["a", "b"]).wait().0, Err(Errno::EPIPE));
    });
}
