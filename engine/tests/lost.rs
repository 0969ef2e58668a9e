//! Credentials that no thread was to be had for, to keep them.
//!
//! The gate that all calls go through is moved to one that has no memory for the stacks of threads
//! while it is told so.

mod client;

use std::ffi::{CStr, CString};
use std::fs::{self, Permissions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use client::{Client, sqe};
use sysring_sys::abi::io_uring::{Sqe, SyncCancelReg, op, register, setup, sqe_flags};
use sysring_sys::{Errno, User};

static NO_THREADS: AtomicBool = AtomicBool::new(false);

/// Answers ENOMEM where the call is `mmap` for a stack.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
unsafe extern "C" fn gate() {
    core::arch::naked_asm!(
        "cmp eax, 9", // mmap
        "jne 2f",
        "cmp rsi, 131072",
        "jne 2f",
        "cmp byte ptr [rip + {no_threads}], 0",
        "je 2f",
        "mov rax, -12",
        "ret",
        "2:",
        "syscall",
        "ret",
        no_threads = sym NO_THREADS,
    )
}

/// The ring's own thread still has what it submitted with. So another thread, which has come to be
/// somebody else and finds the request first, leaves it to that one.
#[test]
fn the_thread_that_submits_runs_what_others_may_not() {
    #[cfg(not(target_arch = "x86_64"))]
    println!("skipped: the gate of this test is written for x86-64");
    #[cfg(target_arch = "x86_64")]
    {
        // SAFETY: the gate does what the one before it does, but for some calls, which may fail.
        unsafe { sysring_sys::arch::move_gate(gate as *const () as usize) };
        nobody_comes_to_it();
    }
}

#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
fn nobody_comes_to_it() {
    // SAFETY: no arguments.
    if unsafe { libc::geteuid() } != 0 {
        println!("skipped: not root, which has credentials to lose");
        return;
    }
    let path = std::env::temp_dir().join(format!("sysring-kept-{}", std::process::id()));
    fs::write(&path, "secret").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let name = CString::new(path.to_str().unwrap()).unwrap();
    // Its credentials are its own.
    let ended = std::thread::spawn(move || cancels_what_is_before(&name)).join();
    fs::remove_file(path).unwrap();
    let (read, open) = ended.unwrap();
    assert_eq!(read, Errno::ECANCELED.to_res());
    assert!(open >= 0, "{open}");
}

/// A hard link of a read that waits, and an open. Cancels the one as nobody, so that this thread comes
/// to the other; what becomes of the two.
fn cancels_what_is_before(name: &CStr) -> (i32, i32) {
    let mut ring = Client::new(8, setup::SQPOLL | setup::R_DISABLED);
    let fd = ring.fd.raw() as u32;
    let (reader, _writer) = std::io::pipe().unwrap();
    let mut byte = [0u8];
    let mut read = sqe(op::READ, reader.as_raw_fd(), 1);
    (read.addr, read.len, read.off) = (byte.as_mut_ptr() as u64, 1, u64::MAX);
    read.flags = sqe_flags::IO_HARDLINK;
    ring.push(read);
    ring.push(Sqe { addr: name.as_ptr() as u64, ..sqe(op::OPENAT, libc::AT_FDCWD, 2) });
    NO_THREADS.store(true, Ordering::SeqCst);
    assert_eq!(sysring_engine::register(fd, register::ENABLE_RINGS, User::NULL, 0), Ok(0));
    // SAFETY: takes numbers; libc would change the credentials of all threads.
    assert_eq!(unsafe { libc::syscall(libc::SYS_setresuid, 1000, 1000, 1000) }, 0);

    let mut what = SyncCancelReg { addr: 1, fd: -1, ..SyncCancelReg::default() };
    (what.timeout_sec, what.timeout_nsec) = (-1, -1);
    let begun = Instant::now();
    loop {
        let what = User::<u8>::of((&raw mut what).cast());
        match sysring_engine::register(fd, register::SYNC_CANCEL, what, 1) {
            // The ring's thread has not taken it yet.
            Err(Errno::ENOENT) if begun.elapsed() < Duration::from_secs(60) => {}
            answer => break assert_eq!(answer, Ok(0)),
        }
    }
    let mut seen = Vec::new();
    while seen.len() < 2 {
        ring.enter(0, 1).unwrap();
        seen.extend(ring.reap());
    }
    NO_THREADS.store(false, Ordering::SeqCst);
    assert_eq!((seen[0].user_data, seen[1].user_data), (1, 2));
    if seen[1].res >= 0 {
        // SAFETY: just opened.
        unsafe { libc::close(seen[1].res) };
    }
    (seen[0].res, seen[1].res)
}
