//! Files: reading, writing, opening, and the rest of their life.

use std::ffi::CString;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Weak;

use sysring_sys::Fd;
use sysring_sys::abi::io_uring as abi;
use sysring_sys::raw::general as g;

use super::buf::{Buf, BufMut};
use super::fixed::FixedBuf;
use super::handle::{Handle, Place};
use super::operation::Operation;
use super::request::{Completion, Request};
use super::ring::Ring;
use super::turn::Shared;
use crate::op::Slot;
use crate::ring::Sqe;
use crate::{Errno, op};
use sysring_sys::Result;

/// How many bytes were transferred, and the buffer, whatever came of it.
pub type WithBuf<B> = (Result<usize>, B);

/// The most that one call transfers (`MAX_RW_COUNT`).
const MOST: usize = 0x7fff_f000;

pub(super) fn clamp(len: usize) -> u32 {
    len.min(MOST) as u32
}

/// Counts in what the kernel wrote.
pub(super) fn filled<B: BufMut>(mut buffer: B, result: Result<u32>) -> WithBuf<B> {
    let count = result.map(|count| count as usize);
    if let Ok(count) = count {
        assert!(count <= buffer.room(), "more was read than there is room for");
        // SAFETY: the kernel wrote so many bytes, from the first one on.
        unsafe { buffer.filled(count) };
    }
    (count, buffer)
}

/// Whose position a transfer moves: the file's own.
pub(super) const CURRENT: u64 = !0;

/// An offset that was asked for: one that would mean the file's position is refused, as others are that
/// no file has.
pub(super) const fn at(offset: u64) -> u64 {
    if offset == CURRENT { CURRENT - 1 } else { offset }
}

impl Ring {
    /// Reads at the file's position, or what comes next of a pipe, as `read(2)`.
    ///
    /// The count is 0 at the end of the file. If the operation is dropped, what it has read all the
    /// same is lost, and the position has moved.
    pub fn read<B: BufMut>(&self, file: &Handle, buffer: B) -> Operation<Read<B>> {
        self.read_from(file, buffer, CURRENT)
    }

    /// Reads at an offset, as `pread(2)`. The count is 0 behind the end of the file. `EINVAL`: beyond
    /// what offsets there are (2⁶³).
    pub fn read_at<B: BufMut>(&self, file: &Handle, buffer: B, offset: u64) -> Operation<Read<B>> {
        self.read_from(file, buffer, at(offset))
    }

    fn read_from<B: BufMut>(&self, file: &Handle, buffer: B, offset: u64) -> Operation<Read<B>> {
        let place = file.place(self);
        self.operation(Read { place, buffer, offset, _file: file.clone() })
    }

    /// Writes at the file's position, as `write(2)`. The count may be less than the buffer holds.
    ///
    /// If the operation is dropped, all, a part or nothing may have been written.
    pub fn write<B: Buf>(&self, file: &Handle, buffer: B) -> Operation<Write<B>> {
        self.write_to(file, buffer, CURRENT)
    }

    /// Writes at an offset, as `pwrite(2)`. `EINVAL`: beyond what offsets there are (2⁶³).
    pub fn write_at<B: Buf>(&self, file: &Handle, buffer: B, offset: u64) -> Operation<Write<B>> {
        self.write_to(file, buffer, at(offset))
    }

    fn write_to<B: Buf>(&self, file: &Handle, buffer: B, offset: u64) -> Operation<Write<B>> {
        let place = file.place(self);
        self.operation(Write { place, buffer, offset, _file: file.clone() })
    }

    /// As [`read_at`](Ring::read_at), into a registered buffer. `EFAULT`: it is another ring's.
    pub fn read_fixed(&self, file: &Handle, buffer: FixedBuf, offset: u64) -> Operation<ReadFixed> {
        let place = file.place(self);
        let (index, offset) = (buffer.index(self).unwrap_or(NO_BUFFER), at(offset));
        self.operation(ReadFixed { place, buffer, offset, index, _file: file.clone() })
    }

