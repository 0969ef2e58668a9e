//! Doing nothing.

use super::{Fixed, abi, alone, operation};
use crate::ring::{Sqe, Sqe128};

/// `IORING_NOP_*`.
mod flag {
    pub const INJECT_RESULT: u32 = 1 << 0;
    pub const FILE: u32 = 1 << 1;
    pub const FIXED_FILE: u32 = 1 << 2;
    pub const FIXED_BUFFER: u32 = 1 << 3;
    pub const CQE32: u32 = 1 << 5;
}

operation! {
    /// Does nothing, and completes (Linux 5.1): to measure, to test, to wake who waits.
    ///
    /// The value is 0, or what [`result`](Nop::result) says.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use sysring::{Ring, op};
    ///
    /// let mut ring = Ring::new(8)?;
    /// // SAFETY: it uses no memory.
    /// unsafe { ring.push(op::Nop::new().result(7))? };
    /// ring.submit_and_wait(1)?;
    /// assert_eq!(ring.completion().unwrap().result()?, 7);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// - `EBADF`: there is no such [`file`](Nop::file).
    /// - `EFAULT`: there is no such [`buffer`](Nop::buffer).
    /// - `EINVAL`: an option that the kernel does not know.
    Nop = NOP
}

impl Nop {
    /// Nothing to be done.
    #[inline(always)]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Nop {
        Nop(alone(Nop::CODE))
    }

    /// Completes with this result, a value or a negated error number (Linux 6.6).
    #[inline]
    pub fn result(mut self, result: i32) -> Nop {
        self.0.op_flags |= flag::INJECT_RESULT;
        self.0.len = result as u32;
        self
    }

    /// Looks this registered file up (Linux 6.13).
    #[inline]
    pub fn file(mut self, file: Fixed) -> Nop {
        self.0.op_flags |= flag::FILE | flag::FIXED_FILE;
        self.0.fd = file.0 as i32;
        self
    }

    /// Looks this registered buffer up (Linux 6.13).
    #[inline]
    pub fn buffer(mut self, index: u16) -> Nop {
        self.0.op_flags |= flag::FIXED_BUFFER;
        self.0.buf_index = index;
        self
    }

    /// Completes with 32 bytes, of which these are the [last](crate::MixedCqe::extra) (Linux 6.18; on
    /// rings with such completions).
    #[inline]
    pub fn extra(mut self, extra: [u64; 2]) -> Nop {
        self.0.op_flags |= flag::CQE32;
        [self.0.off, self.0.addr] = extra;
        self
    }
}

/// As [`Nop`], in an entry of 128 bytes (Linux 6.19).
///
/// # Errors
/// `EINVAL` before Linux 6.19, and on rings whose entries are all of one size.
#[derive(Clone, Copy, Debug)]
#[must_use = "a builder does nothing until its entry is pushed"]
pub struct Nop128(());

impl Nop128 {
    /// The operation's number: `IORING_OP_NOP128`.
    pub const CODE: u8 = abi::op::NOP128;

    /// Nothing to be done.
    #[inline]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Nop128 {
        Nop128(())
    }

    /// The entry.
    #[inline]
    pub fn build(self) -> Sqe128 {
        Sqe::from_raw(alone(Nop128::CODE)).into()
    }
}

impl From<Nop128> for Sqe128 {
    fn from(builder: Nop128) -> Sqe128 {
        builder.build()
    }
}
