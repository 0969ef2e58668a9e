//! How files can be opened.

use std::io;
use std::mem;

use super::answer::{call_check, result};
use crate::doctor::Check;
use crate::isolated::{self, Answer};

pub fn openat2() -> io::Result<Check> {
    Ok(call_check(
        "openat2",
        open_root(0)?,
        "openat2, for OPENAT2 and to see beforehand whether a file opens without waiting",
        [
            "openat, by a worker thread; an OPENAT2 that asks for a way of resolving answers ENOSYS",
            "openat, by a worker thread, for OPENAT alone: OPENAT2 answers as openat2 does",
        ],
        "a kernel of version 5.6 or newer, or openat2 allowed in the sandbox",
    ))
}

pub fn resolve_cached() -> io::Result<Check> {
    const RESOLVE_CACHED: &str = "RESOLVE_CACHED, to try an open without blocking";
    Ok(match open_root(libc::RESOLVE_CACHED)? {
        // Not cached is an answer, too.
        Answer::Number(errno) if i32::from(errno) == libc::EAGAIN => {
            call_check("resolve_cached", Answer::Number(0), RESOLVE_CACHED, [""; 2], "")
        }
        answer => call_check(
            "resolve_cached",
            answer,
            RESOLVE_CACHED,
            ["worker threads, to open files"; 2],
            "a kernel of version 5.12 or newer",
        ),
    })
}

fn open_root(resolve: u64) -> io::Result<Answer> {
    isolated::ask_errno(|| {
        // SAFETY: an all-zero open_how is a valid one.
        let mut how: libc::open_how = unsafe { mem::zeroed() };
        how.flags = (libc::O_PATH | libc::O_CLOEXEC) as u64;
        how.resolve = resolve;
        // SAFETY: a C string and a structure of the size that is passed.
        result(unsafe {
            libc::syscall(
                libc::SYS_openat2,
                libc::AT_FDCWD,
                c"/".as_ptr(),
                &how,
                size_of::<libc::open_how>(),
            )
        })
    })
}
