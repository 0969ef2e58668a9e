//! Opening and closing.

use core::ffi::c_char;

/// What [`OpenAt2`] reads (`struct open_how`).
pub use sysring_sys::raw::general::open_how as OpenHow;

use super::{Descriptor, Fixed, Slot, address, alone, at, on, operation};

macro_rules! path_errors {
    () => {
        "- `ENOENT`: the path, or a part of it, does not exist, or is empty.\n\
         - `ENOTDIR`: a part of it is no directory.\n\
         - `EACCES`: no permission.\n\
         - `ELOOP`: too many symbolic links.\n\
         - `ENAMETOOLONG`: a name, or all of it, is too long.\n\
         - `EBADF`: the directory is not open, and the path is relative.\n\
         - `EFAULT`: the path is not in the program's memory.\n\
         - `EROFS`: the file system is read-only."
    };
}
pub(super) use path_errors;

operation! {
    /// Opens a file, as `openat(2)` (Linux 5.6).
    ///
    /// The value is the new descriptor; with [`direct`](OpenAt::direct) 0, or the index of a free slot.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::os::fd::{FromRawFd, OwnedFd};
    /// use sysring::{Fd, Ring, op};
    ///
    /// let mut ring = Ring::new(8)?;
    /// // SAFETY: the path is there for ever.
    /// unsafe { ring.push(op::OpenAt::new(Fd::CWD, c"/proc/self/comm".as_ptr()))? };
    /// ring.submit_and_wait(1)?;
    /// let number = ring.completion().unwrap().result()?;
    /// // SAFETY: it was just opened, and is nobody else's.
    /// let file = std::fs::File::from(unsafe { OwnedFd::from_raw_fd(number as i32) });
    /// assert!(!std::io::read_to_string(file)?.is_empty());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    #[doc = path_errors!()]
    /// - `EEXIST`: it exists, and `O_CREAT | O_EXCL` is given.
    /// - `EISDIR`: a directory, to be written.
    /// - `ENXIO`: a FIFO that nobody reads, to be written with `O_NONBLOCK`; a device that is not
    ///   there; or there is no table for [`direct`](OpenAt::direct).
    /// - `EMFILE`, `ENFILE`: too many open files; `ENFILE` also: no free slot.
    /// - `EINVAL`: flags that do not go together, or `O_CLOEXEC` with [`direct`](OpenAt::direct).
    /// - `EPERM`, `ETXTBSY`, `ENOSPC`, `EDQUOT`, `EOVERFLOW`: as the call.
    OpenAt = OPENAT
}

impl OpenAt {
    /// The file of this name (ending with a zero byte), from this directory (`Fd::CWD`: the current).
    #[inline]
    pub fn new(directory: impl Descriptor, path: *const c_char) -> OpenAt {
        let mut entry = at(OpenAt::CODE, directory);
        entry.addr = address(path);
        OpenAt(entry)
    }

    /// `O_*`; `O_RDONLY` without it. On 64 bits, `O_LARGEFILE` is added.
    #[inline]
    pub fn open_flags(mut self, flags: u32) -> OpenAt {
        self.0.op_flags = flags;
        self
    }

    /// The permissions of a file that is made.
    #[inline]
    pub fn mode(mut self, mode: u32) -> OpenAt {
        self.0.len = mode;
        self
    }

    /// The file goes to a slot of the ring's table (Linux 5.15).
    #[inline]
    pub fn direct(mut self, slot: Slot) -> OpenAt {
        self.0.file_index = slot.to_raw();
        self
    }
}

operation! {
    /// Opens a file, as `openat2(2)` (Linux 5.6).
    ///
    /// The value is the new descriptor; with [`direct`](OpenAt2::direct) 0, or the index of a free
    /// slot.
    ///
    /// # Errors
    /// - `EXDEV`, `ELOOP`: the path leaves what `resolve` allows.
    /// - `EAGAIN`: with `RESOLVE_CACHED`, it is not cached.
    /// - `E2BIG`, `EINVAL`: a structure of another version, or values in it that are not known.
    /// - otherwise those of [`OpenAt`].
    OpenAt2 = OPENAT2
}