    /// As [`write_at`](Ring::write_at), from a registered buffer. `EFAULT`: it is another ring's.
    pub fn write_fixed(
        &self,
        file: &Handle,
        buffer: FixedBuf,
        offset: u64,
    ) -> Operation<WriteFixed> {
        let place = file.place(self);
        let (index, offset) = (buffer.index(self).unwrap_or(NO_BUFFER), at(offset));
        self.operation(WriteFixed { place, buffer, offset, index, _file: file.clone() })
    }

    /// Waits until all that was written is on the disk, as `fsync(2)`.
    pub fn fsync(&self, file: &Handle) -> Operation<Fsync> {
        self.operation(Fsync { place: file.place(self), data_only: false, _file: file.clone() })
    }

    /// The same without what is not needed to read it again, as `fdatasync(2)`.
    pub fn fdatasync(&self, file: &Handle) -> Operation<Fsync> {
        self.operation(Fsync { place: file.place(self), data_only: true, _file: file.clone() })
    }

    /// Opens a file, as `openat(2)`; relative paths begin in the current directory. `EINVAL`: the
    /// path contains a zero byte, or the options make no sense together.
    ///
    /// If the operation is dropped and the file is opened all the same, it is closed.
    pub fn open(&self, path: impl AsRef<Path>, options: OpenOptions) -> Operation<Open> {
        self.operation(Open { path: c_path(path.as_ref()), options, direct: None })
    }

    /// The same, into a free slot of the ring's table of direct descriptors
    /// ([`register_direct`](Ring::register_direct)). `ENFILE`: no slot is free, or there is no table.
    pub fn open_direct(&self, path: impl AsRef<Path>, options: OpenOptions) -> Operation<Open> {
        self.operation(Open {
            path: c_path(path.as_ref()),
            options,
            direct: Some(self.downgrade()),
        })
    }

    /// Closes a file and tells what came of it, as `close(2)`. `EBUSY`: it was not closed, for
    /// another clone of the handle exists (an operation under way has one). `EBADF`: it is a static
    /// handle or a slot, which is only dropped.
    pub fn close(&self, file: Handle) -> Operation<Close> {
        let file = match file.into_fd() {
            Ok(fd) => Ok(fd),
            // Not by the number of clones: another thread may have dropped the last one meanwhile.
            Err(shared) if shared.owns() => Err(Errno::EBUSY),
            Err(_) => Err(Errno::EBADF),
        };
        self.operation(Close(file))
    }
}

/// The index of no registered buffer.
const NO_BUFFER: u16 = u16::MAX;

/// See [`Ring::read_at`].
#[derive(Debug)]
pub struct Read<B> {
    place: Place,
    buffer: B,
    offset: u64,
    _file: Handle,
}

// SAFETY: the entry has the address of the buffer, which is owned.
unsafe impl<B: BufMut> Request for Read<B> {
    type Output = WithBuf<B>;

    fn entry(&mut self) -> Sqe {
        let len = clamp(self.buffer.room());
        op::Read::new(self.place, self.buffer.ptr_mut(), len).offset(self.offset).build()
    }

    fn finish(self, completion: Completion) -> WithBuf<B> {
        filled(self.buffer, completion.result)
    }
}

/// See [`Ring::write_at`].
#[derive(Debug)]
pub struct Write<B> {
    place: Place,
    buffer: B,
    offset: u64,
    _file: Handle,
}

// SAFETY: the entry has the address of the buffer, which is owned.
unsafe impl<B: Buf> Request for Write<B> {
    type Output = WithBuf<B>;

    fn entry(&mut self) -> Sqe {
        let len = clamp(self.buffer.len());
        op::Write::new(self.place, self.buffer.ptr(), len).offset(self.offset).build()
    }

    fn finish(self, completion: Completion) -> WithBuf<B> {
        (completion.result.map(|count| count as usize), self.buffer)
    }
}

/// See [`Ring::read_fixed`].
#[derive(Debug)]
pub struct ReadFixed {
    place: Place,
    buffer: FixedBuf,
    offset: u64,
    index: u16,
    _file: Handle,
}

