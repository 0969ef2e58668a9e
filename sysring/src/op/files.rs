//! The table of registered files, by an operation.

use sysring_sys::abi::io_uring::FILE_INDEX_ALLOC;

use super::{address, alone, operation};

operation! {
    /// Puts files into the ring's table, as
    /// [`Register::update_files`](crate::Register::update_files) (Linux 5.6).
    ///
    /// The value is how many were done.
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
