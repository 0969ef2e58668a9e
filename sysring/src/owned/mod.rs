//! The safe layer: operations own their buffers until they have ended.
//!
//! A [`Ring`] makes [`Operation`]s; each owns its arguments and holds on to its file. Nothing that
//! safe code can do, such as dropping or forgetting an operation, a ring or a file, lets the kernel
//! write to memory that was freed, or work on a file that happens to have got an old number.
//!
//! ```
//! use sysring::owned::{OpenOptions, Ring};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let ring = Ring::new(8)?;
//! let file = ring.open("/proc/version", OpenOptions::reading()).wait()?;
//!
//! // Two reads under way at once; each gives its buffer back.
//! let mut first = ring.read_at(&file, vec![0; 5], 0);
//! let mut second = ring.read_at(&file, [0; 7], 6);
//! first.start();
//! second.start();
//! let (count, bytes) = first.wait();
//! assert_eq!((count?, &bytes[..]), (5, &b"Linux"[..]));
//! let (count, bytes) = second.wait();
//! assert_eq!((count?, &bytes), (7, b"version"));
//! # Ok(()) }
//! ```
//!
//! An operation can be waited for, as above, or awaited: it is a future. [`future`](crate::future)
//! has what that needs, and files, sockets and timers on top.
//!
//! # What happens to
//! - **a buffer**: it comes back with the result, also when the operation failed. Buffers are what
//!   implements [`Buf`] and [`BufMut`]: `Vec<u8>`, `Box<[u8]>`, arrays, static slices, … Several go
//!   together as a [`BufSet`] or [`BufMutSet`]: vectors, arrays and tuples of them.
//! - **a dropped operation**: it is cancelled, which takes no time; its memory stays with the ring
//!   until the kernel is done. The documentation of each operation says what becomes of what it
//!   brought.
//! - **a forgotten operation** (`mem::forget`): it goes on, and its memory stays.
//! - **a dropped ring**: the last handle, of which each operation has one, waits for what was
//!   cancelled, for [`Ring::PATIENCE`] at most; what is not over then is leaked.
//! - **a file**: [`Handle`] is shared, and each operation has a clone.
//!
//! # What must not compile
//! A buffer cannot be looked at while the kernel writes to it: the operation owns it.
//!
//! ```compile_fail,E0382
//! # use sysring::owned::{Handle, Ring};
//! fn peek(ring: &Ring, file: &Handle) {
//!     let buffer = vec![0; 4096];
//!     let mut read = ring.read_at(file, buffer, 0);
//!     read.start();
//!     println!("{}", buffer[0]); // moved into the operation
//! }
//! ```
//!
//! A borrowed buffer is none, for a forgotten operation would outlive it.
//!
//! ```compile_fail,E0277
//! # use sysring::owned::{Handle, Ring};
//! fn lend(ring: &Ring, file: &Handle) {
//!     let mut buffer = vec![0; 4096];
//!     ring.read_at(file, &mut buffer, 0).start();
//! }
//! ```
//!
//! ```compile_fail,E0597
//! # use sysring::owned::{Handle, Ring};
//! fn lend(ring: &Ring, file: &Handle) {
//!     let text = String::from("gone soon");
//!     ring.write(file, text.as_str()).start(); // not 'static
//! }
//! ```
//!
//! One buffer cannot be read into twice at once.
//!
//! ```compile_fail,E0382
//! # use sysring::owned::{Handle, Ring};
//! fn twice(ring: &Ring, file: &Handle) {
//!     let buffer = vec![0; 4096];
//!     ring.read_at(file, buffer, 0).start();
//!     ring.read_at(file, buffer, 4096).start();
//! }
//! ```
//!
//! Nor can a registered buffer, nor one that is leased from a pool be seen after it went back.
//!
//! ```compile_fail,E0382
//! # use sysring::owned::{FixedBuf, Handle, Ring};
//! fn twice(ring: &Ring, file: &Handle, buffer: FixedBuf) {
//!     ring.read_fixed(file, buffer, 0).start();
//!     ring.read_fixed(file, buffer, 4096).start();
//! }
//! ```
//!
//! ```compile_fail,E0505
//! # use sysring::owned::Lease;
//! fn after(lease: Lease) -> u8 {
//!     let bytes = &lease[..];
//!     drop(lease); // the kernel's again
//!     bytes[0]
//! }
//! ```
//!
//! Memory that other threads may not have cannot be a buffer: the ring may free it on any of them.
//!
//! ```compile_fail,E0277
//! # use sysring::owned::{Handle, Ring};
//! fn send(ring: &Ring, file: &Handle, bytes: std::rc::Rc<[u8]>) {
//!     ring.write(file, bytes).start();
//! }
//! ```
//!
//! Whoever makes buffers or operations of their own must promise what these rest on.
//!
//! ```compile_fail,E0200
//! struct Mine(Vec<u8>);
//! impl sysring::owned::Buf for Mine {
//!     fn ptr(&self) -> *const u8 { self.0.as_ptr() }
//!     fn len(&self) -> usize { self.0.len() }
//! }
//! ```

mod address;
mod buf;
mod bundle;
mod datagram;
mod direct;
mod file;
mod fixed;
mod handle;
mod memory;
mod operation;
mod outbox;
mod paths;
mod pool;
mod request;
mod ring;
mod sets;
mod shared;
mod slots;
mod socket;
mod state;
mod stream;
mod time;
mod turn;
mod vectored;

pub use buf::{Buf, BufMut, Head, Tail};
pub(crate) use buf::{fill, filled_part};
pub use bundle::RecvBundle;
pub use datagram::{RecvFrom, SendTo};
pub use file::{Close, Fsync, Open, OpenOptions, Read, ReadFixed, WithBuf, Write, WriteFixed};
pub use fixed::FixedBuf;
pub use handle::{Handle, Place};
pub use operation::{Operation, Startable};
pub use outbox::{Outbox, SendBundle};
pub use paths::{CreateDir, HardLink, Remove, Rename, Statx, Symlink};
pub use pool::{Lease, Pool};
pub use request::{Completion, Multishot, Request};
pub use ring::Ring;
pub(crate) use ring::WeakRing;
pub use sets::{BufMutSet, BufSet};
pub use shared::SharedBuf;
pub use socket::{
    Accept, AcceptFrom, AcceptMulti, Connect, Recv, RecvPooled, Send, SendZc, ShutDown, Socket,
    SocketKind,
};
pub use stream::Stream;
pub use time::{Nop, Poll, Sleep};
pub(crate) use turn::Sleep as Turn;
pub use vectored::{ReadV, RecvVectored, SendVectored, WithBufs, WriteV};
