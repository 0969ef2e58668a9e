//! The client, on the kernel's io_uring and on the engine, beside what plain calls answer.

mod asked;
mod buffers;
mod common;
mod events;
mod files;
mod limits;
mod mixed;
mod names;
mod operations;
mod processes;
mod queues;
mod registered;
mod setup;
#[path = "../shared/signal.rs"]
mod signal;
mod sockets;
mod transfers;
mod waits;
