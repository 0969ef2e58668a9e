//! Ring descriptors, and the hooks that keep the engine's picture of them true.
//!
//! A ring descriptor is an epoll instance: pollable, nests in epoll, refuses `read`. All of them,
//! and every descriptor the engine keeps for itself, lie at [`FLOOR`] or above, so that a seccomp
//! filter, which sees numbers only, can pass every other `close`, `dup` and `epoll_ctl` by.
//!
//! A number leads to a ring (`table`), whose memory stays (`pool`); who uses the ring has a hold on
//! it (`hold`), who may come for it a handle (`handle`). Copies below the floor are in no table
//! (`stray`).

mod close;
mod dup;
mod handle;
mod hold;
mod leave;
mod locks;
mod mmap;
mod open;
mod own;
mod pool;
mod stray;
mod table;
mod unshare;
mod watched;

pub use close::{close, close_range};
pub use dup::{dup, dup_onto};
pub(crate) use handle::{add_handle_if_open, drop_handle};
pub use hold::{Held, get};
pub(crate) use hold::{OPEN, Visit, after_fork, each, hold, put};
pub(crate) use leave::leave;
pub(crate) use locks::{duplicate_file, keep_file, let_go_of_file};
pub use mmap::mmap;
pub(crate) use open::{create, create_nameless};
pub(crate) use own::{duplicate, keep, let_go};
pub use stray::find;
pub(crate) use stray::{find_to_visit, get_anew, is_of_ring};
pub(crate) use table::leads_to;
pub use table::{FLOOR, is_internal, is_ring};
pub(crate) use unshare::tables;
pub use unshare::unshared;
pub use watched::watched;
pub(crate) use watched::watched_by_operation;
