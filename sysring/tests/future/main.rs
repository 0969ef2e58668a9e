//! Futures over a ring, on the kernel's io_uring and on the engine, under several executors.

mod cancel;
mod common;
mod executor;
mod net;
#[path = "../shared/refused.rs"]
mod refused;
mod runtimes;
