//! One accepted submission, from `prepare` to its last CQE: what is known of it, what it owns, and
//! where it is kept.

mod copied;
mod file;
pub mod flag;
mod handle;
mod queue;
mod slab;
mod stage;

pub use copied::Copied;
pub use file::File;
pub use handle::{Links, Req, Request};
pub use queue::Queue;
pub use slab::Slab;
pub use stage::{At, Stage};
