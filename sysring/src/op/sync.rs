//! Files as they lie on disk and in memory: syncing, allocating, advising.

use sysring_sys::abi::io_uring::FSYNC_DATASYNC;

use super::{Target, address, alone, on, operation};

operation! {
    /// Writes a file's data to its disk, as `fsync(2)` (Linux 5.1).
    ///
    /// The value is 0.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use sysring::{Ring, op};
    ///
    /// # let path = std::env::temp_dir().join(format!("sysring-fsync-{}", std::process::id()));
    /// let file = std::fs::File::create(&path)?;
    /// let mut ring = Ring::new(8)?;
    /// // SAFETY: the file is open until they are done.
    /// unsafe {
    ///     ring.push(op::Fallocate::new(&file, 0, 4096).build().link())?;
    ///     ring.push(op::Fsync::new(&file).data_only())?;
    /// }
    /// ring.submit_and_wait(2)?;
    /// # let failed = ring.completions().any(|completion| completion.result().is_err());
    /// # std::fs::remove_file(&path)?;
    /// # assert!(!failed);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// - `EBADF`: not open.
    /// - `EINVAL`: the file cannot be synced (a socket, a pipe).
    /// - `EIO`, `ENOSPC`, `EDQUOT`: writing has failed.
    /// - `EROFS`: the file system is read-only, and knows no syncing.
    Fsync = FSYNC
}

impl Fsync {
    /// All of the file.
    #[inline]
    pub fn new(target: impl Target) -> Fsync {
        Fsync(on(Fsync::CODE, target))
    }

    /// Only what is needed to read the data again, as `fdatasync(2)`.
    #[inline]
    pub fn data_only(mut self) -> Fsync {
        self.0.op_flags |= FSYNC_DATASYNC;
        self
    }

    /// At least `len` bytes from `offset` on; what lies elsewhere may be synced, too.
    #[inline]
    pub fn range(mut self, offset: u64, len: u32) -> Fsync {
        self.0.off = offset;
        self.0.len = len;
        self
    }
}

operation! {
    /// Begins to write a part of a file to its disk, or waits for it, as `sync_file_range(2)` (Linux
    /// 5.2). It is no replacement for [`Fsync`]: sizes and places of data are not written.
    ///
    /// The value is 0.
    ///
    /// # Errors
    /// - `EBADF`: not open.
    /// - `ESPIPE`: neither a file, a disk nor a directory.
    /// - `EINVAL`: flags that are not known, or a range that is none.
    /// - `EIO`, `ENOSPC`: writing has failed.
    SyncFileRange = SYNC_FILE_RANGE
}

impl SyncFileRange {
    /// `len` bytes from `offset` on (0: to the end), with `SYNC_FILE_RANGE_*`.
    #[inline]
    pub fn new(target: impl Target, offset: u64, len: u32, flags: u32) -> SyncFileRange {
        let mut entry = on(SyncFileRange::CODE, target);
        (entry.off, entry.len, entry.op_flags) = (offset, len, flags);
        SyncFileRange(entry)
    }
}

operation! {
    /// Reserves room on disk, gives it back, or shifts it, as `fallocate(2)` (Linux 5.6).
    ///
    /// The value is 0.
    ///
    /// # Errors
    /// - `EBADF`: not open for writing.
    /// - `EFBIG`: beyond the largest file.
    /// - `EINVAL`: no bytes, or what the file system cannot align.
    /// - `ENOSPC`: the disk is full.
    /// - `EOPNOTSUPP`: the file system does not know the mode; `ESPIPE`, `ENODEV`: no regular file.
    /// - `EPERM`, `ETXTBSY`: the file is sealed, immutable, or a swap file.
    Fallocate = FALLOCATE
}

impl Fallocate {
    /// `len` bytes from `offset` on.
    #[inline]
    pub fn new(target: impl Target, offset: u64, len: u64) -> Fallocate {
        let mut entry = on(Fallocate::CODE, target);
        (entry.off, entry.addr) = (offset, len);
        Fallocate(entry)
    }

    /// `FALLOC_FL_*`.
    #[inline]
    pub fn mode(mut self, mode: u32) -> Fallocate {
        self.0.len = mode;
        self
    }
}

operation! {
    /// Cuts a file, or lengthens it by zeroes, as `ftruncate(2)` (Linux 6.9).
    ///
    /// The value is 0.
    ///
    /// # Errors
    /// - `EBADF`: not open.
    /// - `EINVAL`: not open for writing, not a regular file, or a negative length.
    /// - `EFBIG`: beyond the largest file.
    /// - `EPERM`: the file is sealed, immutable, or for appending only; `ETXTBSY`: it is executed.
    Ftruncate = FTRUNCATE
}

impl Ftruncate {
    /// To this length.
    #[inline]
    pub fn new(target: impl Target, len: u64) -> Ftruncate {
        let mut entry = on(Ftruncate::CODE, target);
        entry.off = len;
        Ftruncate(entry)
    }
}

operation! {
    /// Says how a file will be read, as `posix_fadvise(2)` (Linux 5.6).
    ///
    /// The value is 0.
    ///
    /// # Errors
    /// - `EBADF`: not open.
    /// - `EINVAL`: an advice that is not known.
    /// - `ESPIPE`: a pipe.
    Fadvise = FADVISE
}

impl Fadvise {
    /// `len` bytes from `offset` on (0: to the end): `POSIX_FADV_*`.
    #[inline]
    pub fn new(target: impl Target, offset: u64, len: u32, advice: u32) -> Fadvise {
        let mut entry = on(Fadvise::CODE, target);
        (entry.off, entry.len, entry.op_flags) = (offset, len, advice);
        Fadvise(entry)
    }

    /// A length beyond 32 bits, in place of the first (Linux 6.10).
    #[inline]
    pub fn long(mut self, len: u64) -> Fadvise {
        (self.0.len, self.0.addr) = (0, len);
        self
    }
}

operation! {
    /// Says how memory will be used, as `madvise(2)` (Linux 5.6).
    ///
    /// The value is 0.
    ///
    /// # Errors
    /// - `EINVAL`: an advice that is not known, or does not go with this memory; an address that is
    ///   not that of a page.
    /// - `ENOMEM`: not all of it is mapped.
    /// - `EBADF`: it is not a file's, and the advice is for those.
    /// - `EAGAIN`, `EIO`: as the call.
    Madvise = MADVISE
}

impl Madvise {
    /// `len` bytes from `at` on: `MADV_*`. Some advice discards what is there.
    #[inline]
    pub fn new(at: *mut u8, len: u32, advice: u32) -> Madvise {
        let mut entry = alone(Madvise::CODE);
        (entry.addr, entry.len, entry.op_flags) = (address(at), len, advice);
        Madvise(entry)
    }

    /// A length beyond 32 bits, in place of the first (Linux 6.10).
    #[inline]
    pub fn long(mut self, len: u64) -> Madvise {
        (self.0.len, self.0.off) = (0, len);
        self
    }
}
