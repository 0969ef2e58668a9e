//! A proxy: what comes to one address is handed on to another, and what comes back, back.
//!
//!     cargo run -p sysring --example proxy -- 127.0.0.1:8080 TARGET:PORT

use std::error::Error;
use std::net::{Shutdown, ToSocketAddrs};

use sysring::Errno;
use sysring::future::{Executor, TcpListener, TcpStream};
use sysring::owned::Ring;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [from, to] = arguments.as_slice() else { return Err("usage: proxy FROM TO".into()) };
    let to = to.to_socket_addrs()?.next().ok_or("the target has no address")?;
    let ring = Ring::new(256)?;
    let listener = TcpListener::bind(&ring, from)?;
    println!("listening on {}", listener.local_addr()?);

    let executor = Executor::new(&ring);
    executor.run(async {
        loop {
            let client = listener.accept().await?;
            let (ring, spawner) = (ring.clone(), executor.clone());
            drop(executor.spawn(async move {
                match TcpStream::connect(&ring, to).await {
                    Ok(server) => {
                        drop(spawner.spawn(hand_on(client.clone(), server.clone())));
                        drop(spawner.spawn(hand_on(server, client)));
                    }
                    Err(error) => eprintln!("{to}: {error}"),
                }
            }));
        }
    })
}

/// One direction. When it ends, the other side is told that nothing more will come.
async fn hand_on(from: TcpStream, to: TcpStream) {
    if let Err(error) = copy(&from, &to).await {
        eprintln!("{error}");
    }
    // An error says that the connection is gone already.
    let _ = to.shutdown(Shutdown::Write).await;
}

async fn copy(from: &TcpStream, to: &TcpStream) -> Result<(), Errno> {
    let mut buffer = Vec::with_capacity(16 * 1024);
    loop {
        let (received, bytes) = from.recv(buffer).await;
        if received? == 0 {
            return Ok(());
        }
        let (sent, bytes) = to.send_all(bytes).await;
        sent?;
        buffer = bytes;
    }
}
