//! Memory, descriptors and names that requests work on.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::random::Random;

#[repr(C, align(4096))]
#[derive(Clone, Copy)]
struct Page([u8; 4096]);

/// Bytes that stay where they are when their owner moves, aligned as direct reads need it.
pub struct Bytes {
    pages: Vec<Page>,
    len: usize,
}

impl Bytes {
    pub fn zeroed(len: usize) -> Bytes {
        Bytes { pages: vec![Page([0; 4096]); len.div_ceil(4096)], len }
    }

    pub fn random(len: usize, random: &mut Random) -> Bytes {
        let mut bytes = Bytes::zeroed(len);
        for page in &mut bytes.pages {
            page.0
                .chunks_exact_mut(8)
                .for_each(|c| c.copy_from_slice(&random.roll().to_le_bytes()));
        }
        bytes
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn address(&self) -> u64 {
        self.pages.as_ptr() as u64
    }

    /// As requests left them.
    pub fn get(&self) -> &[u8] {
        // SAFETY: pages are bytes, and there are as many as `len` needs; requests that write here
        // are complete when this is called.
        unsafe { std::slice::from_raw_parts(self.pages.as_ptr().cast(), self.len) }
    }
}

/// The same bytes, or what is wrong.
pub fn same(what: &str, got: &[u8], sent: &[u8]) -> Result<u64, String> {
    match got.iter().zip(sent).position(|(got, sent)| got != sent) {
        None if got.len() == sent.len() => Ok(sent.len() as u64),
        None => Err(format!("{what}: {} bytes where there are {}", got.len(), sent.len())),
        Some(at) => Err(format!("{what}: other bytes from {at} of {}", sent.len())),
    }
}

fn owned(fd: i32) -> OwnedFd {
    assert!(fd >= 0, "no descriptor to be had: {}", io::Error::last_os_error());
    // SAFETY: a descriptor that was opened for this alone.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// The reading and the writing end.
pub fn pipe() -> (OwnedFd, OwnedFd) {
    let mut ends = [-1; 2];
    // SAFETY: `ends` has room for two.
    unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) };
    (owned(ends[0]), owned(ends[1]))
}

pub fn pair() -> (OwnedFd, OwnedFd) {
    let mut ends = [-1; 2];
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
    // SAFETY: `ends` has room for two.
    unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) };
    (owned(ends[0]), owned(ends[1]))
}

pub fn eventfd(count: u32) -> OwnedFd {
    // SAFETY: takes numbers only.
    owned(unsafe { libc::eventfd(count, libc::EFD_CLOEXEC) })
}

/// What an operation that opens answered.
pub fn opened(res: i32) -> OwnedFd {
    owned(res)
}

/// A TCP socket that leaves nothing behind when it is closed.
pub fn tcp() -> OwnedFd {
    // SAFETY: takes numbers only.
    let socket =
        owned(unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) });
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let (at, len) = ((&raw const linger).cast(), size_of_val(&linger) as u32);
    // SAFETY: `linger` is as long as it is said to be.
    unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER, at, len) };
    socket
}

/// Writes all of it by plain calls: to what has room for it.
pub fn feed(fd: &OwnedFd, bytes: &[u8]) {
    // SAFETY: the bytes are alive.
    let wrote = unsafe { libc::write(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) };
    assert_eq!(wrote, bytes.len() as isize, "cannot write: {}", io::Error::last_os_error());
}

/// Reads `len` bytes by plain calls.
pub fn drain(fd: &OwnedFd, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let mut done = 0;
    while done < len {
        let rest = &mut bytes[done..];
        // SAFETY: the rest is that long.
        let got = unsafe { libc::read(fd.as_raw_fd(), rest.as_mut_ptr().cast(), rest.len()) };
        if got <= 0 {
            bytes.truncate(done);
            return bytes;
        }
        done += got as usize;
    }
    bytes
}

/// A path as system calls take it.
pub fn path(folder: &Path, name: &str) -> CString {
    let path = folder.join(name);
    CString::new(path.as_os_str().as_bytes()).expect("paths have no zero in them")
}