// SAFETY: the entry has the address of the buffer, which is owned.
unsafe impl Request for ReadFixed {
    type Output = WithBuf<FixedBuf>;

    fn entry(&mut self) -> Sqe {
        let (at, len) = (self.buffer.ptr_mut(), clamp(self.buffer.room()));
        op::ReadFixed::new(self.place, at, len, self.index).offset(self.offset).build()
    }

    fn finish(self, completion: Completion) -> WithBuf<FixedBuf> {
        filled(self.buffer, completion.result)
    }
}

/// See [`Ring::write_fixed`].
#[derive(Debug)]
pub struct WriteFixed {
    place: Place,
    buffer: FixedBuf,
    offset: u64,
    index: u16,
    _file: Handle,
}

// SAFETY: the entry has the address of the buffer, which is owned.
unsafe impl Request for WriteFixed {
    type Output = WithBuf<FixedBuf>;

    fn entry(&mut self) -> Sqe {
        let (at, len) = (self.buffer.ptr(), clamp(Buf::len(&self.buffer)));
        op::WriteFixed::new(self.place, at, len, self.index).offset(self.offset).build()
    }

    fn finish(self, completion: Completion) -> WithBuf<FixedBuf> {
        (completion.result.map(|count| count as usize), self.buffer)
    }
}

/// See [`Ring::fsync`].
#[derive(Debug)]
pub struct Fsync {
    place: Place,
    data_only: bool,
    _file: Handle,
}

// SAFETY: the entry has no address.
unsafe impl Request for Fsync {
    type Output = Result<()>;

    fn entry(&mut self) -> Sqe {
        let sync = op::Fsync::new(self.place);
        if self.data_only { sync.data_only().build() } else { sync.build() }
    }

    fn finish(self, completion: Completion) -> Result<()> {
        completion.result.map(drop)
    }
}

/// How a file is opened: as [`std::fs::OpenOptions`], always close-on-exec. What makes no sense together
/// (to be emptied, and only read) is answered `EINVAL` when it is opened.
///
/// ```
/// use sysring::owned::OpenOptions;
///
/// let log = OpenOptions::new().append(true).create(true).mode(0o600);
/// # let _ = log;
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct OpenOptions {
    read: bool,
    write: bool,
    append: bool,
    truncate: bool,
    create: bool,
    create_new: bool,
    flags: u32,
    mode: u32,
}

impl OpenOptions {
    /// Nothing is set: not even reading.
    pub const fn new() -> OpenOptions {
        OpenOptions {
            read: false,
            write: false,
            append: false,
            truncate: false,
            create: false,
            create_new: false,
            flags: g::O_CLOEXEC,
            mode: 0o666,
        }
    }

    /// To be read.
    pub const fn reading() -> OpenOptions {
        OpenOptions::new().read(true)
    }

    /// To be written from its start; made if it is not there, emptied if it is.
    pub const fn writing() -> OpenOptions {
        OpenOptions::new().write(true).create(true).truncate(true)
    }

    /// To be read.
    pub const fn read(mut self, yes: bool) -> OpenOptions {
        self.read = yes;
        self
    }

    /// To be written.
    pub const fn write(mut self, yes: bool) -> OpenOptions {
        self.write = yes;
        self
    }

    /// To be written, always behind its end.
    pub const fn append(mut self, yes: bool) -> OpenOptions {
        self.append = yes;
        self
    }

    /// Emptied.
    pub const fn truncate(mut self, yes: bool) -> OpenOptions {
        self.truncate = yes;
        self
    }

    /// Made if it is not there.
    pub const fn create(mut self, yes: bool) -> OpenOptions {
        self.create = yes;
        self
    }

    /// Made, and `EEXIST` if it is there, whatever is said of [`create`](OpenOptions::create) and
    /// [`truncate`](OpenOptions::truncate).
    pub const fn create_new(mut self, yes: bool) -> OpenOptions {
        self.create_new = yes;
        self
    }

