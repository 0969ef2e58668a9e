//! Entries of two sizes in one queue.

use core::fmt;
use core::ops::Deref;

use sysring_sys::abi::io_uring::{self as abi, cqe_flags, setup};

use super::completion::Slots;
use super::entry::{CqEntry, Cqe, SqEntry, Sqe, Sqe128, sealed};
use super::queue::Sq;
use super::{Full, Ring, Submission};
use crate::op;

/// A place for a submission of 64 bytes, of which one of 128 takes two: rings with
/// [`mixed_submissions`](crate::Builder::mixed_submissions).
#[derive(Clone, Copy)]
#[repr(transparent)]
#[must_use = "an entry does nothing until it is pushed and submitted"]
pub struct MixedSqe(abi::Sqe);

impl sealed::Sealed for MixedSqe {}
impl SqEntry for MixedSqe {
    const SETUP: u32 = setup::SQE_MIXED;
}

impl<T: Into<Sqe>> From<T> for MixedSqe {
    #[inline(always)]
    fn from(entry: T) -> MixedSqe {
        MixedSqe(*entry.into().raw())
    }
}

impl fmt::Debug for MixedSqe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Sq<MixedSqe> {
    /// Takes an entry of two places, which must lie side by side; `false` where there is no room.
    fn push_large(&mut self, entry: Sqe128) -> bool {
        let padding = u32::from(self.is_at_last_place());
        let has_room = self.room() >= 2 + padding;
        // Two places are never three: there the entry has room when the other side has taken the
        // padding.
        if padding != 0 && (has_room || self.capacity() == 2) {
            // In a chain what comes before it goes on behind it.
            self.push(op::Nop::new().build().skip_success().link().into());
        }
        if !has_room {
            return false;
        }
        let [first, second] = entry.halves();
        self.push(MixedSqe(first)) && self.push(MixedSqe(second))
    }
}

impl<C: CqEntry> Ring<MixedSqe, C> {
    /// Adds an entry of 128 bytes, as [`push`](Ring::push) adds one of 64. It takes two places of the
    /// queue, or three where the first would be the queue's last: an entry that does nothing is put
    /// there, which completes only if it is in a chain that fails, with a `user_data` of 0. (Behind
    /// such an entry `drain` is answered `EOPNOTSUPP`.)
    ///
    /// # Safety
    /// As for [`push`](Ring::push). The operation must be one whose entries have 128 bytes:
    /// [`op::Nop128`](crate::op::Nop128), [`op::UringCmd128`](crate::op::UringCmd128). (Of another one
    /// the second half would be taken for an entry of its own.)
    ///
    /// # Errors
    /// [`Full`]: the entry was not added. Submit, and there is room. (On a queue of two places the
    /// entry that does nothing may have been, so `submit` may tell of one more.)
    pub unsafe fn push_large(&mut self, entry: impl Into<Sqe128>) -> Result<(), Full> {
        if self.sq.push_large(entry.into()) { Ok(()) } else { Err(Full) }
    }
}

impl Submission<'_, MixedSqe> {
    /// As [`Ring::push_large`].
    ///
    /// # Safety
    /// As for it.
    ///
    /// # Errors
    /// [`Full`]: the entry was not added.
    pub unsafe fn push_large(&mut self, entry: impl Into<Sqe128>) -> Result<(), Full> {
        self.with_queue(|sq| if sq.push_large(entry.into()) { Ok(()) } else { Err(Full) })
    }
}

/// A completion of 16 or of 32 bytes: rings with
/// [`mixed_completions`](crate::Builder::mixed_completions).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MixedCqe {
    first: Cqe,
    second: [u64; 2],
}

impl MixedCqe {
    /// The two words that a completion of 32 bytes has more: what they say is the operation's matter.
    #[inline]
    #[must_use]
    pub const fn extra(&self) -> Option<[u64; 2]> {
        if self.first.flags() & cqe_flags::CQE32 != 0 { Some(self.second) } else { None }
    }
}

impl sealed::Sealed for MixedCqe {}
impl CqEntry for MixedCqe {
    const SETUP: u32 = setup::CQE_MIXED;
}

impl Slots for MixedCqe {
    type Slot = Cqe;
    const IS_ONE: bool = false;

    #[inline]
    unsafe fn read(at: *const Cqe) -> MixedCqe {
        // SAFETY: the caller's word: a completion, and if it is a large one, its second half behind it.
        unsafe {
            let first = at.read();
            let is_large = first.flags() & cqe_flags::CQE32 != 0;
            MixedCqe {
                first,
                second: if is_large { at.add(1).cast::<[u64; 2]>().read() } else { [0; 2] },
            }
        }
    }

    #[inline]
    fn slots(&self) -> u32 {
        if self.extra().is_some() { 2 } else { 1 }
    }

    /// The queue's last place is filled where a large one has no room.
    #[inline]
    fn is_filler(&self) -> bool {
        self.first.flags() & cqe_flags::SKIP != 0
    }
}

impl AsRef<Cqe> for MixedCqe {
    #[inline]
    fn as_ref(&self) -> &Cqe {
        &self.first
    }
}

impl Deref for MixedCqe {
    type Target = Cqe;

    #[inline]
    fn deref(&self) -> &Cqe {
        &self.first
    }
}

impl fmt::Debug for MixedCqe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MixedCqe")
            .field("first", &self.first)
            .field("extra", &self.extra())
            .finish()
    }
}
