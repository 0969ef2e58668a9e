//! The table of direct descriptors.

use sysring_sys::abi::io_uring::{RSRC_REGISTER_SPARSE, RsrcRegister, register};

use super::ring::Ring;
use sysring_sys::Result;

impl Ring {
    /// Gives the ring a table for so many direct descriptors, all free (Linux 5.19): files that
    /// are known to this ring alone, by slot, without a number in the process.
    ///
    /// # Errors
    /// - `EBUSY`: it has one.
    /// - `EINVAL`: none, or more than there can be.
    /// - `EMFILE`: more than the limit on open files (`RLIMIT_NOFILE`).
    /// - `ENOMEM`.
    pub fn register_direct(&self, count: u32) -> Result<()> {
        let table = RsrcRegister { nr: count, flags: RSRC_REGISTER_SPARSE, ..Default::default() };
        let size = size_of::<RsrcRegister>() as u32;
        // SAFETY: the table is read during the call alone, and lends nothing.
        unsafe { self.shared.register(register::FILES2, &raw const table, size) }.map(drop)
    }
}
