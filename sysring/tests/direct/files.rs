//! A file that is read past the page cache, and what is in it.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;

use sysring::calls::{Calls, Issued};
use sysring_sys::raw::general as g;

pub const BLOCK: usize = 4096;
/// It ends within a block.
pub const LEN: usize = 7 * BLOCK + 100;

#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C, align(4096))]
pub struct Block(pub [u8; BLOCK]);

impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:x?}…", &self.0[..8])
    }
}

pub const fn block(byte: u8) -> Block {
    Block([byte; BLOCK])
}

/// Of the block with this number.
pub fn contents(number: usize) -> Block {
    block(number as u8 + 1)
}

/// A folder of the test's own, on the disk that the tests are built on.
pub fn folder(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("direct-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// A file that is opened twice: with `O_DIRECT`, and without.
pub struct Direct {
    file: File,
    pub plain: File,
    folder: PathBuf,
}

impl Direct {
    /// Nothing where the file system knows no `O_DIRECT`.
    pub fn new(name: &str) -> Option<Direct> {
        let folder = folder(name);
        let path = folder.join("file");
        let plain = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        for number in 0..=LEN / BLOCK {
            let len = BLOCK.min(LEN - number * BLOCK);
            plain.write_all_at(&contents(number).0[..len], (number * BLOCK) as u64).unwrap();
        }
        plain.sync_all().unwrap();
        let Ok(file) = open(&path, libc::O_RDWR) else {
            println!("skipped: no O_DIRECT in {}", folder.display());
            let _ = std::fs::remove_dir_all(&folder);
            return None;
        };
        let direct = Direct { file, plain, folder };
        direct.learn(&direct.file);
        Some(direct)
    }

    /// Lets it be known that the number is now a direct file's: the first call may be made in place,
    /// if it was another's before.
    pub fn learn(&self, file: &File) {
        let calls = Calls::new().unwrap();
        let mut to = block(0);
        let arguments = [file.as_raw_fd() as usize, to.0.as_mut_ptr() as usize, BLOCK, 0, 0, 0];
        // SAFETY: waited for.
        let call = unsafe { sysring::calls::Call::raw(g::__NR_pread64, arguments) };
        if let Issued::Pending(_) = calls.issue(call).unwrap() {
            let _ = calls.wait(1).unwrap().next();
        }
    }

    pub fn fd(&self) -> usize {
        self.file.as_raw_fd() as usize
    }

    /// The same file, opened once more.
    pub fn again(&self, flags: i32) -> File {
        open(&self.folder.join("file"), flags).unwrap()
    }

    /// The same, under the first free number from this one.
    pub fn again_from(&self, number: i32) -> File {
        let again = self.again(libc::O_RDWR);
        // SAFETY: takes numbers; what it answers is a descriptor that is nobody else's.
        unsafe {
            let fd = libc::fcntl(again.as_raw_fd(), libc::F_DUPFD_CLOEXEC, number);
            assert!(fd >= number);
            File::from_raw_fd(fd)
        }
    }
}

/// Has the number of `to` be another file's.
pub fn give_number(file: &impl AsRawFd, to: &File) {
    // SAFETY: both are open; whoever has `to` uses it for no memory.
    assert!(unsafe { libc::dup2(file.as_raw_fd(), to.as_raw_fd()) } >= 0);
}

fn open(path: &std::path::Path, flags: i32) -> std::io::Result<File> {
    let (reads, writes) = (flags != libc::O_WRONLY, flags != libc::O_RDONLY);
    OpenOptions::new().read(reads).write(writes).custom_flags(libc::O_DIRECT).open(path)
}

impl Drop for Direct {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
