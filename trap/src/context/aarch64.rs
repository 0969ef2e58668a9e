//! aarch64: number in x8, arguments in x0 to x5, result in x0.

use sysring_sys::abi::signal::SigSet;

use super::AltStack;

/// `struct ucontext`, as the kernel lays it on the stack.
#[repr(C)]
pub struct Context {
    flags: u64,
    link: usize,
    pub altstack: AltStack,
    pub(super) sigmask: SigSet,
    reserved: [u64; 15],
    pad: u64,
    fault_address: u64,
    x: [usize; 31],
    sp: usize,
    pc: usize,
    pstate: u64,
}

const _: () = assert!(core::mem::offset_of!(Context, sigmask) == 40);
const _: () = assert!(core::mem::offset_of!(Context, fault_address) == 176);

/// Nothing to find out.
pub fn init() {}

impl Context {
    /// Nothing: there are no protection keys here that the engine knows of.
    pub fn take_rights(&self) {}

    /// The number of the interrupted system call.
    pub fn nr(&self) -> u32 {
        self.x[8] as u32
    }

    /// The six arguments of the interrupted system call.
    pub fn args(&self) -> [usize; 6] {
        [self.x[0], self.x[1], self.x[2], self.x[3], self.x[4], self.x[5]]
    }

    /// The stack pointer the thread returns with.
    pub fn stack(&self) -> usize {
        self.sp
    }

    /// Where the frame ends that this context is part of.
    pub fn end_of_frame(&self) -> usize {
        self.sp
    }

    /// Sets the stack pointer the thread returns with.
    pub fn set_stack(&mut self, stack: usize) {
        self.sp = stack;
    }

    /// What `rt_sigreturn` wants in the stack pointer to return to this context: the frame
    /// begins with the 128 bytes of the signal's information.
    pub fn sigreturn_stack(&self) -> usize {
        core::ptr::from_ref(self) as usize - 128
    }

    /// What the interrupted system call returns.
    pub fn set_result(&mut self, result: isize) {
        self.x[0] = result as usize;
    }
}
