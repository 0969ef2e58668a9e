//! The client, on the kernel's io_uring and on the engine, beside what plain calls answer.

mod common;
mod queues;
mod setup;
mod transfers;
