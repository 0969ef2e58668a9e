//! The initial stack: arguments, environment, auxiliary vector, edited in place.

use core::ffi::CStr;

pub const AT_NULL: usize = 0;
pub const AT_PHDR: usize = 3;
pub const AT_PHNUM: usize = 5;
pub const AT_PAGESZ: usize = 6;
pub const AT_BASE: usize = 7;
pub const AT_ENTRY: usize = 9;
pub const AT_EXECFN: usize = 31;

/// `argc`, the arguments, a null, the environment, a null, and pairs up to `AT_NULL`.
pub struct Stack {
    start: *mut usize,
    environment: *mut usize,
    auxiliary: *mut [usize; 2],
}

impl Stack {
    /// # Safety
    /// `start` must be the stack pointer that the kernel started this program with.
    pub unsafe fn new(start: *mut usize) -> Stack {
        // SAFETY: the layout is the kernel's.
        unsafe {
            let environment = start.add(1 + *start + 1);
            let mut end = environment;
            while *end != 0 {
                end = end.add(1);
            }
            Stack { start, environment, auxiliary: end.add(1).cast() }
        }
    }

    fn count(&self) -> usize {
        // SAFETY: the kernel's layout.
        unsafe { *self.start }
    }

    /// An argument, by its index.
    pub fn argument(&self, index: usize) -> Option<&'static CStr> {
        // SAFETY: the arguments are strings that stay on the stack.
        (index < self.count())
            .then(|| unsafe { CStr::from_ptr(*self.start.add(1 + index) as *const _) })
    }

    /// The environment's pointers.
    pub fn environment(&self) -> *const *const u8 {
        self.environment.cast_const().cast()
    }

    fn entry(&self, kind: usize) -> Option<*mut usize> {
        let mut pair = self.auxiliary;
        // SAFETY: the vector ends with AT_NULL.
        unsafe {
            while (*pair)[0] != AT_NULL {
                if (*pair)[0] == kind {
                    return Some(&raw mut (*pair)[1]);
                }
                pair = pair.add(1);
            }
        }
        None
    }

    /// A value of the auxiliary vector.
    pub fn auxiliary(&self, kind: usize) -> Option<usize> {
        // SAFETY: a word of the vector.
        self.entry(kind).map(|value| unsafe { *value })
    }

    /// A value that is the address of a string.
    pub fn auxiliary_string(&self, kind: usize) -> Option<&'static CStr> {
        // SAFETY: the kernel's strings stay on the stack.
        self.auxiliary(kind).map(|at| unsafe { CStr::from_ptr(at as *const _) })
    }

    /// Changes a value that is there.
    pub fn set_auxiliary(&mut self, kind: usize, value: usize) {
        if let Some(place) = self.entry(kind) {
            // SAFETY: a word of the vector.
            unsafe { *place = value };
        }
    }

    /// The stack without the second and the third argument. Two words fewer: what is above them
    /// need not move for the stack to stay aligned.
    pub fn without_two_arguments(self) -> *mut usize {
        // SAFETY: there are three arguments at least; the words written are the count's and
        // theirs.
        unsafe {
            let start = self.start.add(2);
            let (count, first) = (*self.start, *self.start.add(1));
            *start = count - 2;
            *start.add(1) = first;
            start
        }
    }
}

/// Starts a program: its stack pointer, and no register that means anything.
///
/// # Safety
/// `entry` must be the program's, and `stack` describe it.
#[cfg(target_arch = "x86_64")]
pub unsafe fn enter(entry: usize, stack: *mut usize) -> ! {
    // SAFETY: nothing of this program is used any more, but for its handler. rdx is a function
    // to register with `atexit`: none.
    unsafe {
        core::arch::asm!(
            "mov rsp, {stack}",
            "xor edx, edx",
            "xor ebp, ebp",
            "jmp {entry}",
            stack = in(reg) stack,
            entry = in(reg) entry,
            options(noreturn),
        )
    }
}

/// As on x86-64; the function for `atexit` is in x0.
#[cfg(target_arch = "aarch64")]
pub unsafe fn enter(entry: usize, stack: *mut usize) -> ! {
    // SAFETY: as on x86-64.
    unsafe {
        core::arch::asm!(
            "mov sp, {stack}",
            "mov x0, #0",
            "mov x29, #0",
            "mov x30, #0",
            "br {entry}",
            stack = in(reg) stack,
            entry = in(reg) entry,
            options(noreturn),
        )
    }
}