    /// The permissions of a new file, before the umask; 0o666 if not given.
    pub const fn mode(mut self, mode: u32) -> OpenOptions {
        self.mode = mode;
        self
    }

    /// Other flags (`O_*`).
    pub const fn custom_flags(mut self, flags: u32) -> OpenOptions {
        self.flags |= flags & !g::O_ACCMODE;
        self
    }

    /// What std refuses is none: to read a file must not empty it.
    fn to_flags(self) -> Option<u32> {
        let access = match (self.read, self.write || self.append) {
            (true, true) => g::O_RDWR,
            (false, true) => g::O_WRONLY,
            (true, false) => g::O_RDONLY,
            (false, false) => return None,
        };
        let changes = self.truncate || self.create || self.create_new;
        let refused = match (self.write, self.append) {
            (false, false) => changes,
            (_, true) => self.truncate && !self.create_new,
            (true, false) => false,
        };
        let flag = |flag, yes| if yes { flag } else { 0 };
        let creation = match self.create_new {
            true => g::O_CREAT | g::O_EXCL,
            false => flag(g::O_CREAT, self.create) | flag(g::O_TRUNC, self.truncate),
        };
        let flags = self.flags | access | flag(g::O_APPEND, self.append) | creation;
        (!refused).then_some(flags)
    }
}

impl Default for OpenOptions {
    fn default() -> OpenOptions {
        OpenOptions::new()
    }
}

/// A path for the kernel; one with a zero byte inside becomes none.
pub(super) fn c_path(path: &Path) -> Option<CString> {
    CString::new(path.as_os_str().as_bytes()).ok()
}

/// See [`Ring::open`].
#[derive(Debug)]
pub struct Open {
    path: Option<CString>,
    options: OpenOptions,
    direct: Option<Weak<Shared>>,
}

// SAFETY: the entry has the address of the path, which is owned.
unsafe impl Request for Open {
    type Output = Result<Handle>;

    fn entry(&mut self) -> Sqe {
        let (Some(path), Some(flags)) = (&self.path, self.options.to_flags()) else {
            return invalid();
        };
        match self.direct {
            None => op::OpenAt::new(Fd::CWD, path.as_ptr())
                .open_flags(flags)
                .mode(self.options.mode)
                .build(),
            // Slots are closed by exec in any case, and refuse to be told so.
            Some(_) => op::OpenAt::new(Fd::CWD, path.as_ptr())
                .open_flags(flags & !g::O_CLOEXEC)
                .mode(self.options.mode)
                .direct(Slot::Free)
                .build(),
        }
    }

    fn finish(self, completion: Completion) -> Result<Handle> {
        completion.result.map(|number| match self.direct {
            // SAFETY: the operation opened it, and told nobody else.
            None => unsafe { OwnedFd::from_raw_fd(number as i32) }.into(),
            Some(ring) => Handle::direct(ring, number),
        })
    }
}

/// An entry that is answered `EINVAL`.
pub(super) fn invalid() -> Sqe {
    const NO_SUCH: u8 = u8::MAX;
    Sqe::from_raw(abi::Sqe { opcode: NO_SUCH, ..Default::default() })
}

/// See [`Ring::close`].
#[derive(Debug)]
pub struct Close(Result<OwnedFd>);

// SAFETY: the entry has no address.
unsafe impl Request for Close {
    type Output = Result<()>;

    fn entry(&mut self) -> Sqe {
        use std::os::fd::AsRawFd;
        match &self.0 {
            Ok(fd) => op::Close::new(Fd::new(fd.as_raw_fd())).build(),
            Err(_) => op::Nop::new().build(),
        }
    }

    fn finish(self, completion: Completion) -> Result<()> {
        use std::os::fd::IntoRawFd;
        let fd = self.0?;
        if completion.is_refused() || completion.result == Err(Errno::ECANCELED) {
            // It never came to the call.
            drop(fd);
        } else {
            // Also where that fails the number is free.
            let _ = fd.into_raw_fd();
        }
        completion.result.map(drop)
    }
}
