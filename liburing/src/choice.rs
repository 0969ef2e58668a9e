//! Which engine serves the rings of this process, and why.
//!
//! In a process that `sysring run` serves, it serves the library, too. Elsewhere
//! `SYSRING_ENGINE=kernel` and `=user` insist on one. Otherwise the kernel's io_uring is tried when
//! the first ring is made: it serves if its three calls are not refused (`ENOSYS`, `EPERM`,
//! `EACCES`), and the engine in this process if they are.

use core::ffi::c_char;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicU8, AtomicU16};

use sysring_sys::abi::io_uring::{Params, Probe, register};
use sysring_sys::{Errno, Fd, Result, User, call};

use crate::environment;
use crate::ring::{IoUring, own};
use crate::{kernel, user};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Engine {
    Kernel,
    User,
}

const OPEN: u8 = 0;
const KERNEL_ASKED: u8 = 1;
const KERNEL_WORKS: u8 = 2;
const USER_ASKED: u8 = 3;
/// The kernel refuses; [`REFUSAL`] says how.
const USER_REFUSED: u8 = 4;
/// There is no engine in this library.
const KERNEL_ALONE: u8 = 5;
/// `sysring run` has placed an engine in this process.
const USER_PLACED: u8 = 6;

static CHOICE: AtomicU8 = AtomicU8::new(OPEN);
static REFUSAL: AtomicU16 = AtomicU16::new(0);

/// The engine of this process.
#[inline]
pub fn engine() -> Engine {
    // Acquire pairs with the Release in `decide`: the refusal is there.
    match CHOICE.load(Acquire) {
        OPEN => decide(),
        USER_ASKED | USER_REFUSED | USER_PLACED => Engine::User,
        _ => Engine::Kernel,
    }
}

#[cold]
fn decide() -> Engine {
    let choice = match environment::value::<8>(b"SYSRING_ENGINE").as_ref() {
        _ if user::is_placed() => USER_PLACED,
        _ if cfg!(not(feature = "engine")) => KERNEL_ALONE,
        Some(b"kernel\0\0") => KERNEL_ASKED,
        Some(b"user\0\0\0\0") => USER_ASKED,
        _ => match try_kernel() {
            Ok(()) => KERNEL_WORKS,
            Err(e @ (Errno::ENOSYS | Errno::EPERM | Errno::EACCES)) => {
                REFUSAL.store(e.raw() as u16, Relaxed);
                USER_REFUSED
            }
            // Out of memory or descriptors: nothing is known, and the caller will meet the same.
            Err(_) => return Engine::Kernel,
        },
    };
    // Release pairs with the Acquire in `engine`. A second thread may come to this point at the
    // same time, with the same result.
    CHOICE.store(choice, Release);
    engine()
}

/// Tries the kernel's three calls.
fn try_kernel() -> Result<()> {
    let mut params = Params::default();
    let fd = kernel::setup(1, User::of(&raw mut params))? as i32;
    let result = try_ring(fd);
    let _ = call::close(Fd::new(fd));
    result
}

fn try_ring(fd: i32) -> Result<()> {
    kernel::enter(fd, 0, 0, 0, User::NULL, 0)?;
    let mut probe = Probe::default();
    match kernel::register(fd, register::PROBE, User::of(&raw mut probe).cast(), 0) {
        // Linux 5.1 to 5.5 have no probe.
        Err(Errno::EINVAL) => Ok(()),
        result => result.map(drop),
    }
}

/// Which engine serves a ring, and why: `kernel: …` or `user: …`.
///
/// The string is static. A ring that was not made yet is told what a new one would get.
#[unsafe(no_mangle)]
pub extern "C" fn sysring_ring_engine(ring: Option<&IoUring>) -> *const c_char {
    let made = ring.is_some_and(|ring| ring.is(own::USER));
    if !made {
        engine();
    }
    let why = match (CHOICE.load(Acquire), REFUSAL.load(Relaxed)) {
        (KERNEL_ASKED, _) => c"kernel: SYSRING_ENGINE=kernel",
        (KERNEL_WORKS, _) => c"kernel: io_uring works here",
        (USER_ASKED, _) => c"user: SYSRING_ENGINE=user",
        (USER_PLACED, _) => c"user: sysring run serves this process",
        (USER_REFUSED, 38) => c"user: the kernel has no io_uring (ENOSYS)",
        (USER_REFUSED, 13) => c"user: the kernel refuses io_uring (EACCES)",
        (USER_REFUSED, _) => c"user: the kernel refuses io_uring (EPERM)",
        (KERNEL_ALONE, _) => c"kernel: this library has no other engine",
        _ => c"kernel: io_uring could not be tried, for want of memory or descriptors",
    };
    why.as_ptr()
}
