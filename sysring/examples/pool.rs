//! An echo server whose idle connections need no buffers: the kernel takes one from a pool when there
//! is something to receive, and it is sent back as it is.
//!
//!     cargo run -p sysring --example pool -- 127.0.0.1:7000

use std::error::Error;
use std::net::TcpListener;
use std::time::Duration;

use sysring::Errno;
use sysring::future::Executor;
use sysring::owned::{Handle, Pool, Ring};

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:0".into());
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);

    let ring = Ring::new(256)?;
    let pool = Pool::new(&ring, 256, 4096)?;
    let executor = Executor::new(&ring);
    executor.run(async {
        // One operation that brings every connection, and one for each that brings all its bytes.
        let mut connections = ring.accept_multi(&listener.into());
        while let Some(connection) = connections.next().await {
            let (connection, ring, pool) = (connection?, ring.clone(), pool.clone());
            drop(executor.spawn(async move {
                if let Err(error) = echo(&ring, &connection, &pool).await {
                    eprintln!("{error}");
                }
            }));
        }
        Ok(())
    })
}

async fn echo(ring: &Ring, connection: &Handle, pool: &Pool) -> Result<(), Errno> {
    loop {
        let mut incoming = ring.recv_multi(connection, pool);
        while let Some(lease) = incoming.next().await {
            match lease {
                Ok(lease) if lease.is_empty() => return Ok(()),
                // The buffer goes back to the pool when it is sent.
                Ok(lease) => drop(ring.send_all(connection, lease).await.0?),
                // All of them are on their way to slow peers: begin anew a little later.
                Err(Errno::ENOBUFS) => ring.sleep(Duration::from_millis(1)).await?,
                Err(error) => return Err(error),
            }
        }
    }
}
