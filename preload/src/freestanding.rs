//! What the compiler takes for granted where there is no libc.
//!
//! The symbols are hidden, so that the object never answers for an application's `memcpy`; and
//! they are assembly, because a compiler turns a copying loop into a call of `memcpy`.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

/// A broken invariant of ours: the process cannot be trusted any further.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    sysring_trap::message::fail("internal error; this is a bug of sysring, please report it")
}
