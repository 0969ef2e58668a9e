//! Reading and writing.

use sysring_sys::abi::Iovec;

use super::{Target, abi, address, on, operation, select};

macro_rules! transfer_errors {
    () => {
        "- `EBADF`: not open, or not for this direction.\n\
         - `EFAULT`: the memory is not the program's.\n\
         - `EINVAL`: the file cannot be read or written; or `O_DIRECT`, and address, length or offset \
           is not aligned; or a negative offset other than -1.\n\
         - `EISDIR`: a directory.\n\
         - `ESPIPE`: an offset, and the file has none (a pipe, a socket).\n\
         - `EAGAIN`: there is nothing now, and the file or `RWF_NOWAIT` says not to wait.\n\
         - `EOPNOTSUPP`: a flag of `rw_flags` is not known, or not to this file; or the ring polls \
           ([`iopoll`](crate::Builder::iopoll)), and the file cannot be polled.\n\
         - `EIO`: the device failed."
    };
}
macro_rules! write_errors {
    () => {
        "- `ENOSPC`, `EDQUOT`: the file system, or the user's share of it, is full.\n\
         - `EFBIG`: beyond the largest file, or the process's limit.\n\
         - `EPERM`: the file is sealed, immutable, or for appending only.\n\
         - `EPIPE`: nobody reads (and `SIGPIPE` is sent, unless `RWF_NOSIGNAL` is given)."
    };
}
macro_rules! select_errors {
    () => {
        "- `ENOBUFS`: the group of [`buffer_group`](Self::buffer_group) has no buffer left."
    };
}
macro_rules! fixed_errors {
    () => {
        "- `EFAULT`: there is no such registered buffer, or the range is not within it."
    };
}

/// What all transfers can be told.
macro_rules! transfer {
    ($($name:ident)*) => {$(
        impl $name {
            /// Where in the file. Without it, at the file's own position, which moves (Linux 5.6;
            /// before, at 0).
            #[inline(always)]
            pub fn offset(mut self, offset: u64) -> $name {
                self.0.off = offset;
                self
            }

            /// Flags as `preadv2(2)` has them (`RWF_*`).
            #[inline(always)]
            pub fn rw_flags(mut self, flags: u32) -> $name {
                self.0.op_flags = flags;
                self
            }

            /// The priority of the transfer, as `ioprio_set(2)` has it.
            #[inline(always)]
            pub fn ioprio(mut self, priority: u16) -> $name {
                self.0.ioprio = priority;
                self
            }
        }
    )*};
}

transfer! { Read Write ReadV WriteV ReadFixed WriteFixed ReadVFixed WriteVFixed }

/// The file's own position.
const CURRENT: u64 = !0;

