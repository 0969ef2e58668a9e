//! The interrupted thread, as the signal frame describes it.

use sysring_sys::abi::signal::SigSet;

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub use aarch64::{Context, init};
#[cfg(target_arch = "x86_64")]
pub use x86_64::{Context, init};

/// `stack_t`: the alternate signal stack the thread had when the signal came.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct AltStack {
    start: usize,
    flags: i32,
    len: usize,
}

impl AltStack {
    const SS_DISABLE: i32 = 2;

    /// An alternate stack.
    pub fn new(start: usize, len: usize) -> AltStack {
        AltStack { start, flags: 0, len }
    }

    /// Whether the thread has one. (After `exec` there is none, though its flags may say so.)
    pub fn is_set(&self) -> bool {
        self.flags & Self::SS_DISABLE == 0 && self.len != 0
    }

    /// The end of the alternate stack, if `address` lies on it.
    pub fn end_if_on(&self, address: usize) -> Option<usize> {
        let on = self.is_set() && address >= self.start && address - self.start < self.len;
        on.then_some(self.start.wrapping_add(self.len))
    }
}

impl Context {
    /// The mask the thread returns to; of the application's making, SIGSYS always out of it.
    pub fn sigmask(&self) -> SigSet {
        self.sigmask
    }

    /// Sets the mask the thread returns to.
    pub fn set_sigmask(&mut self, mask: SigSet) {
        self.sigmask = mask;
    }
}
