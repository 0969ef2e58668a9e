//! x86-64: the call that can be left in the middle.
//!
//! What a function must preserve is all that a context is: the System V ABI says that across a call
//! `rbx`, `rbp`, `r12`–`r15`, `rsp`, the control words of SSE and x87, and the bases of FS and GS stay
//! as they were, the direction flag is clear, and nothing else is kept. So a caller that is inside
//! [`enter`] can go on in any thread of the process that restores those and returns. (Not `r12` and
//! `r13`, which [`enter`] names as changed, as it does all that the ABI lets a function change.)
//!
//! The control words stay out of it where the scope's threads share a processor (`Context::local`): there
//! it is promised that they do not change in the scope, and its threads begin with those of their maker.
//!
//! Layout of the caller's stack from the moment the call is entered until it returns:
//!
//! ```text
//!   rbp + 8    return address
//!   rbp        caller's rbp           <- rbp
//!   rbp - 8    rbx
//!   rbp - 16   r14
//!   rbp - 24   r15                    <- Context::stack, if local
//!   rbp - 32   MXCSR (4 bytes), x87 control word (2 bytes), 2 unused    <- Context::stack, if not
//! ```

use core::arch::{asm, global_asm};
use core::mem::offset_of;

use super::Request;
use crate::carrier::orphaned;
use crate::context::{Context, attend};

// The functions know the context by the offsets that they are given below.
#[allow(improper_ctypes)]
unsafe extern "C" {
    /// Takes its arguments where the kernel wants them, and the context in r12: see [`enter`].
    #[link_name = "sysring_syslet_enter"]
    fn entrance();

    /// Goes on as the context, whose state the calling thread has moved from IN_CALL to USER: returns
    /// from its call as *moved*.
    ///
    /// # Safety
    /// The calling thread has won the context, and nothing on its own stack is needed any more.
    #[link_name = "sysring_syslet_resume"]
    pub fn resume(context: *const Context) -> !;
}

/// Makes a call on the stack of the carrier that runs the context, with the state word one
/// higher: IN_CALL. Afterwards whoever moves the word on by one more has the context: this
/// thread, which returns with the kernel's result; or a standby that did so while this thread was in
/// the kernel, and returns with none.
///
/// Where all threads of the scope are bound to one processor (`Context::local`) an instruction is whole
/// without a locked bus.
///
/// # Safety
/// The calling thread runs `context`, whose state is USER; the call is sound; and where the context says
/// that its threads are bound to one processor, they are.
#[inline]
pub unsafe fn enter(context: *const Context, request: &Request) -> Option<isize> {
    let [a, b, c, d, e, f] = request.args;
    let (result, stayed): (isize, usize);
    // (A jump there and back, where a call and its `ret` would do: the kernel leaves addresses of its own
    // where the processor looks up to which one a `ret` leads, and where it has to return with care,
    // AMD's "Safe RET", the first one behind a system call took 50 to 130 ns.)
    // SAFETY: `entrance` keeps what a function of C keeps but for the registers named here, and so does
    // `resume`, by which another thread may come back from it. The caller vouches for the system call.
    unsafe {
        asm!(
            "lea rcx, [rip + 2f]",
            "push rcx",
            "jmp {}",
            "2:",
            sym entrance,
            inlateout("rax") request.number => stayed,
            in("rdi") a,
            in("rsi") b,
            inlateout("rdx") c => result,
            in("r10") d,
            in("r8") e,
            in("r9") f,
            inlateout("r12") context => _,
            out("r13") _,
            clobber_abi("C"),
        );
    }
    (stayed != 0).then_some(result)
}

/// Begins a function.
macro_rules! function {
    ($name:literal) => {
        concat!(
            ".pushsection .text.",
            $name,
            ",\"ax\",@progbits\n",
            ".p2align 6\n",
            ".globl ",
            $name,
            "\n",
            ".hidden ",
            $name,
            "\n",
            ".type ",
            $name,
            ",@function\n",
            $name,
            ":\n",
            ".cfi_startproc"
        )
    };
}

/// Ends it.
macro_rules! end {
    ($name:literal) => {
        concat!(".cfi_endproc\n", ".size ", $name, ", . - ", $name, "\n", ".popsection")
    };
}

/// From the frame on: `$keep` puts down what else is kept, `$exchange` ends the call.
macro_rules! road {
    ([$($keep:literal),*], $exchange:literal) => {
        concat!(
            $($keep, "\n",)*
            "mov [r12 + {stack}], rsp\n",
            "mov rsp, [r12 + {carrier}]\n", // where the carrier lies its stack begins
            // From here on the context may be taken. Stores are seen in order on this architecture:
            // who sees IN_CALL sees all of the above.
            "mov [r12 + {state}], r13\n",
            // Who watches may have gone to sleep for lack of calls.
            "cmp dword ptr [r12 + {attention}], 0\n",
            "jne 3f\n",
            "2:\n",
            "syscall\n", // rax: the result; rcx and r11 are lost
            "mov rdx, rax\n",
            "mov rax, r13\n",
            "lea rcx, [r13 + 1]\n", // rcx: USER, one call later
            $exchange, " [r12 + {state}], rcx\n",
            "jne 5f\n",
            // Nobody took it: this thread still has what it has not changed. rax, which is odd, says so.
            ".cfi_remember_state\n",
            "leave\n",
            ".cfi_def_cfa rsp, 8\n",
            "pop rcx\n",
            ".cfi_adjust_cfa_offset -8\n",
            ".cfi_register rip, rcx\n",
            "jmp rcx\n",
            ".cfi_restore_state\n",
            // Wakes who watches, and keeps the call's registers. With 7 pushes and these 8 bytes rsp is
            // a multiple of 16 again, as it must be at a call.
            "3:\n",
            "push rax\n",
            "push rdi\n",
            "push rsi\n",
            "push rdx\n",
            "push r10\n",
            "push r8\n",
            "push r9\n",
            "sub rsp, 8\n",
            "mov rdi, r12\n",
            "call {attend}\n",
            "add rsp, 8\n",
            "pop r9\n",
            "pop r8\n",
            "pop r10\n",
            "pop rdx\n",
            "pop rsi\n",
            "pop rdi\n",
            "pop rax\n",
            "jmp 2b"
        )
    };
}

