//! An echo server: one thread, a task for each connection.
//!
//!     cargo run -p sysring --example echo -- 127.0.0.1:7000

use std::error::Error;

use sysring::Errno;
use sysring::future::{Executor, TcpListener, TcpStream};
use sysring::owned::Ring;

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:0".into());
    let ring = Ring::new(256)?;
    let listener = TcpListener::bind(&ring, address)?;
    println!("listening on {}", listener.local_addr()?);

    let executor = Executor::new(&ring);
    executor.run(async {
        loop {
            let stream = listener.accept().await?;
            drop(executor.spawn(async {
                if let Err(error) = echo(stream).await {
                    eprintln!("{error}");
                }
            }));
        }
    })
}

async fn echo(stream: TcpStream) -> Result<(), Errno> {
    let mut buffer = Vec::with_capacity(16 * 1024);
    loop {
        let (received, bytes) = stream.recv(buffer).await;
        if received? == 0 {
            return Ok(());
        }
        let (sent, bytes) = stream.send_all(bytes).await;
        sent?;
        buffer = bytes;
    }
}
