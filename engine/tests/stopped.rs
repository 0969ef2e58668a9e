//! A worker that is told to stop when it has a request and has not made its call.
//!
//! The gate that all calls go through is moved, as a fault injector's would be, to one that sleeps
//! for a while before it splices: the signal that is to end the splice comes in that time.

mod client;

use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use client::{Client, sqe};
use sysring_sys::Errno;
use sysring_sys::abi::io_uring::{Sqe, op};

/// Sleeps for 20 ms where the call is `splice`, and makes it then.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
unsafe extern "C" fn gate() {
    core::arch::naked_asm!(
        "cmp eax, 275", // splice
        "jne 2f",
        "push rax",
        "push rdi",
        "push rsi",
        "push 20000000",
        "push 0",
        "mov rdi, rsp",
        "xor esi, esi",
        "mov eax, 35", // nanosleep
        "syscall",
        "add rsp, 16",
        "pop rsi",
        "pop rdi",
        "pop rax",
        "2:",
        "syscall",
        "ret",
    )
}

#[test]
fn a_worker_that_is_about_to_make_its_call_is_stopped() {
    #[cfg(not(target_arch = "x86_64"))]
    println!("skipped: the gate of this test is written for x86-64");
    #[cfg(target_arch = "x86_64")]
    {
        // SAFETY: the gate does what the one before it does, if slowly.
        unsafe { sysring_sys::arch::move_gate(gate as *const () as usize) };
        stop_one();
    }
}

#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
fn stop_one() {
    let mut ring = Client::new(8, 0);
    let (from, _into) = std::io::pipe().unwrap();
    let (_from, to) = std::io::pipe().unwrap();
    let mut splice = sqe(op::SPLICE, to.as_raw_fd(), 1);
    splice.file_index = from.as_raw_fd() as u32;
    (splice.addr, splice.off, splice.len) = (u64::MAX, u64::MAX, 1);
    ring.push(splice);
    assert_eq!(ring.enter(1, 0), Ok(1));
    // A worker has it by now, and sleeps in the gate.
    std::thread::sleep(Duration::from_millis(5));
    ring.push(Sqe { addr: 1, ..sqe(op::ASYNC_CANCEL, -1, 2) });
    assert_eq!(ring.enter(1, 0), Ok(1));
    let begun = Instant::now();
    let mut seen = Vec::new();
    while seen.len() < 2 && begun.elapsed() < Duration::from_secs(10) {
        seen.extend(ring.reap().iter().map(|cqe| (cqe.user_data, cqe.res)));
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(seen, [(2, Errno::EALREADY.to_res()), (1, Errno::ECANCELED.to_res())]);
}
