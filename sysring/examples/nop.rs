//! One operation through the `io-uring` crate, wherever io_uring is refused.
//!
//!     cargo run -p sysring --example nop
//!     SYSRING_ENGINE=user cargo run -p sysring --example nop

use std::error::Error;

use io_uring::{IoUring, opcode};

fn main() -> Result<(), Box<dyn Error>> {
    let engine = sysring::install()?;
    println!("io_uring is served by {engine}");

    let mut ring = IoUring::new(8)?;
    let nop = opcode::Nop::new().build().user_data(42);
    // SAFETY: a NOP uses no memory.
    unsafe { ring.submission().push(&nop)? };
    ring.submit_and_wait(1)?;
    let completion = ring.completion().next().ok_or("no completion")?;
    println!("operation {} returned {}", completion.user_data(), completion.result());
    Ok(())
}
