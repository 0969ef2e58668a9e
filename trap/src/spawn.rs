//! Children: those that get a copy of their parent's memory, and those that borrow it and bring a stack of
//! their own, `posix_spawn`'s.
//!
//! A copy is its owner's from the first moment. Were it so only when the child first comes with a ring, a
//! child of `vfork` that it starts before could not tell that it is not the owner.
//!
//! A borrower's stack may be tiny (musl's is 5 KiB in the middle of the parent's) and the first trapped
//! call in the child would push a signal frame over its end, into what the parent needs. So the
//! child begins with an alternate signal stack of ours, unless it inherits a free one. The parent sleeps
//! until the child is gone or another program, and takes the stack back.

use sysring_sys::arch::gate_address;
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Result, User, call};

use crate::context::{AltStack, Context};
use crate::{memory, process, stack};

/// `clone` without `CLONE_VM`; or with it, `CLONE_VFORK` and a stack.
pub fn clone(args: [usize; 6], context: &mut Context) -> Result<usize> {
    if args[0] as u32 & g::CLONE_VM == 0 { copy(args, context) } else { lend(args, context) }
}

/// `fork`.
#[cfg(target_arch = "x86_64")]
pub fn fork() -> Result<usize> {
    // SAFETY: the child has a copy of all memory, and goes on here on its copy of this stack.
    own(unsafe { call::raw(g::__NR_fork, [0; 6]) })
}

/// A child with a copy of the memory.
fn copy(mut args: [usize; 6], context: &mut Context) -> Result<usize> {
    // It returns from this handler as the parent does, and only then to the stack that it was given.
    let stack = core::mem::take(&mut args[1]);
    // SAFETY: as in `fork`; the application's own call otherwise, through the gate.
    let child = own(unsafe { call::raw(g::__NR_clone, args) })?;
    if child == 0 && stack != 0 {
        context.set_stack(stack);
    }
    Ok(child)
}

/// Passes the answer on, and in the child takes possession of its memory.
fn own(answer: Result<usize>) -> Result<usize> {
    if answer == Ok(0) {
        process::claim();
    }
    answer
}

/// A child in this memory, on a stack of its own.
fn lend(args: [usize; 6], context: &mut Context) -> Result<usize> {
    // The child is to find out that the memory is not its own.
    process::claim();
    // The child's way back out of the gate is a word on its stack, written here once for the
    // answer to whether it can be.
    memory::write(User::new(args[1].wrapping_sub(8) as u64), &0u64)?;

    let (own_stack, own_altstack) = (context.stack(), context.altstack);
    // One that the parent is on holds what it will need again.
    let inherits = own_altstack.is_set() && own_altstack.end_if_on(own_stack).is_none();
    let room = if inherits { None } else { Some(stack::take()?) };
    // The child returns to this very context: its stack, its result, its alternate stack. The
    // parent does not look before the child has let go of the memory.
    context.set_stack(args[1]);
    context.set_result(0);
    if let Some(room) = room {
        context.altstack = AltStack::new(room, stack::SIZE);
    }
    // SAFETY: the context is the signal frame the kernel made, and the stack's last word is
    // writable.
    let result = unsafe { clone_to(&args, context.sigreturn_stack(), gate_address() - CALL_LEN) };
    context.set_stack(own_stack);
    context.altstack = own_altstack;
    if let Some(room) = room {
        stack::give_back(room);
    }
    Errno::from_ret(result)
}

/// Length of the system call instruction, which the address seccomp sees lies behind.
#[cfg(target_arch = "x86_64")]
const CALL_LEN: usize = 2;
#[cfg(target_arch = "aarch64")]
const CALL_LEN: usize = 4;

/// Makes the call through the gate. The parent gets its result; the child performs `rt_sigreturn`
/// with `frame` in its stack pointer.
///
/// # Safety
/// `frame` must be what `rt_sigreturn` takes, and the word below the stack in `args` writable.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
unsafe extern "C" fn clone_to(args: &[usize; 6], frame: usize, gate: usize) -> isize {
    core::arch::naked_asm!(
        "push rbx",
        "mov rbx, rsi",
        "mov r11, rdx",
        "mov rax, rdi",
        "mov rdi, [rax]",
        "mov rsi, [rax + 8]",
        "mov rdx, [rax + 16]",
        "mov r10, [rax + 24]",
        "mov r8, [rax + 32]",
        "mov r9, [rax + 40]",
        // The gate ends with `ret`: the parent finds its return address on this stack, the child
        // on its own.
        "sub rsi, 8",
        "lea rcx, [rip + 2f]",
        "mov [rsi], rcx",
        "mov eax, 56",
        "call r11",
        "2:",
        "test rax, rax",
        "jz 3f",
        "pop rbx",
        "ret",
        "3:",
        "mov rsp, rbx",
        "mov eax, 15",
        "syscall",
        "ud2",
    )
}

/// As on x86-64; here the gate returns by register, and the child's stack stays untouched.
#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
unsafe extern "C" fn clone_to(args: &[usize; 6], frame: usize, gate: usize) -> isize {
    core::arch::naked_asm!(
        "stp x19, x30, [sp, #-16]!",
        "mov x19, x1",
        "mov x9, x2",
        "mov x10, x0",
        "ldp x0, x1, [x10]",
        "ldp x2, x3, [x10, #16]",
        "ldp x4, x5, [x10, #32]",
        "mov x8, #220",
        "blr x9",
        "cbz x0, 3f",
        "ldp x19, x30, [sp], #16",
        "ret",
        "3:",
        "mov sp, x19",
        "mov x8, #139",
        "svc #0",
        "brk #1",
    )
}
