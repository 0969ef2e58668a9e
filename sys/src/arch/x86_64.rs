//! x86-64: `syscall`, arguments in rdi rsi rdx r10 r8 r9, rcx and r11 lost.

use core::arch::{asm, global_asm, naked_asm};
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering::Relaxed};

pub const AUDIT_ARCH: u32 = 0xC000_003E;

// The gate takes its arguments where the kernel wants them, so a call costs a jump there and one back, and
// no register moves. (No `call` and `ret`: behind a system call the first `ret` takes 50 to 130 ns where
// the kernel returns with care, AMD's "Safe RET". So who makes one call after the other should have no
// other `ret` between them.)
global_asm!(
    ".pushsection .text.sysring_gate,\"ax\",@progbits",
    ".p2align 5",
    ".globl sysring_gate",
    ".hidden sysring_gate",
    ".type sysring_gate,@function",
    "sysring_gate:",
    "syscall",
    "pop rcx",
    "jmp rcx",
    ".size sysring_gate, . - sysring_gate",
    ".globl sysring_sigreturn",
    ".hidden sysring_sigreturn",
    ".type sysring_sigreturn,@function",
    "sysring_sigreturn:",
    "mov eax, 15",
    "syscall",
    "ud2",
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

/// Somebody knows where the gate is, and relies on it.
static ASKED: AtomicBool = AtomicBool::new(false);

/// The gate's machine code: position-independent, so it may be copied.
pub const GATE_CODE: &[u8] = &[0x0f, 0x05, 0x59, 0xff, 0xe1];

/// Offset of the address after the system call instruction: what seccomp sees.
const AFTER_CALL: usize = 2;

/// Makes system call `nr`; the return register as the kernel left it.
///
/// # Safety
/// The call must be sound for this process: its pointers valid for what the kernel does with
/// them, or addresses the kernel checks and answers with `EFAULT`.
#[inline(always)]
pub unsafe fn syscall(nr: usize, a: [usize; 6]) -> isize {
    let ret: isize;
    // SAFETY: the gate touches only the registers named here; the caller vouches for the call.
    unsafe {
        asm!(
            "lea rcx, [rip + 2f]",
            "push rcx",
            "jmp qword ptr [rip + {gate}]",
            "2:",
            gate = sym GATE,
            inlateout("rax") nr as isize => ret,
            in("rdi") a[0],
            in("rsi") a[1],
            in("rdx") a[2],
            in("r10") a[3],
            in("r8") a[4],
            in("r9") a[5],
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    ret
}

/// As [`syscall`], where one call follows the other: made where it stands until somebody asks for the gate.
/// Behind a system call each jump that is taken is dear; these are 35 cycles less. For few calls: a program that
/// traps its own ([`gate_address`]) has to tell all places apart where there is one.
///
/// # Safety
/// As [`syscall`].
#[inline(always)]
pub unsafe fn syscall_in_place(nr: usize, a: [usize; 6]) -> isize {
    let ret: isize;
    // SAFETY: either way touches only the registers named here; the caller vouches for the call.
    unsafe {
        // Out of line: the way by the gate, which comes back to where this one goes on.
        asm!(
            "cmp byte ptr [rip + {asked}], 0",
            "jne 3f",
            "syscall",
            "2:",
            ".subsection 1",
            "3:",
            "lea rcx, [rip + 2b]",
            "push rcx",
            "jmp qword ptr [rip + {gate}]",
            ".subsection 0",
            asked = sym ASKED,
            gate = sym GATE,
            inlateout("rax") nr as isize => ret,
            in("rdi") a[0],
            in("rsi") a[1],
            in("rdx") a[2],
            in("r10") a[3],
            in("r8") a[4],
            in("r9") a[5],
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    ret
}

/// The instruction pointer that seccomp sees for every call made through [`syscall`] from now on.
#[must_use]
pub fn gate_address() -> usize {
    // Relaxed, here and below: who asks, or moves it, tells others itself, by a filter or a thread that it starts.
    ASKED.store(true, Relaxed);
    GATE.load(Relaxed) as usize + AFTER_CALL
}

/// Makes every later call through a copy of [`GATE_CODE`] at `address`.
///
/// # Safety
/// The copy must be executable and stay so for the life of the process.
pub unsafe fn move_gate(address: usize) {
    GATE.store(address as *mut (), Relaxed);
    ASKED.store(true, Relaxed);
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
    // SAFETY: rdtsc only reads a counter.
    unsafe { core::arch::x86_64::_rdtsc() }
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
    // On entry: rdi flags, rsi stack, rdx parent_tid, rcx child_tid, r8 start, r9 arg. The
    // kernel keeps r8 and r9, and gives the child a copy of every register but rax and rsp.
    naked_asm!(
        "mov r10, rcx",
        "mov r11, r8",
        "mov r8, 0",
        "push r12",
        "mov r12, r11",
        "mov eax, 56",
        "syscall",
        "test rax, rax",
        "jnz 2f",
        "xor ebp, ebp",
        "mov rdi, r9",
        "call r12",
        "ud2",
        "2:",
        "pop r12",
        "ret",
    )
}

/// Unmaps the calling thread's stack and ends the thread, touching no memory in between.
///
/// # Safety
/// The thread runs on the mapping, nothing else uses it, and every signal is blocked.
#[unsafe(naked)]
pub unsafe extern "C" fn unmap_and_exit(start: usize, len: usize) -> ! {
    naked_asm!("mov eax, 11", "syscall", "mov eax, 60", "xor edi, edi", "syscall", "ud2",)
}
