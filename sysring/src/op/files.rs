//! The table of registered files, by an operation.

use sysring_sys::abi::io_uring::FILE_INDEX_ALLOC;

use super::{address, alone, operation};

operation! {
    /// Puts files into the ring's table, as
    /// [`Register::update_files`](crate::Register::update_files) (Linux 5.6).
    ///
    /// The value is how many were done.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::os::fd::AsRawFd;
    /// use sysring::{Ring, op};
    ///
    /// let file = std::fs::File::open("/proc/self/comm")?;
    /// let (number, mut name) = (file.as_raw_fd(), [0; 16]);
    /// let mut ring = Ring::new(8)?;
    /// ring.register().files_sparse(4)?;
    /// // SAFETY: the number and the buffer stay until the completions.
    /// unsafe {
    ///     ring.push(op::FilesUpdate::new(&number, 1, 2).build().link())?;
    ///     ring.push(op::Read::new(sysring::Fixed(2), name.as_mut_ptr(), 16))?;
    /// }
    /// ring.submit_and_wait(2)?;
    /// assert_eq!(ring.completion().unwrap().result()?, 1);
    /// assert!(ring.completion().unwrap().result()? > 0);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// - `ENXIO`: there is no table; `EINVAL`: none, or beyond its end.
    /// - `EBADF`: not open, or a ring's.
    /// - `ENFILE`: no free slot.
    /// - `EFAULT`: the descriptors are not in the program's memory.
    FilesUpdate = FILES_UPDATE
}

impl FilesUpdate {
    /// The `count` descriptors at `files`, into the slots from `first` on; -1 empties a slot, -2
    /// leaves it as it is.
    #[inline]
    pub fn new(files: *const i32, count: u32, first: u32) -> FilesUpdate {
        let mut entry = alone(FilesUpdate::CODE);
        (entry.addr, entry.len, entry.off) = (address(files), count, u64::from(first));
        FilesUpdate(entry)
    }

    /// The `count` descriptors at `files`, into free slots, whose indexes take their place (Linux 5.19).
    #[inline]
    pub fn free(files: *mut i32, count: u32) -> FilesUpdate {
        FilesUpdate::new(files, count, FILE_INDEX_ALLOC)
    }
}
