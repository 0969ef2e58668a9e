//! Futures over a ring, whatever runs them.
//!
//! An [`Operation`](crate::owned::Operation) is a future, and [`File`], [`TcpListener`],
//! [`TcpStream`], [`UdpSocket`] and [`sleep`] are made of operations. None of them knows which
//! executor polls it, and none uses a thread of its own. What they need is somebody who hands the
//! ring's submissions over and its completions out:
//!
//! - [`block_on`] and [`Executor`], which sleep in the ring itself. One thread, no other reactor.
//! - [`drive`], a future that does it in any runtime that can wait for a descriptor: tokio, smol.
//!
//! ```
//! use sysring::future::{File, block_on};
//! use sysring::owned::Ring;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let ring = Ring::new(64)?;
//! let text = block_on(&ring, async {
//!     let file = File::open(&ring, "/proc/version").await?;
//!     let (count, bytes) = file.read_at(Vec::with_capacity(256), 0).await;
//!     count.map(|_| bytes)
//! })?;
//! assert!(text.starts_with(b"Linux"));
//! # Ok(()) }
//! ```
//!
//! # Batches
//! What tasks start is submitted when they have nothing more to do at the moment: one call of the
//! kernel for all that a round of them has begun.
//!
//! # Dropping a future
//! `select!`, timeouts and aborted tasks drop futures before they are done. Then the operation is
//! cancelled, without waiting. Memory is never lost (the ring keeps it until the kernel is done), and
//! neither is what the operation has taken from somewhere before the cancellation reached it:
//!
//! | dropped | what it may have done | what becomes of that |
//! |---|---|---|
//! | [`TcpListener::accept`] | taken a connection | the listener's next accept returns it |
//! | [`TcpStream::recv`] | taken bytes | the stream's next receives return them, in order |
//! | [`UdpSocket::recv_from`] | taken a datagram | the socket's next receive returns it |
//! | [`File::open`], [`TcpStream::connect`] | opened a descriptor | it is closed |
//! | [`File::read_at`] | read bytes | they are still in the file |
//! | [`TcpStream::send`], [`File::write_at`] | written all, a part or nothing | it is written: ask the peer, or the file |
//! | [`sleep`] | nothing | |
//!
//! The buffer that a dropped future owned is freed when the kernel has let go of it.

mod drive;
mod executor;
mod file;
mod kept;
mod tcp;
mod time;
mod udp;

pub use drive::drive;
pub use executor::{Executor, Task, block_on};
pub use file::File;
pub use tcp::{TcpListener, TcpStream};
pub use time::{Elapsed, sleep, timeout};
pub use udp::UdpSocket;
