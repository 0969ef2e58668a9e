//! aarch64: no contexts are moved yet.

use core::arch::asm;

use super::Request;

/// Makes a call and waits for its end; the return register as the kernel left it.
///
/// The instruction is one of ours, not the gate of `sysring-sys`: what a filter would do with a
/// call of the application's it does with this one.
///
/// # Safety
/// The call must be sound for this process.
pub unsafe fn plain(request: &Request) -> isize {
    let [a, b, c, d, e, f] = request.args;
    let result: isize;
    // SAFETY: the kernel changes x0 alone; the caller vouches for the call.
    unsafe {
        asm!(
            "svc #0",
            in("x8") request.number,
            inlateout("x0") a as isize => result,
            in("x1") b,
            in("x2") c,
            in("x3") d,
            in("x4") e,
            in("x5") f,
        );
    }
    result
}
