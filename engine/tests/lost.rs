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
#[cfg(target_arch = "x86_64")]
use std::sync::{Mutex, MutexGuard, PoisonError};
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

/// Moves the gate, for the first test that comes; one test at a time goes on.
#[cfg(target_arch = "x86_64")]
fn at_the_gate() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: the gate does what the one before it does, but for some calls, which may fail.
    unsafe { sysring_sys::arch::move_gate(gate as *const () as usize) };
    one
}

#[cfg(not(target_arch = "x86_64"))]
fn at_the_gate() {
    println!("skipped: the gate of this test is written for x86-64");
}

/// What a worker goes on with is done, though nobody else has what it was submitted with.
#[test]
fn a_link_behind_a_worker_ends() {
    let _gate = at_the_gate();
    if cfg!(not(target_arch = "x86_64")) {
        return;
    }
    let mut ring = Client::new(8, 0);
    // Of no memory at all: a worker's call, which does nothing.
    let advise = Sqe { op_flags: libc::MADV_NORMAL as u32, ..sqe(op::MADVISE, -1, 1) };
    // There is a worker from here on.
    ring.push(advise);
    assert_eq!(ring.enter(1, 1), Ok(1));
    assert_eq!(ring.reap().len(), 1);
    NO_THREADS.store(true, Ordering::SeqCst);
    let nowhere = c"/nowhere/at/all";
    let linked = sqe_flags::IO_HARDLINK;
    ring.push(Sqe { flags: linked, ..advise });
    // For a worker, too.
    let mut link = sqe(op::LINKAT, libc::AT_FDCWD, 2);
    (link.addr, link.off, link.flags) = (nowhere.as_ptr() as u64, nowhere.as_ptr() as u64, linked);
    link.len = libc::AT_FDCWD as u32;
    ring.push(link);
    ring.push(sqe(op::NOP, -1, 3));
    assert_eq!(ring.enter(3, 0), Ok(3));
    let mut seen = Vec::new();
    let begun = Instant::now();
    while seen.len() < 3 && begun.elapsed() < Duration::from_secs(60) {
        ring.enter(0, 0).unwrap();
        seen.extend(ring.reap().iter().map(|cqe| (cqe.user_data, cqe.res)));
        std::thread::sleep(Duration::from_millis(1));
    }
    NO_THREADS.store(false, Ordering::SeqCst);
    assert_eq!(seen, [(1, 0), (2, Errno::ENOENT.to_res()), (3, 0)]);
}

/// The ring's own thread still has what it submitted with. So another thread, which has come to be
/// somebody else and finds the request first, leaves it to that one.
#[test]
fn the_thread_that_submits_runs_what_others_may_not() {
    let _gate = at_the_gate();
    if cfg!(not(target_arch = "x86_64")) {
        return;
    }
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
