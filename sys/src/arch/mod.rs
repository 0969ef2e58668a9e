//! The one door to the kernel, per architecture.
//!
//! A port is one file: `syscall` with six register arguments, [`gate_address`], the thread
//! start, and the signal return.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
use aarch64 as imp;
#[cfg(target_arch = "x86_64")]
use x86_64 as imp;

pub use imp::{
    GATE_CODE, clone_thread, cycles, gate_address, move_gate, relax, sigreturn_address, syscall,
    unmap_and_exit,
};

// There the gate's `ret` costs what any does.
#[cfg(target_arch = "aarch64")]
pub use imp::syscall as syscall_in_place;
#[cfg(target_arch = "x86_64")]
pub use imp::syscall_in_place;

/// The architecture's tag in seccomp data (`AUDIT_ARCH_*`).
pub const AUDIT_ARCH: u32 = imp::AUDIT_ARCH;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_returns_what_the_kernel_says() {
        // SAFETY: getpid takes no arguments and cannot fail.
        let pid = unsafe { syscall(linux_raw_sys::general::__NR_getpid as usize, [0; 6]) };
        assert_eq!(pid as u32, std::process::id());
        // SAFETY: closing descriptor -1 changes nothing.
        let ret = unsafe {
            syscall(linux_raw_sys::general::__NR_close as usize, [usize::MAX, 0, 0, 0, 0, 0])
        };
        assert_eq!(ret, -9);
    }
}