global_asm!(
    function!("sysring_syslet_enter"),
    // The frame. Debuggers find the caller through rbp even on the carrier's stack.
    "push rbp",
    ".cfi_def_cfa_offset 16",
    ".cfi_offset rbp, -16",
    "mov rbp, rsp",
    ".cfi_def_cfa rbp, 16",
    "push rbx",
    ".cfi_offset rbx, -24",
    "push r14",
    ".cfi_offset r14, -32",
    "push r15",
    ".cfi_offset r15, -40",
    "mov r13, [r12 + {state}]",
    "inc r13",                      // r13: IN_CALL
    "cmp byte ptr [r12 + {local}], 0",
    "je 4f",
    road!([], "cmpxchg"),
    // On any processor.
    "4:",
    road!(["sub rsp, 8", "stmxcsr [rsp]", "fnstcw [rsp + 4]"], "lock cmpxchg"),
    // The context was taken: what is left of this thread is a carrier with a result. The
    // thread-local storage it came with is in use elsewhere.
    "5:",
    ".cfi_undefined rip",
    "xor eax, eax",
    "wrfsbase rax",
    "xor ebp, ebp",
    "mov rdi, rsp",                 // the carrier
    "mov rsi, rdx",
    "call {orphaned}",
    "ud2",
    end!("sysring_syslet_enter"),
    carrier = const offset_of!(Context, carrier),
    state = const offset_of!(Context, state),
    stack = const offset_of!(Context, stack),
    attention = const offset_of!(Context, attention),
    local = const offset_of!(Context, local),
    attend = sym attend,
    orphaned = sym orphaned,
);

global_asm!(
    function!("sysring_syslet_resume"),
    "mov rax, [rdi + {fs}]",
    "wrfsbase rax",
    "mov rax, [rdi + {gs}]",
    "wrgsbase rax",
    "mov rsp, [rdi + {stack}]",
    "cmp byte ptr [rdi + {local}], 0",
    "jne 2f",
    "ldmxcsr [rsp]",
    "fldcw [rsp + 4]",
    "add rsp, 8",
    "2:",
    "xor eax, eax",
    "pop r15",
    "pop r14",
    "pop rbx",
    "pop rbp",
    "ret",
    end!("sysring_syslet_resume"),
    fs = const offset_of!(Context, fs),
    gs = const offset_of!(Context, gs),
    stack = const offset_of!(Context, stack),
    local = const offset_of!(Context, local),
);

/// Makes a call and waits for its end; the return register as the kernel left it.
///
/// The instruction is one of ours, not the gate of `sysring-sys`: what a filter would do with a
/// call of the application's it does with this one.
///
/// # Safety
/// The call must be sound for this process.
pub unsafe fn plain(request: &Request) -> isize {
    let [a, b, c, d, e, f] = request.args;
    let result: isize;
    // SAFETY: the kernel changes rax, rcx and r11 alone; the caller vouches for the call.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") request.number as isize => result,
            in("rdi") a,
            in("rsi") b,
            in("rdx") c,
            in("r10") d,
            in("r8") e,
            in("r9") f,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}

/// The base of FS: what makes this thread's thread-local storage its own.
///
/// # Safety
/// The kernel lets programs read it so (FSGSBASE).
pub unsafe fn fs_base() -> usize {
    let base: usize;
    // SAFETY: reads a register.
    unsafe { asm!("rdfsbase {}", out(reg) base, options(nomem, nostack, preserves_flags)) };
    base
}

/// The base of GS.
///
/// # Safety
/// As [`fs_base`].
pub unsafe fn gs_base() -> usize {
    let base: usize;
    // SAFETY: reads a register.
    unsafe { asm!("rdgsbase {}", out(reg) base, options(nomem, nostack, preserves_flags)) };
    base
}

/// Takes the thread-local storage away from a thread that came with its maker's.
///
/// # Safety
/// As [`fs_base`]; the thread never uses thread-local storage.
pub unsafe fn clear_fs_base() {
    // SAFETY: the caller vouches for it.
    unsafe { asm!("wrfsbase {}", in(reg) 0usize, options(nomem, nostack, preserves_flags)) };
}

/// Whether a shadow stack is active for this thread: it would have to move, too, and cannot.
pub fn has_shadow_stack() -> bool {
    let pointer: usize;
    // SAFETY: does nothing where there is none, and the register stays 0.
    unsafe {
        asm!("rdsspq {}", inout(reg) 0usize => pointer, options(nomem, nostack, preserves_flags));
    }
    pointer != 0
}
