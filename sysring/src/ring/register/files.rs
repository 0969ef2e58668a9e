//! The table of registered files.

use sysring_sys::abi::io_uring::{
    FileIndexRange, REGISTER_FILES_SKIP, RSRC_REGISTER_SPARSE, RsrcRegister, RsrcUpdate,
    RsrcUpdate2, register,
};
use sysring_sys::{Errno, Fd};

use super::{Register, count};

/// Files.
impl Register<'_> {
    /// Makes a table of these files, to be named by [`Fixed`](crate::Fixed); -1 leaves a slot empty
    /// (`IORING_REGISTER_FILES`, Linux 5.1). The descriptors may be closed then.
    ///
    /// # Errors
    /// - `EBUSY`: there is a table already.
    /// - `EBADF`: one of them is not open, or is a ring's.
    /// - `EINVAL`: none; `EMFILE`: more than `RLIMIT_NOFILE`, or than 1,048,576.
    ///
    /// ```
    /// use sysring::{Fd, Fixed, Ring, op};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::os::fd::AsRawFd;
    /// let mut ring = Ring::new(4)?;
    /// let file = std::fs::File::open("/dev/zero")?;
    /// ring.register().files(&[Fd::new(file.as_raw_fd())])?;
    /// let mut buffer = [1u8; 4];
    /// // SAFETY: waited for at once.
    /// unsafe { ring.push(op::Read::new(Fixed(0), buffer.as_mut_ptr(), 4))? };
    /// ring.submit_and_wait(1)?;
    /// assert_eq!(ring.completion().unwrap().result()?, 4);
    /// assert_eq!(buffer, [0; 4]);
    /// # Ok(()) }
    /// ```
    pub fn files(&self, files: &[Fd]) -> Result<(), Errno> {
        self.array(register::FILES, files).map(drop)
    }

    /// Makes a table of so many empty slots (`IORING_REGISTER_FILES2`, Linux 5.19).
    ///
    /// # Errors
    /// As [`files`](Register::files).
    pub fn files_sparse(&self, slots: u32) -> Result<(), Errno> {
        let mut argument =
            RsrcRegister { nr: slots, flags: RSRC_REGISTER_SPARSE, ..RsrcRegister::default() };
        let size = size_of::<RsrcRegister>() as u32;
        self.one(register::FILES2, &mut argument, size).map(drop)
    }

    /// The same as [`files`](Register::files), with a tag for each: when a file that has one other
    /// than 0 is taken out and no longer in use, a completion comes with the tag as user data
    /// (`IORING_REGISTER_FILES2`, Linux 5.13).
    ///
    /// # Errors
    /// As [`files`](Register::files), and `EINVAL` if there are not as many tags as files.
    pub fn files_tagged(&self, files: &[Fd], tags: &[u64]) -> Result<(), Errno> {
        if files.len() != tags.len() {
            return Err(Errno::EINVAL);
        }
        let mut argument = RsrcRegister {
            nr: count(files.len())?,
            data: files.as_ptr() as u64,
            tags: tags.as_ptr() as u64,
            ..RsrcRegister::default()
        };
        let size = size_of::<RsrcRegister>() as u32;
        self.one(register::FILES2, &mut argument, size).map(drop)
    }

    /// Puts other files into the slots from this one on; -1 empties a slot, -2 leaves it as it is
    /// (`IORING_REGISTER_FILES_UPDATE`, Linux 5.5). How many were done.
    ///
    /// # Errors
    /// If none was done:
    /// - `ENXIO`: there is no table.
    /// - `EINVAL`: beyond its end.
    /// - `EBADF`: not open, or a ring's.
    pub fn update_files(&self, first: u32, files: &[Fd]) -> Result<u32, Errno> {
        let mut argument = RsrcUpdate { offset: first, resv: 0, data: files.as_ptr() as u64 };
        self.one(register::FILES_UPDATE, &mut argument, count(files.len())?)
    }

    /// The same, with tags as of [`files_tagged`](Register::files_tagged)
    /// (`IORING_REGISTER_FILES_UPDATE2`, Linux 5.13).
    ///
    /// # Errors
    /// As [`update_files`](Register::update_files), and `EINVAL` if there are not as many tags as files.
    pub fn update_files_tagged(
        &self,
        first: u32,
        files: &[Fd],
        tags: &[u64],
    ) -> Result<u32, Errno> {
        if files.len() != tags.len() {
            return Err(Errno::EINVAL);
        }
        let mut argument = RsrcUpdate2 {
            offset: first,
            data: files.as_ptr() as u64,
            tags: tags.as_ptr() as u64,
            nr: count(files.len())?,
            ..RsrcUpdate2::default()
        };
        let size = size_of::<RsrcUpdate2>() as u32;
        self.one(register::FILES_UPDATE2, &mut argument, size)
    }

    /// Leaves a slot as it is: for [`update_files`](Register::update_files).
    pub const SKIP_FILE: Fd = Fd::new(REGISTER_FILES_SKIP);

    /// [`Slot::Free`](crate::Slot::Free) means a slot among these `len` from `first` on
    /// (`IORING_REGISTER_FILE_ALLOC_RANGE`, Linux 6.0).
    ///
    /// # Errors
    /// - `EINVAL`: beyond the end of the table, or there is none.
    /// - `EOVERFLOW`: the end is not a number.
    pub fn files_free_range(&self, first: u32, len: u32) -> Result<(), Errno> {
        let mut argument = FileIndexRange { off: first, len, resv: 0 };
        self.one(register::FILE_ALLOC_RANGE, &mut argument, 0).map(drop)
    }

    /// Takes the table away; files that are in use stay open until they are not
    /// (`IORING_UNREGISTER_FILES`, Linux 5.1).
    ///
    /// # Errors
    /// `ENXIO`: there is none.
    pub fn unregister_files(&self) -> Result<(), Errno> {
        self.bare(register::UNREGISTER_FILES)
    }
}
