//! cat: files to standard output, through a ring.
//!
//!     cargo run -p sysring --example cat -- FILE…

use std::error::Error;

use sysring::owned::{Handle, OpenOptions, Ring, Tail};

fn main() -> Result<(), Box<dyn Error>> {
    let ring = Ring::new(8)?;
    let stdout = Handle::stdout();
    let mut buffer = Vec::with_capacity(64 * 1024);
    for path in std::env::args_os().skip(1) {
        let file = ring.open(path, OpenOptions::reading()).wait()?;
        loop {
            let (count, bytes) = ring.read(&file, buffer).wait();
            if count? == 0 {
                buffer = bytes;
                break;
            }
            buffer = write_all(&ring, &stdout, bytes)?;
        }
    }
    Ok(())
}

fn write_all(ring: &Ring, to: &Handle, mut bytes: Vec<u8>) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut written = 0;
    while written < bytes.len() {
        let (count, rest) = ring.write(to, Tail::new(bytes, written)).wait();
        written += count?;
        bytes = rest.into_inner();
    }
    Ok(bytes)
}
