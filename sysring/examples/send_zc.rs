//! Sends a file to whoever connects first, from the buffers themselves, without copying.
//!
//!     cargo run -p sysring --example send_zc -- FILE 127.0.0.1:7000

use std::error::Error;
use std::net::TcpListener;
use std::sync::Arc;

use sysring::owned::{Ring, Tail};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: send_zc FILE [ADDRESS]")?;
    let listener = TcpListener::bind(arguments.next().unwrap_or("127.0.0.1:0".into()))?;
    println!("listening on {}", listener.local_addr()?);

    let ring = Ring::new(64)?;
    let data: Arc<[u8]> = std::fs::read(path)?.into();
    let (connection, peer) = ring.accept_from(&listener.into()).wait()?;

    // How much the socket has taken is known early, and the next part can follow. A part is over
    // when the network is done with it; until then the operation keeps the data.
    let mut on_the_wire = Vec::new();
    let mut sent = 0;
    while sent < data.len() {
        let mut send = ring.send_zc(&connection, Tail::new(data.clone(), sent));
        sent += send.wait_result()? as usize;
        on_the_wire.push(send);
    }
    let parts = on_the_wire.len();
    for send in on_the_wire {
        send.wait().0?;
    }
    println!("sent {sent} bytes to {peer} in {parts} parts");
    Ok(())
}
