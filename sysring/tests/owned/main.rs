//! The safe layer, on the kernel's io_uring and on the engine.

mod common;
mod drops;
mod files;
mod links;
mod pools;
mod refused;
mod sockets;
mod threads;
