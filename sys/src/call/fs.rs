//! Paths and metadata. Every path is an address in the application's memory.

use linux_raw_sys::general::stat;

use super::sys;
use crate::{Errno, Fd, Result, User};

/// `struct open_how` of `openat2(2)`.
#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct OpenHow {
    /// `O_*`.
    pub flags: u64,
    /// Permission bits of a created file.
    pub mode: u64,
    /// `RESOLVE_*`.
    pub resolve: u64,
}

/// Only what the dentry cache holds: `EAGAIN` where the lookup would have to wait (Linux 5.12).
pub const RESOLVE_CACHED: u64 = 0x20;

/// `openat(2)`.
pub fn openat(dir: Fd, path: User<u8>, flags: u32, mode: u32) -> Result<Fd> {
    // SAFETY: the kernel checks the address.
    unsafe { sys!(__NR_openat, dir.arg(), path.arg(), flags as usize, mode as usize) }
        .map(|n| Fd::new(n as i32))
}

/// `openat2(2)`, Linux 5.6.
pub fn openat2(dir: Fd, path: User<u8>, how: User<OpenHow>, size: usize) -> Result<Fd> {
    // SAFETY: the kernel checks both addresses.
    unsafe { sys!(__NR_openat2, dir.arg(), path.arg(), how.arg(), size) }.map(|n| Fd::new(n as i32))
}

/// `statx(2)`.
///
/// # Safety
/// What is written to is memory of the caller's alone, or the application's, which asked for it.
pub unsafe fn statx(dir: Fd, path: User<u8>, flags: u32, mask: u32, out: User<u8>) -> Result<()> {
    // SAFETY: the kernel checks both addresses; the caller vouches for what is written to.
    unsafe { sys!(__NR_statx, dir.arg(), path.arg(), flags as usize, mask as usize, out.arg()) }
        .map(drop)
}

/// `newfstatat(2)`.
pub fn newfstatat(dir: Fd, path: User<u8>, out: &mut stat, flags: u32) -> Result<()> {
    let address = (&raw mut *out) as usize;
    // SAFETY: the kernel checks the path's address, and writes a `stat`, which is borrowed mutably.
    unsafe { sys!(__NR_newfstatat, dir.arg(), path.arg(), address, flags as usize) }.map(drop)
}

/// `fstat(2)`.
pub fn fstat(fd: Fd, out: &mut stat) -> Result<()> {
    let address = (&raw mut *out) as usize;
    // SAFETY: the kernel writes a `stat`, which is borrowed mutably.
    unsafe { sys!(__NR_fstat, fd.arg(), address) }.map(drop)
}

/// `getdents64(2)`: how many bytes of records were read, none at the end.
pub fn getdents64(dir: Fd, records: &mut [u8]) -> Result<usize> {
    let address = records.as_mut_ptr() as usize;
    // SAFETY: the kernel writes no further than the slice is long.
    unsafe { sys!(__NR_getdents64, dir.arg(), address, records.len()) }
}

/// `readlinkat(2)`: how long what was written is; what does not fit is cut off.
pub fn readlinkat(dir: Fd, path: User<u8>, target: &mut [u8]) -> Result<usize> {
    let address = target.as_mut_ptr() as usize;
    // SAFETY: the kernel checks the path's address, and writes no further than the slice is long.
    unsafe { sys!(__NR_readlinkat, dir.arg(), path.arg(), address, target.len()) }
}

/// `unlinkat(2)`.
pub fn unlinkat(dir: Fd, path: User<u8>, flags: u32) -> Result<()> {
    // SAFETY: the kernel checks the address.
    unsafe { sys!(__NR_unlinkat, dir.arg(), path.arg(), flags as usize) }.map(drop)
}

/// `renameat2(2)`.
pub fn renameat2(from_dir: Fd, from: User<u8>, to_dir: Fd, to: User<u8>, flags: u32) -> Result<()> {
    // SAFETY: the kernel checks both addresses.
    unsafe {
        sys!(__NR_renameat2, from_dir.arg(), from.arg(), to_dir.arg(), to.arg(), flags as usize)
    }
    .map(drop)
}

