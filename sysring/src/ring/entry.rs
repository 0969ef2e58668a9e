//! Entries of the queues.

use core::fmt;
use core::ops::Deref;

use sysring_sys::Errno;
use sysring_sys::abi::io_uring::{self as abi, cqe_flags, sqe_flags};

use super::completion::Slots;

pub(super) mod sealed {
    pub trait Sealed {}
}

/// A submission entry: [`Sqe`] of 64 bytes, [`Sqe128`], or [`MixedSqe`](crate::MixedSqe).
pub trait SqEntry: sealed::Sealed + Copy + 'static {
    /// The `IORING_SETUP_*` flag of a ring with these entries.
    #[doc(hidden)]
    const SETUP: u32;
}

/// A completion entry: [`Cqe`] of 16 bytes, [`Cqe32`], or [`MixedCqe`](crate::MixedCqe).
pub trait CqEntry: sealed::Sealed + Slots + Copy + AsRef<Cqe> + 'static {
    /// The `IORING_SETUP_*` flag of a ring with these entries.
    #[doc(hidden)]
    const SETUP: u32;
}

/// One operation to be done, 64 bytes (`struct io_uring_sqe`). The builders in [`op`](crate::op)
/// make them.
#[derive(Clone, Copy)]
#[repr(transparent)]
#[must_use = "an entry does nothing until it is pushed and submitted"]
pub struct Sqe(abi::Sqe);

/// One operation to be done, 128 bytes: an [`Sqe`] and 64 bytes more, for
/// [`op::UringCmd80`](crate::op::UringCmd80) and its kin.
#[derive(Clone, Copy)]
#[repr(C)]
#[must_use = "an entry does nothing until it is pushed and submitted"]
pub struct Sqe128(Sqe, [u64; 8]);

impl sealed::Sealed for Sqe {}
impl SqEntry for Sqe {
    const SETUP: u32 = 0;
}

impl sealed::Sealed for Sqe128 {}
impl SqEntry for Sqe128 {
    const SETUP: u32 = abi::setup::SQE128;
}

impl From<Sqe> for Sqe128 {
    #[inline]
    fn from(entry: Sqe) -> Sqe128 {
        Sqe128(entry, [0; 8])
    }
}

/// What every operation may be told, the same for both sizes.
macro_rules! common {
    ($entry:ident, $raw:ident => $field:expr) => {
        impl $entry {
            #[inline(always)]
            fn flag(mut self, flag: u8) -> $entry {
                let $raw = &mut self;
                $field.flags |= flag;
                self
            }

            /// What the completion will carry, to be recognised by; 0 if it is not given.
            #[inline(always)]
            pub fn user_data(mut self, value: u64) -> $entry {
                let $raw = &mut self;
                $field.user_data = value;
                self
            }

            /// Flags of the kernel's (`IOSQE_*`), added to those that are set.
            #[inline(always)]
            pub fn flags(self, flags: u8) -> $entry {
                self.flag(flags)
            }

            /// The next entry begins when this one has succeeded; if it fails, or transfers less
            /// than was asked for, the rest of the chain ends with `ECANCELED` (`IOSQE_IO_LINK`,
            /// Linux 5.3).
            #[inline(always)]
            pub fn link(self) -> $entry {
                self.flag(sqe_flags::IO_LINK)
            }

            /// The next entry begins when this one has ended, whatever its result
            /// (`IOSQE_IO_HARDLINK`, Linux 5.5).
            #[inline(always)]
            pub fn hard_link(self) -> $entry {
                self.flag(sqe_flags::IO_HARDLINK)
            }

            /// Begins when everything submitted before has ended, and nothing submitted later
            /// begins before (`IOSQE_IO_DRAIN`, Linux 5.2).
            #[inline(always)]
            pub fn drain(self) -> $entry {
                self.flag(sqe_flags::IO_DRAIN)
            }

            /// Is given to a worker thread at once: for work that is known to block
            /// (`IOSQE_ASYNC`, Linux 5.6).
            #[inline(always)]
            pub fn asynchronous(self) -> $entry {
                self.flag(sqe_flags::ASYNC)
            }

            /// Posts a completion only if it fails (`IOSQE_CQE_SKIP_SUCCESS`, Linux 5.17).
            #[inline(always)]
            pub fn skip_success(self) -> $entry {
                self.flag(sqe_flags::CQE_SKIP_SUCCESS)
            }

            /// Is done with the credentials that were registered under this id
            /// ([`Register::personality`](crate::Register::personality), Linux 5.6).
            #[inline(always)]
            pub fn personality(mut self, id: u16) -> $entry {
                let $raw = &mut self;
                $field.personality = id;
                self
            }
        }
    };
}

common!(Sqe, raw => raw.0);
common!(Sqe128, raw => raw.0.0);

impl Sqe {
    /// An entry as the kernel has it, for what the builders have no words for.
    #[inline(always)]
    pub const fn from_raw(raw: abi::Sqe) -> Sqe {
        Sqe(raw)
    }

    /// The entry as the kernel has it.
    #[inline(always)]
    #[must_use]
    pub const fn raw(&self) -> &abi::Sqe {
        &self.0
    }

    /// The same, to be changed.
    #[inline(always)]
    pub fn raw_mut(&mut self) -> &mut abi::Sqe {
        &mut self.0
    }
}

