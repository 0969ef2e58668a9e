//! What the compiler takes for granted where there is no libc; hidden, so that no program is
//! ever bound to it.

#[cfg(target_arch = "aarch64")]
#[path = "../../preload/src/freestanding/aarch64.rs"]
mod memory;
#[cfg(target_arch = "x86_64")]
#[path = "../../preload/src/freestanding/x86_64.rs"]
mod memory;

/// A broken invariant of ours: the process cannot be trusted any further.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    sysring_sys::call::exit_group(134)
}
