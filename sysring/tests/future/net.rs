//! Sockets.

use std::net::Shutdown;

use sysring::future::{Executor, TcpListener, TcpStream, UdpSocket, block_on};
use sysring::owned::Ring;

use crate::common::both;

/// Sends back what comes until the peer has finished.
pub async fn echo(stream: TcpStream) {
    let mut buffer = Vec::with_capacity(4096);
    loop {
        let (count, bytes) = stream.recv(buffer).await;
        if count.unwrap() == 0 {
            return;
        }
        let (sent, bytes) = stream.send_all(bytes).await;
        sent.unwrap();
        buffer = bytes;
    }
}

/// Talks to an echo server.
pub async fn client(ring: &Ring, address: std::net::SocketAddr, seed: u8) {
    let stream = TcpStream::connect(ring, address).await.unwrap();
    for round in 0..20u8 {
        let message = vec![seed ^ round; 1 + 37 * usize::from(round)];
        let message = if round % 2 == 0 {
            let (sent, message) = stream.send_all(message).await;
            sent.unwrap();
            message
        } else {
            let rest = message[1..].to_vec();
            let (sent, _) = stream.send_all_vectored(([message[0]], rest)).await;
            assert_eq!(sent, Ok(message.len()));
            message
        };
        let mut back = Vec::new();
        while back.len() < message.len() {
            let (count, bytes) = stream.recv(Vec::with_capacity(4096)).await;
            assert!(count.unwrap() > 0);
            back.extend_from_slice(&bytes);
        }
        assert_eq!(back, message);
    }
    stream.shutdown(Shutdown::Write).await.unwrap();
    assert_eq!(stream.recv([0; 1]).await.0, Ok(0));
}

#[test]
fn a_server_and_its_clients_on_one_thread() {
    both(|ring| {
        let executor = Executor::new(&ring);
        let listener = TcpListener::bind(&ring, "127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        executor.run(async {
            let spawner = executor.clone();
            let _server = executor.spawn(async move {
                loop {
                    drop(spawner.spawn(echo(listener.accept().await.unwrap())));
                }
            });
            let clients: Vec<_> = (0..8)
                .map(|i| {
                    let ring = ring.clone();
                    executor.spawn(async move { client(&ring, address, i).await })
                })
                .collect();
            for client in clients {
                client.await;
            }
        });
    });
}

#[test]
fn datagrams_go_there_and_back() {
    both(|ring| {
        block_on(&ring, async {
            let one = UdpSocket::bind(&ring, "127.0.0.1:0").unwrap();
            let other = UdpSocket::bind(&ring, "127.0.0.1:0").unwrap();
            let (here, there) = (one.local_addr().unwrap(), other.local_addr().unwrap());
            assert_eq!(one.send_to("ping", there).await.0, Ok(4));
            assert_eq!(other.recv_from([0; 8]).await.0, Ok((4, here)));
        });
    });
}
