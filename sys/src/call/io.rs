//! Reading, writing, and what belongs to an open file.

use super::sys;
use crate::abi::Iovec;
use crate::{Errno, Fd, Result, User};

/// Bytes at an address of the application's.
#[derive(Clone, Copy, Debug)]
pub struct Buffer {
    /// Where.
    pub address: User<u8>,
    /// How many bytes.
    pub len: usize,
}

/// An array of `iovec` at an address of the application's (or of ours).
#[derive(Clone, Copy, Debug)]
pub struct Vector {
    /// Where.
    pub address: User<Iovec>,
    /// How many entries.
    pub count: usize,
}

/// Where in the file: a position, or `CURRENT` (-1) for the file's own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Offset(pub i64);

impl Offset {
    /// The file's own position, which the call moves; also what a stream needs.
    pub const CURRENT: Offset = Offset(-1);
}

/// `RWF_*` flags of `preadv2` and `pwritev2`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RwFlags(pub u32);

impl RwFlags {
    /// None.
    pub const NONE: RwFlags = RwFlags(0);
    /// Complete by polling the device.
    pub const HIPRI: RwFlags = RwFlags(1);
    /// What every file takes: to be written through, to be appended to or not, without SIGPIPE.
    pub const EVERYWHERE: RwFlags = RwFlags(0x13e);
    /// All that Linux 6.18 has.
    pub const KNOWN: RwFlags = RwFlags(0x1ff);
    /// `EAGAIN` rather than wait.
    pub const NOWAIT: RwFlags = RwFlags(8);
    /// `EPIPE` without SIGPIPE.
    pub const NOSIGNAL: RwFlags = RwFlags(0x100);

    /// Both sets of flags.
    #[must_use]
    pub const fn and(self, other: RwFlags) -> RwFlags {
        RwFlags(self.0 | other.0)
    }
}

/// `read(2)`.
///
/// # Safety
/// What is written to is memory of the caller's alone, or the application's, which asked for it.
pub unsafe fn read(fd: Fd, buf: Buffer) -> Result<usize> {
    // SAFETY: the kernel checks the address; the caller vouches for what is written to.
    unsafe { sys!(__NR_read, fd.arg(), buf.address.arg(), buf.len) }
}

/// `read(2)` into memory of ours.
pub fn read_into(fd: Fd, to: &mut [u8]) -> Result<usize> {
    let buf = Buffer { address: User::of(to.as_mut_ptr()), len: to.len() };
    // SAFETY: the slice is borrowed mutably.
    unsafe { read(fd, buf) }
}

/// `write(2)`.
pub fn write(fd: Fd, buf: Buffer) -> Result<usize> {
    // SAFETY: the kernel checks the address, and only reads there.
    unsafe { sys!(__NR_write, fd.arg(), buf.address.arg(), buf.len) }
}

/// `pread64(2)`.
///
/// # Safety
/// What is written to is memory of the caller's alone, or the application's, which asked for it.
pub unsafe fn pread(fd: Fd, buf: Buffer, at: Offset) -> Result<usize> {
    // SAFETY: the kernel checks the address; the caller vouches for what is written to.
    unsafe { sys!(__NR_pread64, fd.arg(), buf.address.arg(), buf.len, at.0 as usize) }
}

/// `pread64(2)` into memory of ours.
pub fn pread_into(fd: Fd, to: &mut [u8], at: Offset) -> Result<usize> {
    let buf = Buffer { address: User::of(to.as_mut_ptr()), len: to.len() };
    // SAFETY: the slice is borrowed mutably.
    unsafe { pread(fd, buf, at) }
}

/// `pwrite64(2)`.
pub fn pwrite(fd: Fd, buf: Buffer, at: Offset) -> Result<usize> {
    // SAFETY: the kernel checks the address, and only reads there.
    unsafe { sys!(__NR_pwrite64, fd.arg(), buf.address.arg(), buf.len, at.0 as usize) }
}

