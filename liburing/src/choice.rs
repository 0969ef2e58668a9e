//! Telling which engine serves the rings of this process, and why.

use core::ffi::c_char;

use sysring_door::choice::{Why, chosen};
use sysring_sys::Errno;

use crate::ring::IoUring;

pub use sysring_door::Engine;
pub use sysring_door::choice::engine;

/// Which engine serves a ring, and why: `kernel: …` or `user: …`.
///
/// The string is static. A ring that was not made yet is told what a new one would get.
#[unsafe(no_mangle)]
pub extern "C" fn sysring_ring_engine(_ring: Option<&IoUring>) -> *const c_char {
    let why = match chosen() {
        Why::KernelAsked => c"kernel: SYSRING_ENGINE=kernel",
        Why::KernelWorks => c"kernel: io_uring works here",
        Why::UserAsked => c"user: SYSRING_ENGINE=user",
        Why::Placed => c"user: sysring run serves this process",
        Why::Installed => c"user: sysring was installed in this process",
        Why::Refused(_, Errno::ENOSYS) => c"user: the kernel has no io_uring (ENOSYS)",
        Why::Refused(_, Errno::EACCES) => c"user: the kernel refuses io_uring (EACCES)",
        Why::Refused(..) => c"user: the kernel refuses io_uring (EPERM)",
        Why::KernelAlone => c"kernel: this library has no other engine",
        Why::Untried(_) => {
            c"kernel: io_uring could not be tried, for want of memory or descriptors"
        }
    };
    why.as_ptr()
}
