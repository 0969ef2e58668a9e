//! What a ring is allowed to do.

use sysring_sys::Errno;
use sysring_sys::abi::io_uring::{Restriction, register, restriction};

use super::Register;

/// What a ring is allowed: [`Register::restrict`], or all rings to come,
/// [`task::restrict`](crate::task::restrict). All that is not named is forbidden.
///
/// ```
/// use sysring::{Restrictions, op};
///
/// const READS: Restrictions<2> = Restrictions::new()
///     .operation(op::Read::CODE)
///     .operation(op::Close::CODE);
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Restrictions<const N: usize> {
    rules: [Restriction; N],
    count: usize,
}

impl<const N: usize> Restrictions<N> {
    /// Nothing is allowed yet; there is room for `N` rules.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Restrictions<N> {
        const NONE: Restriction = Restriction { opcode: 0, what: 0, resv: 0, resv2: [0; 3] };
        Restrictions { rules: [NONE; N], count: 0 }
    }

    pub(crate) fn rules(&self) -> &[Restriction] {
        &self.rules[..self.count]
    }

    /// # Panics
    /// If there are more than `N` rules.
    const fn with(mut self, opcode: u16, what: u8) -> Restrictions<N> {
        self.rules[self.count] = Restriction { opcode, what, resv: 0, resv2: [0; 3] };
        self.count += 1;
        self
    }

    /// Allows an operation, by its code.
    ///
    /// # Panics
    /// If there are more than `N` rules, as all of these.
    pub const fn operation(self, code: u8) -> Restrictions<N> {
        self.with(restriction::SQE_OP, code)
    }

    /// Allows a call of `io_uring_register(2)`, by its number (`IORING_REGISTER_*`).
    ///
    /// # Panics
    /// If there are more than `N` rules.
    pub const fn registration(self, number: u8) -> Restrictions<N> {
        self.with(restriction::REGISTER_OP, number)
    }

    /// Allows these flags of entries (`IOSQE_*`).
    ///
    /// # Panics
    /// If there are more than `N` rules.
    pub const fn flags(self, flags: u8) -> Restrictions<N> {
        self.with(restriction::SQE_FLAGS_ALLOWED, flags)
    }

    /// Every entry must have these flags (`IOSQE_*`).
    ///
    /// # Panics
    /// If there are more than `N` rules.
    pub const fn required_flags(self, flags: u8) -> Restrictions<N> {
        self.with(restriction::SQE_FLAGS_REQUIRED, flags)
    }
}

/// Restrictions.
impl Register<'_> {
    /// Allows this, and nothing else, for good; the ring must have been made
    /// [disabled](crate::Builder::disabled), and not be enabled yet
    /// (`IORING_REGISTER_RESTRICTIONS`, Linux 5.10).
    ///
    /// # Errors
    /// - `EBADFD`: the ring is enabled.
    /// - `EBUSY`: it has restrictions already.
    /// - `EINVAL`: no rule, an operation that does not exist.
    pub fn restrict<const N: usize>(&self, rules: &Restrictions<N>) -> Result<(), Errno> {
        self.array(register::RESTRICTIONS, rules.rules()).map(drop)
    }
}