impl Sqe128 {
    /// An entry with the second half given: what follows the first 64 bytes.
    #[inline(always)]
    pub const fn new(first: Sqe, second: [u64; 8]) -> Sqe128 {
        Sqe128(first, second)
    }

    /// The first half.
    #[inline(always)]
    pub const fn first(&self) -> &Sqe {
        &self.0
    }

    /// Both halves, as places of 64 bytes.
    pub(super) fn halves(self) -> [abi::Sqe; 2] {
        // SAFETY: integers without padding, of the same size (below).
        unsafe { core::mem::transmute(self) }
    }
}

impl fmt::Debug for Sqe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Sqe128 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sqe128").field(&self.0).field(&self.1).finish()
    }
}

/// What became of an operation, 16 bytes (`struct io_uring_cqe`).
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Cqe(abi::Cqe);

/// What became of an operation, 32 bytes: a [`Cqe`], and two words more that some operations fill.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Cqe32(Cqe, [u64; 2]);

impl sealed::Sealed for Cqe {}
impl CqEntry for Cqe {
    const SETUP: u32 = 0;
}

impl sealed::Sealed for Cqe32 {}
impl CqEntry for Cqe32 {
    const SETUP: u32 = abi::setup::CQE32;
}

/// Itself: for code that takes both sizes.
impl AsRef<Cqe> for Cqe {
    #[inline(always)]
    fn as_ref(&self) -> &Cqe {
        self
    }
}

impl AsRef<Cqe> for Cqe32 {
    #[inline(always)]
    fn as_ref(&self) -> &Cqe {
        &self.0
    }
}

impl Deref for Cqe32 {
    type Target = Cqe;

    #[inline(always)]
    fn deref(&self) -> &Cqe {
        &self.0
    }
}

impl Cqe32 {
    /// The two words more: what they say is the operation's matter.
    #[inline(always)]
    #[must_use]
    pub const fn extra(&self) -> [u64; 2] {
        self.1
    }
}

impl Cqe {
    /// What the submission carried.
    #[inline(always)]
    #[must_use]
    pub const fn user_data(&self) -> u64 {
        self.0.user_data
    }

    /// The operation's value, or its error: what the system call of the same name would answer.
    ///
    /// # Errors
    /// Those of the operation.
    #[inline(always)]
    pub const fn result(&self) -> Result<u32, Errno> {
        if self.0.res >= 0 {
            return Ok(self.0.res as u32);
        }
        match Errno::from_raw(self.0.res.wrapping_neg()) {
            Some(e) => Err(e),
            // Below the range of errors: a driver's own result, or flags of a notification.
            None => Ok(self.0.res as u32),
        }
    }

    /// The result as the kernel has it: a value, or a negated error number.
    #[inline(always)]
    #[must_use]
    pub const fn res(&self) -> i32 {
        self.0.res
    }

    /// Flags of the kernel's (`IORING_CQE_F_*`).
    #[inline(always)]
    #[must_use]
    pub const fn flags(&self) -> u32 {
        self.0.flags
    }

    #[inline(always)]
    const fn has(&self, flag: u32) -> bool {
        self.0.flags & flag != 0
    }

    /// The operation goes on: there will be further completions of it (`IORING_CQE_F_MORE`). Without
    /// it this is the last one.
    #[inline(always)]
    #[must_use]
    pub const fn more(&self) -> bool {
        self.has(cqe_flags::MORE)
    }

    /// The id of the buffer that was taken from the group (`IORING_CQE_F_BUFFER`).
    #[inline(always)]
    #[must_use]
    pub const fn buffer_id(&self) -> Option<u16> {
        if self.has(cqe_flags::BUFFER) {
            Some((self.0.flags >> cqe_flags::BUFFER_SHIFT) as u16)
        } else {
            None
        }
    }

    /// The kernel will go on filling the same buffer (`IORING_CQE_F_BUF_MORE`, Linux 6.12): only of
    /// groups whose buffers are consumed in parts.
    #[inline(always)]
    #[must_use]
    pub const fn buffer_more(&self) -> bool {
        self.has(cqe_flags::BUF_MORE)
    }

    /// The socket has more to read (`IORING_CQE_F_SOCK_NONEMPTY`, Linux 5.19).
    #[inline(always)]
    #[must_use]
    pub const fn socket_nonempty(&self) -> bool {
        self.has(cqe_flags::SOCK_NONEMPTY)
    }

    /// The second completion of a send without copying: the memory is the program's again
    /// (`IORING_CQE_F_NOTIF`, Linux 6.0).
    #[inline(always)]
    #[must_use]
    pub const fn is_notification(&self) -> bool {
        self.has(cqe_flags::NOTIF)
    }

    /// Of a notification of a send that asked to be told: the data was copied after all.
    #[inline(always)]
    #[must_use]
    pub const fn was_copied(&self) -> bool {
        self.is_notification() && self.0.res as u32 & abi::NOTIF_USAGE_ZC_COPIED != 0
    }
}

impl fmt::Debug for Cqe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cqe")
            .field("user_data", &self.user_data())
            .field("result", &self.result())
            .field("flags", &format_args!("{:#x}", self.flags()))
            .finish()
    }
}

impl fmt::Debug for Cqe32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cqe32").field(&self.0).field(&self.1).finish()
    }
}

const _: () = assert!(size_of::<Sqe>() == 64);
const _: () = assert!(size_of::<Sqe128>() == 128);
const _: () = assert!(size_of::<Cqe>() == 16);
const _: () = assert!(size_of::<Cqe32>() == 32);
