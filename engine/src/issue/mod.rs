//! The one road: inline, then readiness, then kernel AIO, then a worker.

mod credentials;
mod hold;
mod issued;
mod road;
mod workers;

pub use issued::{Issued, res};
