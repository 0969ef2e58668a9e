//! x86-64: number in rax, arguments in rdi rsi rdx r10 r8 r9, result in rax.

use sysring_sys::abi::signal::SigSet;

use super::AltStack;

/// `struct ucontext`, as the kernel lays it on the stack.
#[repr(C)]
pub struct Context {
    flags: u64,
    link: usize,
    pub altstack: AltStack,
    r8: usize,
    r9: usize,
    r10: usize,
    r11: usize,
    r12: usize,
    r13: usize,
    r14: usize,
    r15: usize,
    rdi: usize,
    rsi: usize,
    rbp: usize,
    rbx: usize,
    rdx: usize,
    rax: usize,
    rcx: usize,
    rsp: usize,
    rip: usize,
    eflags: u64,
    segments: u64,
    err: u64,
    trapno: u64,
    oldmask: u64,
    cr2: u64,
    fpstate: usize,
    reserved: [u64; 8],
    pub(super) sigmask: SigSet,
}

const _: () = assert!(core::mem::offset_of!(Context, r8) == 40);
const _: () = assert!(core::mem::offset_of!(Context, sigmask) == 296);

impl Context {
    /// The number of the interrupted system call.
    pub fn nr(&self) -> u32 {
        self.rax as u32
    }

    /// The six arguments of the interrupted system call.
    pub fn args(&self) -> [usize; 6] {
        [self.rdi, self.rsi, self.rdx, self.r10, self.r8, self.r9]
    }

    /// The address behind the interrupted system call.
    pub fn end_of_call(&self) -> usize {
        self.rip
    }

    /// The stack pointer the thread returns with.
    pub fn stack(&self) -> usize {
        self.rsp
    }

    /// Where the frame ends that this context is part of: below it is the kernel's, which has left the red
    /// zone alone.
    pub fn end_of_frame(&self) -> usize {
        self.rsp - 128
    }

    /// Sets the stack pointer the thread returns with.
    pub fn set_stack(&mut self, stack: usize) {
        self.rsp = stack;
    }

    /// What `rt_sigreturn` wants in the stack pointer to return to this context.
    pub fn sigreturn_stack(&self) -> usize {
        core::ptr::from_ref(self) as usize
    }

    /// What the interrupted system call returns.
    pub fn set_result(&mut self, result: isize) {
        self.rax = result as usize;
    }
}
