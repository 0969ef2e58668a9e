//! An echo server for datagrams.
//!
//!     cargo run -p sysring --example udp -- 127.0.0.1:7000

use std::error::Error;

use sysring::future::{UdpSocket, block_on};
use sysring::owned::Ring;

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:0".into());
    let ring = Ring::new(8)?;
    let socket = UdpSocket::bind(&ring, address)?;
    println!("listening on {}", socket.local_addr()?);

    block_on(&ring, async {
        let mut buffer = Vec::with_capacity(64 * 1024);
        loop {
            let (received, bytes) = socket.recv_from(buffer).await;
            let (_, peer) = received?;
            let (sent, bytes) = socket.send_to(bytes, peer).await;
            sent?;
            buffer = bytes;
        }
    })
}