impl OpenAt2 {
    /// The file of this name, from this directory, as the structure says.
    #[inline]
    pub fn new(directory: impl Descriptor, path: *const c_char, how: *const OpenHow) -> OpenAt2 {
        let mut entry = at(OpenAt2::CODE, directory);
        (entry.addr, entry.off) = (address(path), address(how));
        entry.len = size_of::<OpenHow>() as u32;
        OpenAt2(entry)
    }

    /// The file goes to a slot of the ring's table (Linux 5.15).
    #[inline]
    pub fn direct(mut self, slot: Slot) -> OpenAt2 {
        self.0.file_index = slot.to_raw();
        self
    }
}

operation! {
    /// Makes a pipe, as `pipe2(2)` (Linux 6.16).
    ///
    /// The value is 0.
    ///
    /// # Errors
    /// - `EFAULT`: the room for the descriptors is not the program's memory.
    /// - `EINVAL`: flags that are not known, or `O_CLOEXEC` with [`direct`](Pipe::direct).
    /// - `EMFILE`, `ENFILE`: too many open files; `ENFILE` also: no free slot.
    /// - `ENXIO`: there is no table for [`direct`](Pipe::direct).
    Pipe = PIPE
}

impl Pipe {
    /// Its two ends, that to read from first, into `ends`.
    #[inline]
    pub fn new(ends: *mut [i32; 2]) -> Pipe {
        let mut entry = alone(Pipe::CODE);
        (entry.fd, entry.addr) = (0, address(ends));
        Pipe(entry)
    }

    /// `O_CLOEXEC`, `O_NONBLOCK`, `O_DIRECT`.
    #[inline]
    pub fn pipe_flags(mut self, flags: u32) -> Pipe {
        self.0.op_flags = flags;
        self
    }

    /// The ends go to two slots of the ring's table, this one and the next, or any two; `ends` gets
    /// their indexes.
    #[inline]
    pub fn direct(mut self, slot: Slot) -> Pipe {
        self.0.file_index = slot.to_raw();
        self
    }
}

operation! {
    /// Closes a descriptor, as `close(2)` (Linux 5.6), or empties a slot of the ring's table (Linux
    /// 5.15).
    ///
    /// The value is 0.
    ///
    /// # Errors
    /// - `EBADF`: not open, or a ring's; the slot is empty.
    /// - `ENXIO`: there is no table.
    /// - `EINTR`, `EIO`, `ENOSPC`, `EDQUOT`: of the last writing; it is closed nevertheless.
    Close = CLOSE
}

impl Close {
    /// An ordinary descriptor.
    #[inline]
    pub fn new(descriptor: impl Descriptor) -> Close {
        Close(at(Close::CODE, descriptor))
    }

    /// A slot.
    #[inline]
    pub fn fixed(file: Fixed) -> Close {
        let mut entry = alone(Close::CODE);
        entry.fd = 0;
        entry.file_index = Slot::At(file.0).to_raw();
        Close(entry)
    }
}

operation! {
    /// Makes an ordinary descriptor of a registered file (Linux 6.8).
    ///
    /// The value is the descriptor.
    ///
    /// # Errors
    /// - `EBADF`: the slot is empty.
    /// - `EMFILE`: too many open files.
    /// - `EPERM`: a [personality](crate::Sqe::personality) is given.
    FixedFdInstall = FIXED_FD_INSTALL
}

impl FixedFdInstall {
    /// Of the file in this slot. The descriptor is closed on `exec`.
    #[inline]
    pub fn new(file: Fixed) -> FixedFdInstall {
        FixedFdInstall(on(FixedFdInstall::CODE, file))
    }

    /// The descriptor stays open on `exec`.
    #[inline]
    pub fn keep_on_exec(mut self) -> FixedFdInstall {
        self.0.op_flags = 1;
        self
    }
}