/// `mkdirat(2)`.
pub fn mkdirat(dir: Fd, path: User<u8>, mode: u32) -> Result<()> {
    // SAFETY: the kernel checks the address.
    unsafe { sys!(__NR_mkdirat, dir.arg(), path.arg(), mode as usize) }.map(drop)
}

/// `symlinkat(2)`.
pub fn symlinkat(target: User<u8>, dir: Fd, path: User<u8>) -> Result<()> {
    // SAFETY: the kernel checks both addresses.
    unsafe { sys!(__NR_symlinkat, target.arg(), dir.arg(), path.arg()) }.map(drop)
}

/// `linkat(2)`.
pub fn linkat(from_dir: Fd, from: User<u8>, to_dir: Fd, to: User<u8>, flags: u32) -> Result<()> {
    // SAFETY: the kernel checks both addresses.
    unsafe { sys!(__NR_linkat, from_dir.arg(), from.arg(), to_dir.arg(), to.arg(), flags as usize) }
        .map(drop)
}

/// `setxattr(2)`.
pub fn setxattr(
    path: User<u8>,
    name: User<u8>,
    value: User<u8>,
    len: usize,
    flags: u32,
) -> Result<()> {
    // SAFETY: the kernel checks the addresses.
    unsafe { sys!(__NR_setxattr, path.arg(), name.arg(), value.arg(), len, flags as usize) }
        .map(drop)
}

/// `fsetxattr(2)`.
pub fn fsetxattr(fd: Fd, name: User<u8>, value: User<u8>, len: usize, flags: u32) -> Result<()> {
    // SAFETY: the kernel checks the addresses.
    unsafe { sys!(__NR_fsetxattr, fd.arg(), name.arg(), value.arg(), len, flags as usize) }
        .map(drop)
}

/// `getxattr(2)`.
///
/// # Safety
/// What is written to is memory of the caller's alone, or the application's, which asked for it.
pub unsafe fn getxattr(
    path: User<u8>,
    name: User<u8>,
    value: User<u8>,
    len: usize,
) -> Result<usize> {
    // SAFETY: the kernel checks the addresses; the caller vouches for what is written to.
    unsafe { sys!(__NR_getxattr, path.arg(), name.arg(), value.arg(), len) }
}

/// `fgetxattr(2)`.
///
/// # Safety
/// What is written to is memory of the caller's alone, or the application's, which asked for it.
pub unsafe fn fgetxattr(fd: Fd, name: User<u8>, value: User<u8>, len: usize) -> Result<usize> {
    // SAFETY: the kernel checks the addresses; the caller vouches for what is written to.
    unsafe { sys!(__NR_fgetxattr, fd.arg(), name.arg(), value.arg(), len) }
}

/// The parts of `struct statx` that hold the file's type and length, and the device that it is.
#[repr(C)]
struct Statx {
    _mask_to_gid: [u32; 7],
    mode: u16,
    _spare: u16,
    _ino: u64,
    size: u64,
    _blocks_to_mtime: [u64; 10],
    major: u32,
    minor: u32,
    _rest: [u64; 15],
}

const _: () = assert!(size_of::<Statx>() == 256);
const _: () = assert!(core::mem::offset_of!(Statx, size) == 40);
const _: () = assert!(core::mem::offset_of!(Statx, major) == 128);

/// Whether an open file is a regular file or a block device: what has an end and a cache, and is
/// never waited for with poll.
#[must_use]
pub fn is_file_or_disk(fd: Fd) -> bool {
    use linux_raw_sys::general as g;
    matches!(file_type(fd), Ok(g::S_IFREG | g::S_IFBLK))
}

/// The same, also of directories, for who asks often: `sync_file_range` without flags does nothing but
/// refuse all others, and takes half as long as `statx`.
pub fn is_file_disk_or_directory(fd: Fd) -> bool {
    match super::sync_file_range(fd, super::Offset(0), 0, 0) {
        Ok(()) => true,
        Err(Errno::ESPIPE) => false,
        // A filter may refuse it to everybody.
        Err(_) => is_file_or_disk(fd),
    }
}

