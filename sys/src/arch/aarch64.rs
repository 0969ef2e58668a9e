//! aarch64: `svc #0`, number in x8, arguments in x0 to x5.

use core::arch::{asm, global_asm, naked_asm};
use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};

pub const AUDIT_ARCH: u32 = 0xC000_00B7;

// As on x86-64: one instruction makes every call, and the address after it is what seccomp sees.
global_asm!(
    ".pushsection .text.sysring_gate,\"ax\",@progbits",
    ".p2align 5",
    ".globl sysring_gate",
    ".hidden sysring_gate",
    ".type sysring_gate,@function",
    "sysring_gate:",
    "svc #0",
    "ret",
    ".size sysring_gate, . - sysring_gate",
    ".globl sysring_sigreturn",
    ".hidden sysring_sigreturn",
    ".type sysring_sigreturn,@function",
    "sysring_sigreturn:",
    "mov x8, #139",
    "svc #0",
    "brk #1",
    ".size sysring_sigreturn, . - sysring_sigreturn",
    ".popsection",
);

unsafe extern "C" {
    fn sysring_gate();
    fn sysring_sigreturn();
}

/// Where calls go: the gate above, or a copy of it elsewhere ([`move_gate`]). A function pointer
/// rather than a direct call, because a filter that outlives `exec` can only name an address
/// that is the same in every process.
static GATE: AtomicPtr<()> = AtomicPtr::new(sysring_gate as *mut ());

/// The gate's machine code: position-independent, so it may be copied.
pub const GATE_CODE: &[u8] = &[0x01, 0x00, 0x00, 0xd4, 0xc0, 0x03, 0x5f, 0xd6];

/// Offset of the address after the system call instruction: what seccomp sees.
const AFTER_CALL: usize = 4;

/// Makes system call `nr`; the return register as the kernel left it.
///
/// # Safety
/// The call must be sound for this process: its pointers valid for what the kernel does with
/// them, or addresses the kernel checks and answers with `EFAULT`.
#[inline(always)]
pub unsafe fn syscall(nr: usize, a: [usize; 6]) -> isize {
    let ret: isize;
    // SAFETY: the gate touches x0 and the link register; the caller vouches for the call.
    unsafe {
        asm!(
            "blr {gate}",
            gate = in(reg) GATE.load(Relaxed),
            in("x8") nr,
            inlateout("x0") a[0] as isize => ret,
            in("x1") a[1],
            in("x2") a[2],
            in("x3") a[3],
            in("x4") a[4],
            in("x5") a[5],
            lateout("x30") _,
        );
    }
    ret
}

/// The instruction pointer that seccomp sees for every call made through [`syscall`].
#[must_use]
pub fn gate_address() -> usize {
    GATE.load(Relaxed) as usize + AFTER_CALL
}

/// Makes every later call through a copy of [`GATE_CODE`] at `address`.
///
/// # Safety
/// The copy must be executable and stay so for the life of the process.
pub unsafe fn move_gate(address: usize) {
    GATE.store(address as *mut (), Relaxed);
}

/// The address of a `rt_sigreturn` trampoline, for `sa_restorer`.
#[must_use]
pub fn sigreturn_address() -> usize {
    sysring_sigreturn as *const () as usize
}

/// A cycle counter that runs at a constant rate: for "did that take long", not for time of day.
#[inline(always)]
#[must_use]
pub fn cycles() -> u64 {
    let value: u64;
    // SAFETY: the virtual counter is readable from user mode on Linux.
    unsafe { asm!("mrs {}, cntvct_el0", out(reg) value, options(nomem, nostack)) };
    value
}

/// Tells the processor that this is a spin loop.
#[inline(always)]
pub fn relax() {
    core::hint::spin_loop();
}

/// Starts a thread on a stack of ours: `start(arg)` runs on `stack_top` and must not return.
///
/// `args` are `clone`'s flags, parent-tid and child-tid addresses. Returns the thread id, or a
/// negated error number.
///
/// # Safety
/// `stack_top` must be the 16-byte aligned end of memory that stays mapped until the thread is
/// gone, and `start` must be sound to run with `arg` on a thread without libc's blessing.
#[unsafe(naked)]
pub unsafe extern "C" fn clone_thread(
    flags: usize,
    stack_top: usize,
    parent_tid: usize,
    child_tid: usize,
    start: extern "C" fn(usize) -> !,
    arg: usize,
) -> isize {
    // clone(flags, stack, ptid, tls, ctid) on this architecture: the child-tid address moves to
    // x4; start and arg wait in x9 and x10, which the child gets a copy of.
    naked_asm!(
        "mov x9, x4",
        "mov x10, x5",
        "mov x4, x3",
        "mov x3, #0",
        "mov x8, #220",
        "svc #0",
        "cbnz x0, 2f",
        "mov x29, #0",
        "mov x0, x10",
        "blr x9",
        "brk #1",
        "2:",
        "ret",
    )
}

/// Unmaps the calling thread's stack and ends the thread, touching no memory in between.
///
/// # Safety
/// The thread runs on the mapping, nothing else uses it, and every signal is blocked.
#[unsafe(naked)]
pub unsafe extern "C" fn unmap_and_exit(start: usize, len: usize) -> ! {
    naked_asm!("mov x8, #215", "svc #0", "mov x8, #93", "mov x0, #0", "svc #0", "brk #1",)
}
