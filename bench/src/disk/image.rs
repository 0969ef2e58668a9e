//! What is on the disk, in memory that nobody drops.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::process::{self, Command, Stdio};
use std::ptr::{self, NonNull};

use crate::Error;

pub struct Image {
    file: File,
    memory: NonNull<u8>,
    size: u64,
}

impl Image {
    /// Zeros, which take no memory before they are written or read.
    pub fn new(size: u64) -> io::Result<Image> {
        // SAFETY: a name that ends with a zero.
        let fd = unsafe { libc::memfd_create(c"slow-disk".as_ptr(), libc::MFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a new descriptor, which is nobody else's.
        let file = unsafe { File::from_raw_fd(fd) };
        file.set_len(size)?;
        let (how, kind) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_NORESERVE);
        // SAFETY: new memory, where the kernel finds room.
        let memory = unsafe { libc::mmap(ptr::null_mut(), size as usize, how, kind, fd, 0) };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let memory = NonNull::new(memory.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Image { file, memory, size })
    }

    /// Puts an empty ext4 on it: without a journal, and with tables of inodes taken as they are.
    pub fn format(&self) -> Result<(), Error> {
        let mut mkfs = Command::new("mkfs.ext4");
        mkfs.args(["-q", "-F", "-b", "4096", "-O", "^has_journal"]);
        mkfs.args(["-E", "nodiscard,lazy_itable_init=1,assume_storage_prezeroed=1"]);
        mkfs.arg(format!("/proc/{}/fd/{}", process::id(), self.file.as_raw_fd()));
        match mkfs.stdin(Stdio::null()).status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("mkfs.ext4 ended with {status}").into()),
            Err(error) => Err(format!("cannot start mkfs.ext4: {error}").into()),
        }
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    /// The part from `offset` that lies within the image: its address, and how long it is.
    pub fn part(&self, offset: u64, len: usize) -> (*mut u8, usize) {
        let offset = offset.min(self.size);
        let len = len.min((self.size - offset) as usize);
        // SAFETY: within the mapping, or at its end.
        (unsafe { self.memory.as_ptr().add(offset as usize) }, len)
    }

    /// Writes what lies within it; how much that is.
    pub fn write(&mut self, offset: u64, bytes: &[u8]) -> usize {
        let (to, len) = self.part(offset, bytes.len());
        // SAFETY: so many bytes of the mapping, of which nobody has a reference.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, len) };
        len
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // SAFETY: the mapping of `new`, to which no reference was given.
        unsafe { libc::munmap(self.memory.as_ptr().cast(), self.size as usize) };
    }
}
