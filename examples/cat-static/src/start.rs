//! What libc would bring: the entry point, the arguments, the end, and memcpy.

use core::ffi::{CStr, c_char};

use sysring::sys::exit_group;

// At the entry the stack pointer is that of `argc`, and there is no caller to return to.
#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "and rsp, -16",
    "call {start}",
    "ud2",
    start = sym start,
);

#[cfg(target_arch = "aarch64")]
core::arch::global_asm!(
    ".globl _start",
    "_start:",
    "mov x29, #0",
    "mov x0, sp",
    "bl {start}",
    "brk #1",
    start = sym start,
);

/// # Safety
/// `stack` is what the kernel put there: the number of arguments, and their addresses.
unsafe extern "C" fn start(stack: *const usize) -> ! {
    // SAFETY: by the caller's word; arguments stay for as long as the program runs.
    let arguments = unsafe {
        let count = stack.read();
        core::slice::from_raw_parts(stack.add(1).cast::<*const c_char>(), count)
    };
    // SAFETY: each is the address of a string that ends with a zero.
    let files = arguments.iter().skip(1).map(|at| unsafe { CStr::from_ptr(*at) });
    exit_group(crate::main(files))
}

/// A broken invariant: the program cannot be trusted any further.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit_group(134)
}

/// The compiler's own helpers ask it which atomic instructions the processor has: none beyond the
/// first ones, which every processor has.
#[cfg(target_arch = "aarch64")]
#[unsafe(no_mangle)]
extern "C" fn getauxval(_: u64) -> u64 {
    0
}

/// What the compiler takes for granted: memcpy and its kin.
#[cfg(target_arch = "aarch64")]
#[path = "../../../preload/src/freestanding/aarch64.rs"]
mod memory;
#[cfg(target_arch = "x86_64")]
#[path = "../../../preload/src/freestanding/x86_64.rs"]
mod memory;
