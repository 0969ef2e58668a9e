//! What a ring was made with, and where that puts everything in its memory.

use sysring_sys::abi::io_uring::{CqOffsets, SqOffsets, cqe_flags, setup};

use crate::memory;

/// What a ring was made with: private copies, which nothing in shared memory can change.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shape {
    pub flags: u32,
    pub sq_entries: u32,
    pub cq_entries: u32,
}

/// Offsets in the mapping of the queues. The words each side writes lie on lines of their own.
pub mod at {
    pub const SQ_HEAD: usize = 0;
    pub const SQ_TAIL: usize = 64;
    pub const CQ_HEAD: usize = 128;
    pub const CQ_TAIL: usize = 192;
    pub const SQ_MASK: usize = 256;
    pub const CQ_MASK: usize = 260;
    pub const SQ_ENTRIES: usize = 264;
    pub const CQ_ENTRIES: usize = 268;
    pub const SQ_DROPPED: usize = 272;
    pub const SQ_FLAGS: usize = 276;
    pub const CQ_FLAGS: usize = 280;
    pub const CQ_OVERFLOW: usize = 284;
    pub const CQES: usize = 320;
}

impl Shape {
    #[inline(always)]
    #[must_use]
    pub fn has(&self, flags: u32) -> bool {
        self.flags & flags != 0
    }

    /// Whether completions of reads and writes are looked for in `enter` and nowhere else.
    #[must_use]
    pub fn polls_in_enter(&self) -> bool {
        self.has(setup::IOPOLL) && !self.has(setup::SQPOLL)
    }

    /// Bytes from one SQE to the next.
    #[inline(always)]
    #[must_use]
    pub fn sqe_stride(&self) -> usize {
        if self.has(setup::SQE128) { 128 } else { 64 }
    }

    /// Bytes from one CQE to the next.
    #[inline(always)]
    #[must_use]
    pub fn cqe_stride(&self) -> usize {
        if self.has(setup::CQE32) { 32 } else { 16 }
    }

    /// Whether a CQE with these flags takes two places.
    #[inline(always)]
    #[must_use]
    pub fn takes_two(&self, flags: u32) -> bool {
        flags & cqe_flags::CQE32 != 0 && self.has(setup::CQE_MIXED)
    }

    /// Bytes from one CQE to the next on the overflow list, which has room for any.
    pub fn overflow_stride(&self) -> usize {
        if self.has(setup::CQE32 | setup::CQE_MIXED) { 32 } else { 16 }
    }

    /// Where the SQ array lies: on a line of its own.
    pub fn array_at(&self) -> usize {
        (at::CQES + self.cq_entries as usize * self.cqe_stride()).next_multiple_of(64)
    }

    /// Bytes of the mapping that holds both queues.
    #[must_use]
    pub fn rings_len(&self) -> usize {
        let array = if self.has(setup::NO_SQARRAY) { 0 } else { self.sq_entries as usize * 4 };
        memory::pages(self.array_at() + array)
    }

    /// Bytes of the mapping that holds the SQEs.
    #[must_use]
    pub fn sqes_len(&self) -> usize {
        memory::pages(self.sq_entries as usize * self.sqe_stride())
    }

    #[must_use]
    pub fn sq_offsets(&self) -> SqOffsets {
        let array = if self.has(setup::NO_SQARRAY) { 0 } else { self.array_at() as u32 };
        SqOffsets {
            head: at::SQ_HEAD as u32,
            tail: at::SQ_TAIL as u32,
            ring_mask: at::SQ_MASK as u32,
            ring_entries: at::SQ_ENTRIES as u32,
            flags: at::SQ_FLAGS as u32,
            dropped: at::SQ_DROPPED as u32,
            array,
            ..SqOffsets::default()
        }
    }

    #[must_use]
    pub fn cq_offsets(&self) -> CqOffsets {
        CqOffsets {
            head: at::CQ_HEAD as u32,
            tail: at::CQ_TAIL as u32,
            ring_mask: at::CQ_MASK as u32,
            ring_entries: at::CQ_ENTRIES as u32,
            overflow: at::CQ_OVERFLOW as u32,
            cqes: at::CQES as u32,
            flags: at::CQ_FLAGS as u32,
            ..CqOffsets::default()
        }
    }
}
