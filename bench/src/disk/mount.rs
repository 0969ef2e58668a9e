//! File systems and a loop device, where no other process sees them.

use std::ffi::{CString, c_ulong};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use linux_raw_sys::loop_device as l;

use crate::Error;

const BLOCK: u32 = 4096;

/// A connection to the kernel's FUSE, which waits to be mounted.
pub fn connection() -> Result<File, Error> {
    let options = File::options().read(true).write(true).custom_flags(libc::O_NONBLOCK).to_owned();
    options.open("/dev/fuse").map_err(|e| format!("/dev/fuse: {e}").into())
}

/// From now on what this process mounts is its own and its children's, and goes with the last.
pub fn apart() -> Result<(), Error> {
    // SAFETY: takes no memory.
    done(unsafe { libc::unshare(libc::CLONE_NEWNS) })
        .map_err(|e| format!("mounts of its own (only root may): {e}"))?;
    mount("none", Path::new("/"), "", libc::MS_REC | libc::MS_PRIVATE, "")
}

/// A place for what is to be mounted.
pub fn memory(at: &Path) -> Result<(), Error> {
    mount("slow-disk", at, "tmpfs", 0, "size=64k")
}

/// The file that a server shows: the root of its file system is no directory.
pub fn server(connection: BorrowedFd, file: &Path) -> Result<(), Error> {
    File::create(file)?;
    let fd = connection.as_raw_fd();
    let options = format!("fd={fd},rootmode=100600,user_id=0,group_id=0");
    mount("slow-disk", file, "fuse", libc::MS_NOSUID | libc::MS_NODEV, &options)
}

/// Held until the device is mounted; when it is unmounted, it is free again.
pub struct Device {
    pub path: PathBuf,
    _open: File,
}

/// A block device over a file, past the page cache.
pub fn device(file: &Path) -> Result<Device, Error> {
    let open = |path: &Path, flags| {
        let opened = File::options().read(true).write(true).custom_flags(flags).open(path);
        opened.map_err(|e| format!("{}: {e}", path.display()))
    };
    let control = open(Path::new("/dev/loop-control"), 0)?;
    let file = open(file, libc::O_DIRECT)?;
    loop {
        // SAFETY: takes no memory.
        let number =
            unsafe { libc::ioctl(control.as_raw_fd(), c_ulong::from(l::LOOP_CTL_GET_FREE)) };
        done(number)?;
        let path = PathBuf::from(format!("/dev/loop{number}"));
        let device = open(&path, 0)?;
        match configure(&device, &file) {
            Ok(()) => return Ok(Device { path, _open: device }),
            // Another process has taken it in between.
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
            Err(error) => return Err(format!("{}: {error}", path.display()).into()),
        }
    }
}

fn configure(device: &File, file: &File) -> io::Result<()> {
    let direct = l::LO_FLAGS_DIRECT_IO as u32;
    // SAFETY: structures of numbers, for which zeros are values.
    let (mut config, mut status): (l::loop_config, l::loop_info64) = unsafe { std::mem::zeroed() };
    config.fd = file.as_raw_fd() as u32;
    config.block_size = BLOCK;
    config.info.lo_flags = direct | l::LO_FLAGS_AUTOCLEAR as u32;
    let (fd, status_at) = (device.as_raw_fd(), &raw mut status);
    // SAFETY: the structure that the kernel reads for this command.
    done(unsafe { libc::ioctl(fd, c_ulong::from(l::LOOP_CONFIGURE), &raw const config) })?;
    // SAFETY: the structure that it writes for that one.
    done(unsafe { libc::ioctl(fd, c_ulong::from(l::LOOP_GET_STATUS64), status_at) })?;
    match status.lo_flags & direct {
        0 => Err(io::Error::other("the loop device does not bypass the page cache")),
        _ => Ok(()),
    }
}

/// The files on a device.
pub fn files(device: &Path, at: &Path) -> Result<(), Error> {
    fs::create_dir(at)?;
    mount(&device.to_string_lossy(), at, "ext4", libc::MS_NOATIME, "noinit_itable")
}

/// Undoes all of it: what is mounted below goes, too.
pub fn undo(at: &Path) -> io::Result<()> {
    let at = CString::new(at.as_os_str().as_bytes())?;
    // SAFETY: a path that ends with a zero.
    done(unsafe { libc::umount2(at.as_ptr(), libc::MNT_DETACH) })
}

fn mount(source: &str, at: &Path, kind: &str, flags: c_ulong, options: &str) -> Result<(), Error> {
    let [from, what, how] = [source, kind, options].map(CString::new);
    let (from, what, how) = (from?, what?, how?);
    let to = CString::new(at.as_os_str().as_bytes())?;
    let how = how.as_ptr().cast();
    // SAFETY: strings that end with zeros.
    let mounted = unsafe { libc::mount(from.as_ptr(), to.as_ptr(), what.as_ptr(), flags, how) };
    done(mounted).map_err(|e| format!("cannot mount {source} at {}: {e}", at.display()).into())
}

fn done(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
