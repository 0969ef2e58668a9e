//! liburing's C library: the same symbols, structures and answers, without libc, and with
//! sysring's engine where the kernel's io_uring is refused.
//!
//! Programs are compiled against liburing's own headers, whose inline functions read and write
//! [`ring::IoUring`] themselves; what the functions here do and answer is said in liburing's man
//! pages (section 3). A negated errno is the answer to every failure, and no global `errno`,
//! thread-local storage, allocator or undefined symbol is involved.
//!
//! Which engine serves is decided once in a process: see [`choice`].

#![cfg_attr(not(test), no_std)]
// Symbols of a C library: liburing's man pages are their documentation.
#![allow(missing_docs)]

mod app_memory;
mod buf_ring;
pub mod choice;
mod cqe;
mod door;
mod ffi;
#[cfg(feature = "object")]
#[path = "../../preload/src/freestanding/library.rs"]
mod freestanding;
mod probe;
mod queue;
mod register;
mod resize;
mod resources;
pub mod ring;
mod ring_fd;
mod size;
mod submit;
mod syscall;
mod version;
mod wait;
