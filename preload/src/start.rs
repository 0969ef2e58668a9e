//! The two ways in: an initialiser for the dynamic linker, an entry point for the kernel.

use core::arch::global_asm;

use sysring_sys::{User, call};

use crate::environment::Environment;
use crate::init;
use crate::loader;

#[used]
#[unsafe(link_section = ".init_array")]
static INITIALISE: extern "C" fn(usize, usize, usize) = initialise;

/// glibc calls initialisers with `main`'s arguments, musl with nothing.
extern "C" fn initialise(argc: usize, argv: usize, envp: usize) {
    let environment = if are_mains(argc, argv, envp) {
        // SAFETY: what lies where the array of the environment must lie, with a null before it,
        // is the initial stack.
        unsafe { Environment::from_pointers(envp as *const *const u8) }
    } else {
        Environment::of_process()
    };
    init::init(environment, None);
}

/// Whether three registers hold `main`'s arguments as the kernel laid them out, and not whatever
/// was in them: the environment begins right behind the null that ends the arguments.
fn are_mains(argc: usize, argv: usize, envp: usize) -> bool {
    if argc > 1 << 20 || !argv.is_multiple_of(8) || envp != argv.wrapping_add((argc + 1) * 8) {
        return false;
    }
    let mut words = [usize::MAX; 2];
    let from = User::new(argv.wrapping_add(argc * 8) as u64);
    let len = size_of_val(&words) / 2;
    let to = words.as_mut_ptr().cast();
    // SAFETY: a word of the array, which is ours.
    let read = unsafe { call::process_vm_read(call::gettid(), to, from, len) };
    read == Ok(len) && words[0] == 0
}

// Where the kernel starts this object when it is executed as a program: nothing is relocated yet,
// and the stack pointer is all there is.
#[cfg(target_arch = "x86_64")]
global_asm!(
    ".pushsection .text.sysring_start,\"ax\",@progbits",
    ".globl sysring_start",
    ".hidden sysring_start",
    ".hidden _DYNAMIC",
    ".hidden __ehdr_start",
    ".type sysring_start,@function",
    "sysring_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "lea rsi, [rip + __ehdr_start]",
    "lea rdx, [rip + _DYNAMIC]",
    "and rsp, -16",
    "call {main}",
    "ud2",
    ".popsection",
    main = sym main,
);

#[cfg(target_arch = "aarch64")]
global_asm!(
    ".pushsection .text.sysring_start,\"ax\",%progbits",
    ".globl sysring_start",
    ".hidden sysring_start",
    ".hidden _DYNAMIC",
    ".hidden __ehdr_start",
    ".type sysring_start,%function",
    "sysring_start:",
    "mov x29, #0",
    "mov x30, #0",
    "mov x0, sp",
    "adrp x1, __ehdr_start",
    "add x1, x1, :lo12:__ehdr_start",
    "adrp x2, _DYNAMIC",
    "add x2, x2, :lo12:_DYNAMIC",
    "bl {main}",
    "brk #1",
    ".popsection",
    main = sym main,
);

/// Called by `sysring_start` with the initial stack pointer, this object's address and its dynamic
/// section.
unsafe extern "C" fn main(stack: *mut usize, base: usize, dynamic: *const [usize; 2]) -> ! {
    // SAFETY: the kernel's stack, and the linker's symbols; nothing has run yet.
    unsafe {
        relocate(base, dynamic);
        loader::run(stack)
    }
}

/// Adds the address of the object to the pointers in it: all that a dynamic linker would have to
/// do here. Must not itself use such a pointer.
#[inline(never)]
unsafe fn relocate(base: usize, dynamic: *const [usize; 2]) {
    const DT_NULL: usize = 0;
    const DT_RELA: usize = 7;
    const DT_RELASZ: usize = 8;
    #[cfg(target_arch = "x86_64")]
    const RELATIVE: usize = 8;
    #[cfg(target_arch = "aarch64")]
    const RELATIVE: usize = 1027;

    let (mut table, mut len) = (0, 0);
    let mut entry = dynamic;
    // SAFETY: the section ends with DT_NULL; the table holds `len` bytes of entries, each naming a
    // word of this object's writable data.
    unsafe {
        while (*entry)[0] != DT_NULL {
            match *entry {
                [DT_RELA, offset] => table = base + offset,
                [DT_RELASZ, bytes] => len = bytes,
                _ => {}
            }
            entry = entry.add(1);
        }
        for i in 0..len / size_of::<[usize; 3]>() {
            let [offset, info, addend] = *(table as *const [usize; 3]).add(i);
            if info as u32 as usize == RELATIVE {
                *((base + offset) as *mut usize) = base + addend;
            }
        }
    }
}
