//! What the threads of the engine and of the application race for, apart from everything else.
//!
//! Here is what each side may read and write of the words they share, in which order, and who wakes
//! whom. The engine runs this code; `cargo xtask model` runs it in every interleaving of small cases,
//! with the model checker's atomics, futexes and locks in the place of the processor's and the
//! kernel's ([`atomic`]).

#![cfg_attr(not(loom), no_std)]

pub mod atomic;
mod cq;
mod crew;
mod inbox;
#[cfg(all(test, loom))]
mod models;
mod office;
mod pool;
mod sq;
mod waiters;

pub use cq::{Completions, Cq};
pub use crew::{Crew, Hands, Keeps};
pub use inbox::{Handle, Inbox};
pub use office::Office;
pub use pool::{Calls, Line, Load, Most, PATIENCE, Pool, Standing};
pub use sq::{Entries, Sq};
pub use waiters::{Place, Posted, Turn, Waiters, Wish};
