//! x86-64: number in rax, arguments in rdi rsi rdx r10 r8 r9, result in rax.

use core::arch::asm;
use core::arch::x86_64::{__cpuid_count, CpuidResult};
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

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

/// Where a signal frame's floating point state has the rights to memory by protection keys; zero: there are
/// no such keys.
static RIGHTS_AT: AtomicUsize = AtomicUsize::new(0);

/// The component of that state.
const RIGHTS: u32 = 9;

/// Finds out about protection keys.
pub fn init() {
    /// In ecx of leaf 7: the kernel has switched them on.
    const OSPKE: u32 = 1 << 4;
    if cpuid(0, 0).eax >= 0xd && cpuid(7, 0).ecx & OSPKE != 0 {
        RIGHTS_AT.store(cpuid(0xd, RIGHTS).ebx as usize, Relaxed);
    }
}

#[allow(unused_unsafe, reason = "newer versions of the function are safe")]
fn cpuid(leaf: u32, part: u32) -> CpuidResult {
    // SAFETY: every processor for 64 bits has the instruction.
    unsafe { __cpuid_count(leaf, part) }
}

/// What a signal frame's floating point state says of itself, where the processor's format leaves room
/// (`struct _fpx_sw_bytes`), and the header behind that.
#[repr(C)]
struct Extended {
    magic: u32,
    extended_size: u32,
    /// The components that there is room for.
    components: u64,
    size: u32,
    padding: [u32; 7],
    /// Those that are not as they are initially.
    present: u64,
}

impl Extended {
    const AT: usize = 464;
    const MAGIC: u32 = 0x4650_5853;
}

const _: () = assert!(Extended::AT + core::mem::offset_of!(Extended, present) == 512);

impl Context {
    /// Gives this thread the rights to memory that the interrupted one has. (A handler begins with the
    /// least: no memory with a protection key.)
    pub fn take_rights(&self) {
        let at = RIGHTS_AT.load(Relaxed);
        if at == 0 || self.fpstate == 0 {
            return;
        }
        // SAFETY: the kernel's frame, in its format for signals, and extended: processors with
        // protection keys save their registers so. The component is at `at`, in a frame that says it
        // has it.
        let rights = unsafe {
            let extended = &*((self.fpstate + Extended::AT) as *const Extended);
            if extended.magic != Extended::MAGIC || extended.components & 1 << RIGHTS == 0 {
                return;
            }
            match extended.present & 1 << RIGHTS {
                0 => 0,
                _ => *((self.fpstate + at) as *const u32),
            }
        };
        // SAFETY: protection keys are on. The interrupted thread ran with these rights, on its stack
        // and in this code.
        unsafe { asm!("wrpkru", in("eax") rights, in("ecx") 0, in("edx") 0, options(nostack)) };
    }

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
