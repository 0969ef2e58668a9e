//! The overflow list: CQEs for which the completion queue has no room.

use sysring_sys::abi::io_uring::Cqe;

use crate::locked::Locked;

/// How many CQEs the overflow list holds. Its memory is touched only when it is needed.
pub const OVERFLOW_ENTRIES: u32 = 1 << 20;

impl Locked<'_> {
    /// Puts a CQE at the end of the overflow list; whether there was room.
    pub fn overflow_push(&mut self, cqe: Cqe, extra: [u64; 2]) -> bool {
        let (head, tail) = (self.counts().overflow_head, self.counts().overflow_tail);
        if tail.wrapping_sub(head) >= OVERFLOW_ENTRIES {
            return false;
        }
        let at = self.overflow_slot(tail);
        // SAFETY: the slot is inside the list, as large as a CQE of this ring, and free.
        unsafe {
            at.cast::<Cqe>().write(cqe);
            if self.ring.shape().overflow_stride() == 32 {
                at.add(16).cast::<[u64; 2]>().write(extra);
            }
        }
        self.counts().overflow_tail = tail.wrapping_add(1);
        true
    }

    /// The oldest CQE of the overflow list.
    #[must_use]
    pub fn overflow_first(&mut self) -> Option<(Cqe, [u64; 2])> {
        if self.overflow_is_empty() {
            return None;
        }
        let head = self.counts().overflow_head;
        let at = self.overflow_slot(head);
        // SAFETY: the slot was filled by `overflow_push`.
        Some(unsafe {
            let wide = self.ring.shape().overflow_stride() == 32;
            let extra = if wide { at.add(16).cast::<[u64; 2]>().read() } else { [0; 2] };
            (at.cast::<Cqe>().read(), extra)
        })
    }

    /// Takes it off.
    pub fn overflow_drop_first(&mut self) {
        let head = self.counts().overflow_head;
        self.counts().overflow_head = head.wrapping_add(1);
    }

    #[must_use]
    #[inline(always)]
    pub fn overflow_is_empty(&mut self) -> bool {
        let counts = self.counts();
        counts.overflow_head == counts.overflow_tail
    }

    fn overflow_slot(&self, index: u32) -> *mut u8 {
        let index = (index & (OVERFLOW_ENTRIES - 1)) as usize;
        // SAFETY: masked with the size of the list the mapping was made for.
        unsafe {
            self.ring.regions().overflow.start().add(index * self.ring.shape().overflow_stride())
        }
    }
}
