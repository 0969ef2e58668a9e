//! Waits for futexes whose sleepers are interrupted before they have their place.
//!
//! The gate that all calls go through is moved to one that interrupts so many sleeps without end.

mod client;

use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use client::{Client, sqe};
use sysring_sys::abi::io_uring::op;
use sysring_sys::{User, call};

const U32: i32 = 2;
const PRIVATE: i32 = 128;
const ANY: u32 = u32::MAX;

/// Sleeps that are still to be interrupted.
static LEFT: AtomicI32 = AtomicI32::new(0);

/// Answers EINTR where the call is `futex(FUTEX_WAIT_BITSET)` with no time at which it ends.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
unsafe extern "C" fn gate() {
    core::arch::naked_asm!(
        "cmp eax, 202", // futex
        "jne 2f",
        "mov ecx, esi",
        "and ecx, 127",
        "cmp ecx, 9", // FUTEX_WAIT_BITSET
        "jne 2f",
        "test r10, r10",
        "jne 2f",
        "cmp dword ptr [rip + {left}], 0",
        "jle 2f",
        "lock dec dword ptr [rip + {left}]",
        "mov rax, -4",
        "ret",
        "2:",
        "syscall",
        "ret",
        left = sym LEFT,
    )
}

#[cfg(target_arch = "x86_64")]
fn move_gate() -> bool {
    // SAFETY: the gate does what the one before it does, but for some calls, which may fail.
    unsafe { sysring_sys::arch::move_gate(gate as *const () as usize) };
    true
}

#[cfg(not(target_arch = "x86_64"))]
fn move_gate() -> bool {
    println!("skipped: the gate of this test is written for x86-64");
    false
}

/// Who submits waits for the sleeper to have its place: not for ever, and it is found there.
#[test]
fn a_sleeper_that_is_interrupted_is_still_found() {
    if !move_gate() {
        return;
    }
    let (ended, end) = mpsc::channel();
    let test = std::thread::spawn(move || {
        // The first shows that the kernel tells of those it has moved: from then on it is believed.
        for interruptions in [0, 1, 2, 7] {
            let mut ring = Client::new(8, 0);
            let word = AtomicU32::new(7);
            let mut wait = sqe(op::FUTEX_WAIT, U32 | PRIVATE, 1);
            (wait.addr, wait.addr3, wait.off) = (word.as_ptr() as u64, u64::from(ANY), 7);
            LEFT.store(interruptions, Ordering::SeqCst);
            ring.push(wait);
            assert_eq!(ring.enter(1, 0), Ok(1));
            assert_eq!(LEFT.load(Ordering::SeqCst), 0, "nobody was interrupted");
            let address = User::of(word.as_ptr());
            assert_eq!(call::futex_wake_bitset(address, 1, ANY, true), Ok(1));
            ring.enter(0, 1).unwrap();
            let [cqe] = ring.reap()[..] else { panic!("not one completion") };
            assert_eq!((cqe.user_data, cqe.res), (1, 0));
        }
        ended.send(()).unwrap();
    });
    match end.recv_timeout(Duration::from_secs(60)) {
        // It waits with a lock in its hands: the process could not end otherwise.
        Err(mpsc::RecvTimeoutError::Timeout) => {
            eprintln!("who submits waits for ever");
            std::process::abort();
        }
        _ => test.join().unwrap(),
    }
}