/// What all transfers begin with: what on, and what memory.
macro_rules! begin {
    ($(
        $(#[$doc:meta])*
        $name:ident($memory:ident: $type:ty, $len:ident $(, $index:ident)?);
    )*) => {$(
        impl $name {
            $(#[$doc])*
            #[inline(always)]
            pub fn new(
                target: impl Target,
                $memory: $type,
                $len: u32,
                $($index: u16,)?
            ) -> $name {
                $name(abi::Sqe {
                    addr: address($memory),
                    len: $len,
                    off: CURRENT,
                    $(buf_index: $index,)?
                    ..on($name::CODE, target)
                })
            }
        }
    )*};
}

begin! {
    /// Up to `len` bytes into `buffer`.
    Read(buffer: *mut u8, len);
    /// `len` bytes from `buffer`.
    Write(buffer: *const u8, len);
    /// Into the `count` pieces that lie at `pieces`.
    ReadV(pieces: *const Iovec, count);
    /// The `count` pieces that lie at `pieces`.
    WriteV(pieces: *const Iovec, count);
    /// Up to `len` bytes to `at`, which is an address in the registered buffer of this index.
    ReadFixed(at: *mut u8, len, index);
    /// `len` bytes from `at`, which is an address in the registered buffer of this index.
    WriteFixed(at: *const u8, len, index);
    /// Into the `count` pieces that lie at `pieces`, all within the registered buffer of this index.
    ReadVFixed(pieces: *const Iovec, count, index);
    /// The `count` pieces that lie at `pieces`, all within the registered buffer of this index.
    WriteVFixed(pieces: *const Iovec, count, index);
}

operation! {
    /// Reads into memory, as `pread(2)` and `read(2)` (Linux 5.6).
    ///
    /// The value is the number of bytes; 0 at the end.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use sysring::{Ring, op};
    ///
    /// let file = std::fs::File::open("/proc/self/comm")?;
    /// let mut name = [0; 16];
    /// let mut ring = Ring::new(8)?;
    /// // SAFETY: the buffer stays, and is left alone, until the completion.
    /// unsafe { ring.push(op::Read::new(&file, name.as_mut_ptr(), 16).offset(0))? };
    /// ring.submit_and_wait(1)?;
    /// let len = ring.completion().unwrap().result()?;
    /// assert_eq!(name[len as usize - 1], b'\n');
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    #[doc = transfer_errors!()]
    #[doc = select_errors!()]
    Read = READ
}

impl Read {
    /// Into a buffer of this group, which is taken when there is something to read; the address is
    /// of no account. The completion says [which one](crate::Cqe::buffer_id) (Linux 5.7).
    #[inline(always)]
    pub fn buffer_group(mut self, group: u16) -> Read {
        select(&mut self.0, group);
        self
    }
}

operation! {
    /// Writes from memory, as `pwrite(2)` and `write(2)` (Linux 5.6).
    ///
    /// The value is the number of bytes.
    ///
    /// # Errors
    #[doc = transfer_errors!()]
    #[doc = write_errors!()]
    Write = WRITE
}

operation! {
    /// Reads into several pieces of memory, as `preadv2(2)` (Linux 5.1).
    ///
    /// The value is the number of bytes; 0 at the end.
    ///
    /// # Errors
    #[doc = transfer_errors!()]
    /// - `EINVAL`: more than 1024 pieces, or more than `isize::MAX` bytes.
    #[doc = select_errors!()]
    ReadV = READV
}

impl ReadV {
    /// Into a buffer of this group; there must be one piece, whose length counts (Linux 5.7).
    #[inline]
    pub fn buffer_group(mut self, group: u16) -> ReadV {
        select(&mut self.0, group);
        self
    }
}

operation! {
    /// Writes several pieces of memory, as `pwritev2(2)` (Linux 5.1).
    ///
    /// The value is the number of bytes.
    ///
    /// # Errors
    #[doc = transfer_errors!()]
    #[doc = write_errors!()]
    /// - `EINVAL`: more than 1024 pieces, or more than `isize::MAX` bytes.
    WriteV = WRITEV
}

operation! {
    /// Reads into a [registered buffer](crate::Register::buffers), which need not be mapped for it
    /// each time (Linux 5.1).
    ///
    /// The value is the number of bytes; 0 at the end.
    ///
    /// # Errors
    #[doc = transfer_errors!()]
    #[doc = fixed_errors!()]
    ReadFixed = READ_FIXED
}

operation! {
    /// Writes from a [registered buffer](crate::Register::buffers) (Linux 5.1).
    ///
    /// The value is the number of bytes.
    ///
    /// # Errors
    #[doc = transfer_errors!()]
    #[doc = write_errors!()]
    #[doc = fixed_errors!()]
    WriteFixed = WRITE_FIXED
}

operation! {
    /// Reads into several pieces of a [registered buffer](crate::Register::buffers) (Linux 6.15).
    ///
    /// The value is the number of bytes; 0 at the end.
    ///
    /// # Errors
    #[doc = transfer_errors!()]
    #[doc = fixed_errors!()]
    ReadVFixed = READV_FIXED
}

operation! {
    /// Writes several pieces of a [registered buffer](crate::Register::buffers) (Linux 6.15).
    ///
    /// The value is the number of bytes.
    ///
    /// # Errors
    #[doc = transfer_errors!()]
    #[doc = write_errors!()]
    #[doc = fixed_errors!()]
    WriteVFixed = WRITEV_FIXED
}

operation! {
    /// Reads again and again, each time into a buffer of a group (Linux 6.7), from what can be
    /// polled: a pipe, a terminal, not a regular file.
    ///
    /// The value of each completion is a number of bytes. It ends with a completion without
    /// [`more`](crate::Cqe::more): at the end (0), with an error, or where the completion queue is
    /// full.
    ///
    /// # Errors
    /// - `EBADFD`: a file that cannot be polled.
    /// - `ENOBUFS`: the group has no buffer left.
    /// - `EINVAL`: a length is given, and the group consumes whole buffers.
    /// - `ECANCELED`: it was cancelled.
    /// - otherwise those of [`Read`].
    ReadMultishot = READ_MULTISHOT
}

impl ReadMultishot {
    /// Into the buffers of `group`.
    #[inline]
    pub fn new(target: impl Target, group: u16) -> ReadMultishot {
        let mut entry = on(ReadMultishot::CODE, target);
        entry.off = CURRENT;
        select(&mut entry, group);
        ReadMultishot(entry)
    }

    /// Where in the file; without it, at the file's own position.
    #[inline]
    pub fn offset(mut self, offset: u64) -> ReadMultishot {
        self.0.off = offset;
        self
    }

    /// So many bytes at a time at most (Linux 6.12, of groups whose buffers are consumed in parts).
    #[inline]
    pub fn len(mut self, len: u32) -> ReadMultishot {
        self.0.len = len;
        self
    }
}
