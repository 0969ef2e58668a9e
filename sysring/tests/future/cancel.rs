//! Futures that are dropped at every moment: nothing that was taken is lost.

use std::io::{Read, Write};
use std::time::Duration;

use sysring::future::{TcpListener, TcpStream, UdpSocket, block_on, sleep};

use crate::common::{both, race, yield_now};

/// Polls a future a few times, and drops it. With no round it is dropped before it is submitted.
async fn give_up<T>(rounds: usize, future: impl Future<Output = T>) -> Option<T> {
    let patience = async {
        for _ in 0..rounds {
            yield_now().await;
        }
        None
    };
    race(async { Some(future.await) }, patience).await
}

#[test]
fn bytes_of_a_dropped_receive_come_with_the_next_in_order() {
    both(|ring| {
        let (mut us, them) = std::os::unix::net::UnixStream::pair().unwrap();
        let stream = TcpStream::new(&ring, them);
        const TOTAL: usize = 20_000;
        let writer = std::thread::spawn(move || {
            for chunk in (0..TOTAL).map(|i| i as u8).collect::<Vec<u8>>().chunks(7) {
                us.write_all(chunk).unwrap();
            }
        });
        let (mut got, mut dropped) = (Vec::new(), 0);
        block_on(&ring, async {
            while got.len() < TOTAL {
                match give_up(dropped % 4, stream.recv(Vec::with_capacity(5))).await {
                    Some((count, bytes)) => {
                        assert_eq!(count, Ok(bytes.len()));
                        assert!(!bytes.is_empty(), "the end came too early");
                        got.extend_from_slice(&bytes);
                    }
                    None => dropped += 1,
                }
            }
        });
        writer.join().unwrap();
        assert!(got.iter().enumerate().all(|(i, byte)| *byte == i as u8), "out of order");
        assert!(dropped > 0);
        assert_eq!(block_on(&ring, stream.recv([0; 1])).0, Ok(0));
    });
}

#[test]
fn a_receive_that_had_its_bytes_when_it_was_dropped() {
    both(|ring| {
        let (mut us, them) = std::os::unix::net::UnixStream::pair().unwrap();
        let stream = TcpStream::new(&ring, them);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let mut recv = Box::pin(stream.recv(vec![0; 64]));
        assert!(recv.as_mut().poll(&mut context).is_pending());
        us.write_all(b"taken, not seen").unwrap();
        ring.wait(Some(Duration::from_secs(10)));
        drop(recv);
        us.write_all(b"; seen").unwrap();
        block_on(&ring, async {
            assert_eq!(stream.recv(Vec::with_capacity(5)).await.1, b"taken");
            assert_eq!(stream.recv([0; 32]).await.0, Ok(10));
            assert_eq!(stream.recv(Vec::with_capacity(32)).await.1, b"; seen");
        });
    });
}

#[test]
fn connections_of_a_dropped_accept_come_with_the_next() {
    both(|ring| {
        let listener = TcpListener::bind(&ring, "127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        const CLIENTS: usize = 60;
        let clients = std::thread::spawn(move || {
            for i in 0..CLIENTS {
                let mut client = std::net::TcpStream::connect(address).unwrap();
                client.write_all(&[i as u8]).unwrap();
                let mut answer = [0];
                client.read_exact(&mut answer).unwrap();
                assert_eq!(answer, [i as u8]);
            }
        });
        block_on(&ring, async {
            let (mut served, mut dropped) = (0, 0);
            while served < CLIENTS {
                let Some(stream) = give_up(dropped % 4, listener.accept()).await else {
                    dropped += 1;
                    continue;
                };
                let stream = stream.unwrap();
                let (_, byte) = stream.recv([0; 1]).await;
                assert_eq!(stream.send_all(byte).await.0, Ok(1));
                served += 1;
            }
        });
        clients.join().unwrap();
    });
}

#[test]
fn datagrams_of_a_dropped_receive_come_with_the_next() {
    both(|ring| {
        let socket = UdpSocket::bind(&ring, "127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let from = sender.local_addr().unwrap();
        block_on(&ring, async {
            for i in 0..100u8 {
                assert!(give_up(usize::from(i % 3), socket.recv_from([0; 4])).await.is_none());
                sender.send_to(&[i], address).unwrap();
                if let Some(early) = give_up(usize::from(i % 2), socket.recv_from([0; 4])).await {
                    assert_eq!(early, (Ok((1, from)), [i, 0, 0, 0]));
                } else {
                    assert_eq!(socket.recv_from([9; 4]).await, (Ok((1, from)), [i, 9, 9, 9]));
                }
            }
        });
    });
}

#[test]
fn losers_of_a_race_leave_nothing_behind() {
    both(|ring| {
        let (_us, them) = std::os::unix::net::UnixStream::pair().unwrap();
        let stream = TcpStream::new(&ring, them);
        block_on(&ring, async {
            for _ in 0..50 {
                let recv = async { stream.recv(vec![0; 4096]).await.0.map(|_| ()) };
                race(recv, sleep(&ring, Duration::from_micros(200))).await.unwrap();
            }
        });
        while ring.under_way() > 0 {
            ring.wait(Some(Duration::from_secs(10)));
        }
        drop(ring);
        assert!(stream.handle().fd().is_some());
    });
}