/// `preadv2(2)`.
///
/// # Safety
/// What is written to is memory of the caller's alone, or the application's, which asked for it.
pub unsafe fn preadv2(fd: Fd, vec: Vector, at: Offset, flags: RwFlags) -> Result<usize> {
    // SAFETY: the kernel checks the addresses; the caller vouches for what is written to. (The offset's
    // high half is ignored where registers have 64 bits.)
    unsafe {
        sys!(
            in place __NR_preadv2,
            fd.arg(),
            vec.address.arg(),
            vec.count,
            at.0 as usize,
            0,
            flags.0 as usize
        )
    }
}

/// `preadv(2)`, or `readv(2)` at the current position.
///
/// # Safety
/// What is written to is memory of the caller's alone, or the application's, which asked for it.
pub unsafe fn preadv(fd: Fd, vec: Vector, at: Offset) -> Result<usize> {
    // SAFETY: the kernel checks the addresses; the caller vouches for what is written to.
    unsafe {
        match at {
            Offset::CURRENT => sys!(__NR_readv, fd.arg(), vec.address.arg(), vec.count),
            at => sys!(__NR_preadv, fd.arg(), vec.address.arg(), vec.count, at.0 as usize, 0),
        }
    }
}

/// `pwritev(2)`, or `writev(2)` at the current position.
pub fn pwritev(fd: Fd, vec: Vector, at: Offset) -> Result<usize> {
    // SAFETY: the kernel checks the addresses, and only reads there.
    unsafe {
        match at {
            Offset::CURRENT => sys!(__NR_writev, fd.arg(), vec.address.arg(), vec.count),
            at => sys!(__NR_pwritev, fd.arg(), vec.address.arg(), vec.count, at.0 as usize, 0),
        }
    }
}

/// `pwritev2(2)`.
pub fn pwritev2(fd: Fd, vec: Vector, at: Offset, flags: RwFlags) -> Result<usize> {
    // SAFETY: the kernel checks the addresses, and only reads there. (The offset's high half is ignored
    // where registers have 64 bits.)
    unsafe {
        sys!(
            in place __NR_pwritev2,
            fd.arg(),
            vec.address.arg(),
            vec.count,
            at.0 as usize,
            0,
            flags.0 as usize
        )
    }
}

/// `close(2)`.
pub fn close(fd: Fd) -> Result<()> {
    // SAFETY: a number; ownership is the caller's concern.
    unsafe { sys!(__NR_close, fd.arg()) }.map(drop)
}

/// `fcntl(2)` with an integer argument.
///
/// # Errors
/// `EINVAL`, too, for a command that is not known to take an integer.
#[inline]
pub fn fcntl(fd: Fd, command: u32, arg: usize) -> Result<usize> {
    use linux_raw_sys::general as g;
    match command {
        g::F_DUPFD | g::F_DUPFD_CLOEXEC | F_DUPFD_QUERY => {}
        g::F_GETFD | g::F_SETFD | g::F_GETFL | g::F_SETFL => {}
        g::F_ADD_SEALS | g::F_GET_SEALS => {}
        _ => return Err(Errno::EINVAL),
    }
    // SAFETY: the argument of these is a number.
    unsafe { sys!(__NR_fcntl, fd.arg(), command as usize, arg) }
}

/// Whether two descriptors name the same open file, Linux 6.10.
pub(super) const F_DUPFD_QUERY: u32 = 1027;

/// The lowest free descriptor at or above `from`, close-on-exec, for the same open file.
pub fn dup_from(fd: Fd, from: Fd) -> Result<Fd> {
    fcntl(fd, linux_raw_sys::general::F_DUPFD_CLOEXEC, from.arg()).map(|n| Fd::new(n as i32))
}

/// `dup3(2)`.
pub fn dup3(old: Fd, new: Fd, flags: u32) -> Result<Fd> {
    // SAFETY: numbers.
    unsafe { sys!(__NR_dup3, old.arg(), new.arg(), flags as usize) }.map(|n| Fd::new(n as i32))
}

/// The open file's status flags (`O_NONBLOCK`, `O_DIRECT`…).
pub fn file_flags(fd: Fd) -> Result<u32> {
    fcntl(fd, linux_raw_sys::general::F_GETFL, 0).map(|n| n as u32)
}

