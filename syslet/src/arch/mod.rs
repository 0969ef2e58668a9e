//! What depends on the processor: the call that can be left in the middle, and who goes on after it.
//!
//! Where there is no such call, [`plain`] is all, and scopes run every call to its end.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub use aarch64::plain;
#[cfg(target_arch = "x86_64")]
pub use x86_64::*;

/// A system call as it is handed over.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    pub number: usize,
    pub args: [usize; 6],
}
