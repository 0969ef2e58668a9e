//! The table of registered buffers.

use sysring_sys::Errno;
use sysring_sys::abi::Iovec;
use sysring_sys::abi::io_uring::{
    CloneBuffers, RSRC_REGISTER_SPARSE, RsrcRegister, RsrcUpdate2, clone_buffers, register,
};

use super::{Register, count};
use crate::ring::{CqEntry, Ring, SqEntry};

/// Buffers.
impl Register<'_> {
    /// Makes a table of these pieces of memory, for [`op::ReadFixed`](crate::op::ReadFixed) and its
    /// kin (`IORING_REGISTER_BUFFERS`, Linux 5.1). A null address leaves a place empty (Linux 5.13).
    ///
    /// # Safety
    /// The memory must stay mapped, and be the program's to transfer from and to, until the table
    /// is taken away or the ring is dropped. (The kernel pins it; the engine in userspace uses what
    /// is there at that time.)
    ///
    /// # Errors
    /// - `EBUSY`: there is a table already.
    /// - `EFAULT`: memory that is not the program's, or not to be written; a piece of no bytes, or
    ///   of more than 1 GiB.
    /// - `EINVAL`: none, or more than 16,384.
    /// - `EOPNOTSUPP`: memory of a file that cannot be pinned.
    pub unsafe fn buffers(&self, pieces: &[Iovec]) -> Result<(), Errno> {
        self.array(register::BUFFERS, pieces).map(drop)
    }

    /// Makes a table of so many empty places (`IORING_REGISTER_BUFFERS2`, Linux 5.19).
    ///
    /// # Errors
    /// As [`buffers`](Register::buffers).
    pub fn buffers_sparse(&self, places: u32) -> Result<(), Errno> {
        let mut argument =
            RsrcRegister { nr: places, flags: RSRC_REGISTER_SPARSE, ..RsrcRegister::default() };
        let size = size_of::<RsrcRegister>() as u32;
        self.one(register::BUFFERS2, &mut argument, size).map(drop)
    }

    /// Puts other memory into the places from this one on (`IORING_REGISTER_BUFFERS_UPDATE`, Linux
    /// 5.13); how many were done. With tags, one for each: a completion tells when what is put there
    /// now was taken out again and is no longer in use.
    ///
    /// # Safety
    /// As for [`buffers`](Register::buffers).
    ///
    /// # Errors
    /// If none was done:
    /// - `ENXIO`: there is no table.
    /// - `EINVAL`: beyond its end, or there are not as many tags as pieces.
    /// - `EFAULT`, `EOPNOTSUPP`: as [`buffers`](Register::buffers).
    pub unsafe fn update_buffers(
        &self,
        first: u32,
        pieces: &[Iovec],
        tags: Option<&[u64]>,
    ) -> Result<u32, Errno> {
        if tags.is_some_and(|tags| tags.len() != pieces.len()) {
            return Err(Errno::EINVAL);
        }
        let mut argument = RsrcUpdate2 {
            offset: first,
            data: pieces.as_ptr() as u64,
            tags: tags.map_or(0, |tags| tags.as_ptr() as u64),
            nr: count(pieces.len())?,
            ..RsrcUpdate2::default()
        };
        let size = size_of::<RsrcUpdate2>() as u32;
        self.one(register::BUFFERS_UPDATE, &mut argument, size)
    }

    /// Takes the same buffers as another ring has, without pinning them anew
    /// (`IORING_REGISTER_CLONE_BUFFERS`, Linux 6.12).
    ///
    /// # Safety
    /// As for [`buffers`](Register::buffers), for all of the other's.
    ///
    /// # Errors
    /// - `EBUSY`: there is a table already.
    /// - `ENXIO`: the other has none.
    /// - `EBADFD`, `EBADF`: the other ring is of another engine.
    pub unsafe fn clone_buffers<S: SqEntry, C: CqEntry>(
        &self,
        from: &Ring<S, C>,
    ) -> Result<(), Errno> {
        // SAFETY: by the caller's word.
        unsafe { self.clone_some_buffers(from, 0, 0, 0, false) }
    }

    /// The same, of `len` places from `theirs` on into those from `ours` on (Linux 6.13); with
    /// `replace` into a table that is there.
    ///
    /// # Safety
    /// As for [`clone_buffers`](Register::clone_buffers).
    ///
    /// # Errors
    /// As [`clone_buffers`](Register::clone_buffers), and `EINVAL`, `EOVERFLOW`: beyond the end of
    /// their table.
    pub unsafe fn clone_some_buffers<S: SqEntry, C: CqEntry>(
        &self,
        from: &Ring<S, C>,
        theirs: u32,
        ours: u32,
        len: u32,
        replace: bool,
    ) -> Result<(), Errno> {
        let mut argument = CloneBuffers {
            src_fd: from.fd().raw() as u32,
            flags: if replace { clone_buffers::DST_REPLACE } else { 0 },
            src_off: theirs,
            dst_off: ours,
            nr: len,
            pad: [0; 3],
        };
        self.one(register::CLONE_BUFFERS, &mut argument, 1).map(drop)
    }

    /// Takes the table away; memory that is in use stays so until it is not
    /// (`IORING_UNREGISTER_BUFFERS`, Linux 5.1).
    ///
    /// # Errors
    /// `ENXIO`: there is none.
    pub fn unregister_buffers(&self) -> Result<(), Errno> {
        self.bare(register::UNREGISTER_BUFFERS)
    }
}
