//! The engine as a function, for libraries that find it by the gate's page: no trap in between.

use sysring_engine::Caller;
use sysring_sys::call::Quiet;
use sysring_sys::{Errno, User};

/// `io_uring_enter(2)`.
pub extern "C" fn enter(
    fd: i32,
    submit: u32,
    min: u32,
    flags: u32,
    arg: u64,
    size: usize,
) -> isize {
    let quiet = Quiet::new();
    // A child of `fork` may come here without a trap.
    sysring_trap::process::claim();
    let caller = Caller { sigmask: quiet.mask() };
    let arg = User::new(arg);
    Errno::to_ret(sysring_engine::enter(fd as u32, submit, min, flags, arg, size, &caller))
}
