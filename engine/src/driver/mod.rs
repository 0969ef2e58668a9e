//! The driver: completes what is ready while nobody is in `enter`.
//!
//! A program that waits in `enter` drives its own ring. One that spins on the completion queue,
//! polls the ring descriptor or waits on an eventfd cannot: for its rings one thread of the
//! process sleeps on their epoll instances and their timers.
//!
//! Who goes leaves a ring (`leave`) to it, in one of several ways (`care`); the thread (`run`) is
//! started when one is left for the first time (`start`).

mod announce;
mod bell;
mod care;
mod leave;
mod office;
mod run;
mod start;
mod tend;
mod watchers;

pub(crate) use bell::{ask_to_settle, call_parents, has_bell};
pub(crate) use care::come_at;
pub(crate) use office::{is_there, rest};
pub use start::prepare;
pub(crate) use start::{after_fork, hang_bell, renew, replace};
pub(crate) use watchers::{polls_a_ring, tend_watchers_of};
