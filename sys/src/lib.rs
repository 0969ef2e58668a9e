//! Raw Linux system calls with kernel-style results.
//!
//! Every call returns a value or an [`Errno`]; there is no `errno` variable, no thread-local
//! storage, no allocation and no libc anywhere below this line. The crate loads into glibc, musl,
//! static and Go processes alike, and works on threads made with a bare `clone` on small stacks.
//!
//! Calls leave through **one** instruction, the gate ([`arch::gate_address`]): a seccomp filter that traps the
//! io_uring calls of a process recognises the engine's own calls by that address, and a fault
//! injector has one place to stand. (Until somebody asks where that is, those of which many follow each other
//! are made in their place: [`arch::syscall_in_place`].) Four have instructions of their own, because there is no stack for the gate to return on: `clone`
//! ([`arch::clone_thread`]), `munmap` and `exit` at the end of a thread ([`arch::unmap_and_exit`]), and
//! `rt_sigreturn` ([`arch::sigreturn_address`]).
//!
//! Memory that belongs to the application is named by [`User`], an address this crate never
//! dereferences: it is handed to the kernel, which answers `EFAULT` where a load of ours would
//! have crashed the process.

#![cfg_attr(not(test), no_std)]

pub mod abi;
pub mod arch;
pub mod copy;
mod errno;
pub mod front;
pub mod kick;
pub mod odds;
pub mod sync;
mod types;

pub mod call;
pub mod vdso;

pub use errno::{Errno, Result};
pub use linux_raw_sys as raw;
pub use types::{Fd, User};