/// What an open file is (`S_IFMT`).
pub fn file_type(fd: Fd) -> Result<u32> {
    Ok(u32::from(status(fd)?.mode) & linux_raw_sys::general::S_IFMT)
}

/// Who may do what with an open file: the low twelve bits of its mode.
pub fn permissions(fd: Fd) -> Result<u32> {
    Ok(u32::from(status(fd)?.mode) & 0o7777)
}

/// Whether a process has record locks (`fcntl(2)`, `F_SETLK`) on the inode of an open file, which may be this
/// one. The first lock that is in the way of a new one on all of the file has to stand for them: that one of
/// an open file (`F_OFD_SETLK`) comes before those of processes hides them.
///
/// # Errors
/// `EINVAL` before Linux 3.15. `EBADF`, also for `O_PATH`.
pub fn has_record_locks(fd: Fd) -> Result<bool> {
    use linux_raw_sys::general::{F_OFD_GETLK, F_UNLCK, F_WRLCK, flock};
    const OF_AN_OPEN_FILE: i32 = -1;
    let mut lock = flock { l_type: F_WRLCK as i16, l_whence: 0, l_start: 0, l_len: 0, l_pid: 0 };
    // SAFETY: the kernel reads and writes this `struct flock`.
    unsafe { sys!(__NR_fcntl, fd.arg(), F_OFD_GETLK as usize, &raw mut lock as usize) }?;
    Ok(lock.l_type != F_UNLCK as i16 && lock.l_pid != OF_AN_OPEN_FILE)
}

/// Which inode an open file is of: the device's number and its own.
pub fn inode(fd: Fd) -> Result<(u64, u64)> {
    // SAFETY: words, of which all may be zero.
    let mut status: stat = unsafe { core::mem::zeroed() };
    fstat(fd, &mut status)?;
    Ok((status.st_dev, status.st_ino))
}

/// The numbers of the device that an open file is.
pub fn device(fd: Fd) -> Result<(u32, u32)> {
    let status = status(fd)?;
    Ok((status.major, status.minor))
}

fn status(fd: Fd) -> Result<Statx> {
    use linux_raw_sys::general as g;
    let mut stat = Statx {
        _mask_to_gid: [0; 7],
        mode: 0,
        _spare: 0,
        _ino: 0,
        size: 0,
        _blocks_to_mtime: [0; 10],
        major: 0,
        minor: 0,
        _rest: [0; 15],
    };
    let out = User::of(&raw mut stat).cast();
    let flags = g::AT_EMPTY_PATH | g::AT_STATX_DONT_SYNC;
    let nameless = User::of(c"".as_ptr().cast());
    let asked = g::STATX_TYPE | g::STATX_MODE | g::STATX_SIZE;
    // SAFETY: a structure of ours.
    unsafe { statx(fd, nameless, flags, asked, out) }?;
    Ok(stat)
}

/// The kind of file system an open file lies on (`f_type` of `fstatfs(2)`).
pub fn filesystem(fd: Fd) -> Result<u64> {
    // `struct statfs`: fifteen words, the first of which says what kind it is.
    let mut stat = [0u64; 15];
    // SAFETY: the kernel writes one `struct statfs`, for which there is room.
    unsafe { sys!(__NR_fstatfs, fd.arg(), User::of(&raw mut stat).arg()) }?;
    Ok(stat[0])
}

/// `lseek(2)`.
pub fn lseek(fd: Fd, offset: i64, whence: u32) -> Result<i64> {
    // SAFETY: numbers.
    unsafe { sys!(__NR_lseek, fd.arg(), offset as usize, whence as usize) }.map(|at| at as i64)
}

/// How long an open file is; 0 of what has no length.
pub fn file_size(fd: Fd) -> Result<i64> {
    status(fd).map(|stat| stat.size as i64)
}
