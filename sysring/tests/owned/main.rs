//! The safe layer, on the kernel's io_uring and on the engine.

mod bundles;
mod common;
mod drops;
mod files;
mod links;
mod old;
mod polling;
mod pools;
#[path = "../shared/refused.rs"]
mod refused;
mod sockets;
mod threads;