/// Sets the open file's status flags.
pub fn set_file_flags(fd: Fd, flags: u32) -> Result<()> {
    fcntl(fd, linux_raw_sys::general::F_SETFL, flags as usize).map(drop)
}

/// `ioctl(2)` with the address of an argument.
///
/// # Safety
/// What is written to is memory of the caller's alone, or the application's, which asked for it.
pub unsafe fn ioctl(fd: Fd, request: u32, arg: User<u8>) -> Result<usize> {
    // SAFETY: the kernel checks the address; the caller vouches for what is written to.
    unsafe { sys!(__NR_ioctl, fd.arg(), request as usize, arg.arg()) }
}

/// `fsync(2)`.
pub fn fsync(fd: Fd) -> Result<()> {
    // SAFETY: a number.
    unsafe { sys!(__NR_fsync, fd.arg()) }.map(drop)
}

/// `fdatasync(2)`.
pub fn fdatasync(fd: Fd) -> Result<()> {
    // SAFETY: a number.
    unsafe { sys!(__NR_fdatasync, fd.arg()) }.map(drop)
}

/// `sync_file_range(2)`.
pub fn sync_file_range(fd: Fd, at: Offset, len: i64, flags: u32) -> Result<()> {
    // SAFETY: numbers.
    unsafe { sys!(__NR_sync_file_range, fd.arg(), at.0 as usize, len as usize, flags as usize) }
        .map(drop)
}

/// `fallocate(2)`.
pub fn fallocate(fd: Fd, mode: u32, at: Offset, len: i64) -> Result<()> {
    // SAFETY: numbers.
    unsafe { sys!(__NR_fallocate, fd.arg(), mode as usize, at.0 as usize, len as usize) }.map(drop)
}

/// `ftruncate(2)`.
pub fn ftruncate(fd: Fd, len: i64) -> Result<()> {
    // SAFETY: numbers.
    unsafe { sys!(__NR_ftruncate, fd.arg(), len as usize) }.map(drop)
}

/// `posix_fadvise(2)`.
pub fn fadvise(fd: Fd, at: Offset, len: i64, advice: u32) -> Result<()> {
    // SAFETY: numbers.
    unsafe { sys!(__NR_fadvise64, fd.arg(), at.0 as usize, len as usize, advice as usize) }
        .map(drop)
}

/// `splice(2)`; the kernel moves the positions on.
///
/// # Safety
/// What is written to is memory of the caller's alone, or the application's, which asked for it.
pub unsafe fn splice(
    from: Fd,
    from_at: User<i64>,
    to: Fd,
    to_at: User<i64>,
    len: usize,
    flags: u32,
) -> Result<usize> {
    // SAFETY: the kernel checks the addresses; the caller vouches for what is written to.
    unsafe {
        sys!(__NR_splice, from.arg(), from_at.arg(), to.arg(), to_at.arg(), len, flags as usize)
    }
}

/// `tee(2)`.
pub fn tee(from: Fd, to: Fd, len: usize, flags: u32) -> Result<usize> {
    // SAFETY: numbers.
    unsafe { sys!(__NR_tee, from.arg(), to.arg(), len, flags as usize) }
}

/// `pipe2(2)`.
///
/// # Safety
/// What is written to is memory of the caller's alone, or the application's, which asked for it.
pub unsafe fn pipe2(fds: User<[i32; 2]>, flags: u32) -> Result<()> {
    // SAFETY: the kernel checks the address; the caller vouches for what is written to.
    unsafe { sys!(__NR_pipe2, fds.arg(), flags as usize) }.map(drop)
}

/// A pipe: the end to read from, and the one to write to.
pub fn pipe(flags: u32) -> Result<[Fd; 2]> {
    let mut ends = [-1i32; 2];
    // SAFETY: an array of ours.
    unsafe { pipe2(User::of(&raw mut ends), flags) }?;
    Ok(ends.map(Fd::new))
}

/// `close_range(2)`, Linux 5.9.
pub fn close_range(first: u32, last: u32, flags: u32) -> Result<()> {
    // SAFETY: numbers; ownership is the caller's concern.
    unsafe { sys!(__NR_close_range, first as usize, last as usize, flags as usize) }.map(drop)
}
