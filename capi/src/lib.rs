//! Native calls for C: `sysring.h`, which is written from this room by `cargo xtask header`.
//!
//! Functions answer as the kernel does: a value, or a negated error number. There is no `errno`, no
//! thread-local storage, no allocator, and no undefined symbol.

#![cfg_attr(not(test), no_std)]
// The names are C's.
#![allow(non_camel_case_types)]

pub mod attributes;
pub mod batches;
pub mod calls;
#[cfg(feature = "object")]
#[path = "../../preload/src/freestanding/library.rs"]
mod freestanding;
pub mod types;
