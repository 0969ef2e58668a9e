//! What the compiler takes for granted where there is no libc, for the C libraries, which take this
//! file as theirs; hidden, so that no program is ever bound to it.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

/// A broken invariant of ours: the process cannot be trusted any further.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    sysring_sys::call::exit_group(134)
}
