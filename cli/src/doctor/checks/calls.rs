//! Calls that newer kernels have, or a sandbox leaves: each is used where it is there.

use std::io;
use std::mem;
use std::ptr;

use super::answer::{call_check, result};
use crate::doctor::Check;
use crate::isolated;

pub fn process_vm_readv() -> io::Result<Check> {
    let read = isolated::ask_errno(|| {
        let source = 7u8;
        let mut target = 0u8;
        let local = libc::iovec { iov_base: (&raw mut target).cast(), iov_len: 1 };
        let remote = libc::iovec { iov_base: (&raw const source).cast_mut().cast(), iov_len: 1 };
        // SAFETY: reads one local into another.
        result(unsafe { libc::process_vm_readv(libc::getpid(), &local, 1, &remote, 1, 0) }
            as libc::c_long)
    })?;
    Ok(call_check(
        "process_vm_readv",
        read,
        "process_vm_readv, to copy from addresses that may be bad",
        ["a pipe, to copy from addresses that may be bad: slower"; 2],
        "allow process_vm_readv and process_vm_writev in the sandbox",
    ))
}

pub fn epoll_pwait2() -> io::Result<Check> {
    let wait = isolated::ask_errno(|| {
        // SAFETY: makes a descriptor; the child's exit closes it.
        let epoll = unsafe { libc::epoll_create1(0) };
        result(epoll.into())?;
        // SAFETY: an all-zero event is a valid one to be filled in.
        let mut event: libc::epoll_event = unsafe { mem::zeroed() };
        let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: room for one event, and a timeout; no mask.
        result(unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                epoll,
                &mut event,
                1,
                &now,
                ptr::null::<libc::sigset_t>(),
                0,
            )
        })
    })?;
    Ok(call_check(
        "epoll_pwait2",
        wait,
        "epoll_pwait2, to wait",
        ["ppoll and epoll_wait, to wait: two calls"; 2],
        "a kernel of version 5.11 or newer",
    ))
}

pub fn futex_waitv() -> io::Result<Check> {
    let wait = isolated::ask_errno(|| {
        // SAFETY: no address is passed. Where the call exists, it refuses to wait for none.
        match result(unsafe {
            libc::syscall(libc::SYS_futex_waitv, ptr::null::<u8>(), 0, 0, ptr::null::<u8>(), 0)
        }) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
            other => other,
        }
    })?;
    Ok(call_check(
        "futex_waitv",
        wait,
        "futex_waitv, for FUTEX_WAITV",
        [
            "FUTEX_WAIT where FUTEX_WAITV has one word; with more it answers EOPNOTSUPP",
            "nothing in its place: FUTEX_WAITV answers as futex_waitv does",
        ],
        "a kernel of version 5.16 or newer, or futex_waitv allowed in the sandbox",
    ))
}
