//! Stacks of our own, for calls trapped on an alternate signal stack.
//!
//! The handler must run on the alternate stack where a program has one (Go's ordinary stacks are
//! too small for any signal). But those are made for short handlers, often 8 KiB, and a trapped
//! call may sleep in the engine with the application's signals let in. So it moves: what is live
//! on the alternate stack is copied to a stack of ours and the call served there. A signal that
//! comes meanwhile finds the thread off its alternate stack and uses that from the top; so the
//! live part is copied back before the return.
//!
//! Where the program was on its alternate stack already, in a handler of its own, only the signal frame
//! moves: what lies above it is the program's, the answers of the call may be written there, and a copy
//! would undo that. The thread is on the stack of ours as if that were its alternate one, so that
//! a signal goes on from there. `rt_sigreturn` brings the program's back.

use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use sysring_sys::Result;
use sysring_sys::call;
use sysring_sys::raw::general as g;

use crate::context::AltStack;

/// Untouched pages of it cost nothing.
pub const SIZE: usize = 256 * 1024;

/// The most of an alternate stack that is copied: one so large needs no help.
const MOST: usize = SIZE / 4;

/// Stacks not in use; zero: no stack.
static FREE: [AtomicUsize; 32] = [const { AtomicUsize::new(0) }; 32];

/// A stack for the calling thread: its lowest address.
pub fn take() -> Result<usize> {
    for slot in &FREE {
        // Relaxed: the swap looks again. Acquire pairs with the Release in `give_back`: the user before has
        // left the stack.
        if slot.load(Relaxed) != 0 {
            let stack = slot.swap(0, Acquire);
            if stack != 0 {
                return Ok(stack);
            }
        }
    }
    call::map_anonymous(SIZE, false).map(|stack| stack as usize)
}

/// Takes a stack back that nobody is on any more.
pub fn give_back(stack: usize) {
    for slot in &FREE {
        // Release pairs with the Acquire in `take`.
        if slot.compare_exchange(0, stack, Release, Relaxed).is_ok() {
            return;
        }
    }
    // SAFETY: the stack came from `take`, and its user has left it.
    let _ = unsafe { call::munmap(stack, SIZE) };
}

/// What is called with a signal frame, and with the top of the stack of ours that the frame was moved to;
/// zero: it was not.
pub type Serve = unsafe extern "C" fn(*mut u8, usize);

/// Calls `serve` with `frame`, an address on the alternate stack, or with the address of its copy on
/// a stack of ours. What lies from `end` on stays where it is.
pub fn with_room(frame: *mut u8, end: usize, serve: Serve) {
    let here = &raw const end as usize;
    let moved = if end - here <= MOST { take().ok() } else { None };
    match moved {
        Some(stack) => {
            // SAFETY: the stack is ours alone and large enough for the copy; `end` lies above us and
            // `frame`, on the stack that both are on.
            unsafe { call_on(stack + SIZE, end, frame, serve) };
            give_back(stack);
        }
        // SAFETY: the frame is the caller's, and `serve` is made for it.
        None => unsafe { serve(frame, 0) },
    }
}

/// Makes the stack of ours that the caller is on, and which ends at `top`, its alternate stack.
pub fn declare(top: usize) {
    let ours = AltStack::new(top - SIZE, SIZE);
    let args = [&raw const ours as usize, 0, 0, 0, 0, 0];
    // It cannot fail: the thread is on no alternate stack, and this one is large.
    // SAFETY: the stack is the caller's until it leaves it, or for good if a handler jumps out of it.
    let _ = unsafe { call::raw(g::__NR_sigaltstack, args) };
}

/// Copies everything from the stack pointer to `end` below `top`, calls `serve` there with the
/// copy of `frame`, copies everything back, and returns on the old stack.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
unsafe extern "C" fn call_on(top: usize, end: usize, frame: *mut u8, serve: Serve) {
    core::arch::naked_asm!(
        "push rbp",
        "mov rbp, rsp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "mov rbx, rsp", // old stack pointer
        "mov r13, rdi", // top
        "mov r14, rsi",
        "sub r14, rbx", // length of the live part
        "mov r12, rdi",
        "sub r12, r14",
        "and r12, -64", // new stack pointer
        "mov r8, rcx",
        "mov rsi, rbx",
        "mov rdi, r12",
        "mov rcx, r14",
        "rep movsb",
        "mov rdi, rdx",
        "sub rdi, rbx",
        "add rdi, r12",
        "mov rsi, r13",
        "mov rsp, r12",
        "call r8",
        "mov rsi, r12",
        "mov rdi, rbx",
        "mov rcx, r14",
        "rep movsb",
        "mov rsp, rbx",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

/// As on x86-64.
#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
unsafe extern "C" fn call_on(top: usize, end: usize, frame: *mut u8, serve: Serve) {
    core::arch::naked_asm!(
        "stp x29, x30, [sp, #-48]!",
        "mov x29, sp",
        "stp x19, x20, [sp, #16]",
        "stp x21, x22, [sp, #32]",
        "mov x19, sp",
        "mov x22, x0",      // top
        "sub x21, x1, x19", // length of the live part; what is above the last 16 bytes is not ours
        "sub x20, x0, x21",
        "and x20, x20, #-64",
        "mov x4, x19",
        "mov x5, x20",
        "mov x6, x21",
        "2:",
        "cmp x6, #16",
        "b.lo 3f",
        "ldp x7, x8, [x4], #16",
        "stp x7, x8, [x5], #16",
        "sub x6, x6, #16",
        "b 2b",
        "3:",
        "sub x0, x2, x19",
        "add x0, x0, x20",
        "mov x1, x22",
        "mov sp, x20",
        "blr x3",
        "mov x4, x20",
        "mov x5, x19",
        "mov x6, x21",
        "4:",
        "cmp x6, #16",
        "b.lo 5f",
        "ldp x7, x8, [x4], #16",
        "stp x7, x8, [x5], #16",
        "sub x6, x6, #16",
        "b 4b",
        "5:",
        "mov sp, x19",
        "ldp x19, x20, [sp, #16]",
        "ldp x21, x22, [sp, #32]",
        "ldp x29, x30, [sp], #48",
        "ret",
    )
}
