//! Messages to other rings.

use sysring_sys::abi::io_uring::{MSG_RING_CQE_SKIP, MSG_RING_FLAGS_PASS, MSG_SEND_FD};

use super::{Fixed, Slot, Target, on, operation};

operation! {
    /// Posts a completion to another ring, or gives it a file (Linux 5.18; files 6.0).
    ///
    /// The value is 0; of a file that goes to a free slot, its index.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use sysring::{Ring, op};
    ///
    /// let other = &mut Ring::new(8)?;
    /// let mut ring = Ring::new(8)?;
    /// // SAFETY: the other ring is there until it is done.
    /// unsafe { ring.push(op::MsgRing::new(other.fd(), 3, 77))? };
    /// ring.submit_and_wait(1)?;
    /// ring.completion().unwrap().result()?;
    /// let told = other.completion().unwrap();
    /// assert_eq!((told.result()?, told.user_data()), (3, 77));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// - `EBADFD`: not a ring, or one that is still [disabled](crate::Builder::disabled).
    /// - `EOVERFLOW`: its completion queue is full.
    /// - `EBADF`: there is no such registered file; `ENFILE`: the other ring has no free slot.
    /// - `ENXIO`: the other ring has no table of files; `EINVAL`: to itself, or no such slot.
    /// - `EAGAIN`: the other ring is in use; try again.
    MsgRing = MSG_RING
}

impl MsgRing {
    /// A completion with this result and this user data.
    #[inline]
    pub fn new(ring: impl Target, result: i32, user_data: u64) -> MsgRing {
        let mut entry = on(MsgRing::CODE, ring);
        (entry.len, entry.off) = (result as u32, user_data);
        MsgRing(entry)
    }

    /// The completion has these flags, too (Linux 6.3).
    #[inline]
    pub fn cqe_flags(mut self, flags: u32) -> MsgRing {
        self.0.op_flags |= MSG_RING_FLAGS_PASS;
        self.0.file_index = flags;
        self
    }

    /// This registered file of ours, to a slot of the other's; a completion with this user data tells
    /// it.
    #[inline]
    pub fn file(ring: impl Target, file: Fixed, slot: Slot, user_data: u64) -> MsgRing {
        let mut entry = on(MsgRing::CODE, ring);
        (entry.addr, entry.addr3) = (MSG_SEND_FD, u64::from(file.0));
        (entry.file_index, entry.off) = (slot.to_raw(), user_data);
        MsgRing(entry)
    }

    /// With [`file`](MsgRing::file): no completion tells the other ring.
    #[inline]
    pub fn silent(mut self) -> MsgRing {
        self.0.op_flags |= MSG_RING_CQE_SKIP;
        self
    }
}
