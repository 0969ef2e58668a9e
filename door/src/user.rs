//! The engine in this process, called as a function: the one that `sysring run` has placed here, or
//! the one of this build.

use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::Relaxed;

use sysring_sys::abi::io_uring::Params;
use sysring_sys::front::{Enter, Front};
use sysring_sys::{Fd, Result, User};

use crate::kernel;

/// The placed engine's front, or zero. Set before the choice that makes use of it.
static PLACED: AtomicUsize = AtomicUsize::new(0);

/// Looks for an engine that `sysring run` has placed in this process.
pub fn is_placed() -> bool {
    let found = Front::find().ok().flatten().and_then(|front| front.enter);
    if let Some(enter) = found {
        PLACED.store(enter as usize, Relaxed);
    }
    found.is_some()
}

#[inline(always)]
fn placed() -> Option<Enter> {
    let address = PLACED.load(Relaxed);
    // SAFETY: zero is `None`; anything else is the address of such a function, which stays.
    unsafe { core::mem::transmute::<usize, Option<Enter>>(address) }
}

pub fn setup(entries: u32, params: User<Params>) -> Result<usize> {
    match placed() {
        // Trapped, as rare calls may be.
        Some(_) => kernel::setup(entries, params),
        None => own::setup(entries, params),
    }
}

/// Out of line, and with the answer in one register: the way to the kernel needs no stack.
#[inline(never)]
pub extern "C" fn enter(
    fd: i32,
    submit: u32,
    min: u32,
    flags: u32,
    arg: User<u8>,
    size: usize,
) -> isize {
    match placed() {
        Some(enter) => enter(fd, submit, min, flags, arg.address(), size),
        None => own::enter(fd, submit, min, flags, arg, size),
    }
}

pub fn register(fd: i32, opcode: u32, arg: User<u8>, count: u32) -> Result<usize> {
    match placed() {
        Some(_) => kernel::register(fd, opcode, arg, count),
        None => own::register(fd, opcode, arg, count),
    }
}

/// `None`: not the own engine's, make the call as it stands.
pub fn mmap(fd: Fd, len: usize, offset: u64) -> Option<Result<usize>> {
    if placed().is_some() { None } else { own::mmap(fd, len, offset) }
}

/// `None`: not the own engine's, make the call as it stands.
pub fn close(fd: Fd) -> Option<Result<()>> {
    if placed().is_some() { None } else { own::close(fd) }
}

/// What the calls come to in a build without an engine: they are never made.
#[cfg(not(feature = "engine"))]
mod own {
    use super::*;
    use sysring_sys::Errno;

    pub fn setup(_: u32, _: User<Params>) -> Result<usize> {
        Err(Errno::ENOSYS)
    }

    pub fn enter(_: i32, _: u32, _: u32, _: u32, _: User<u8>, _: usize) -> isize {
        Errno::to_ret(Err(Errno::ENOSYS))
    }

    pub fn register(_: i32, _: u32, _: User<u8>, _: u32) -> Result<usize> {
        Err(Errno::ENOSYS)
    }

    pub fn mmap(_: Fd, _: usize, _: u64) -> Option<Result<usize>> {
        None
    }

    pub fn close(_: Fd) -> Option<Result<()>> {
        None
    }
}

/// The engine of this build. Signals wait while it works.
#[cfg(feature = "engine")]
mod own {
    use super::*;
    use crate::{FLAGS, PROTECTION};
    use sysring_engine::{Caller, descriptors};
    use sysring_sys::Errno;
    use sysring_sys::call::Quiet;

    pub fn setup(entries: u32, params: User<Params>) -> Result<usize> {
        let _quiet = Quiet::new();
        sysring_engine::process::set_unheard();
        sysring_engine::setup(entries, params)
    }

    pub fn enter(fd: i32, submit: u32, min: u32, flags: u32, arg: User<u8>, size: usize) -> isize {
        let quiet = Quiet::new();
        let caller = Caller { sigmask: quiet.mask() };
        let entered = sysring_engine::enter(fd as u32, submit, min, flags, arg, size, &caller);
        Errno::to_ret(entered)
    }

    pub fn register(fd: i32, opcode: u32, arg: User<u8>, count: u32) -> Result<usize> {
        let _quiet = Quiet::new();
        sysring_engine::register(fd as u32, opcode, arg, count)
    }

    pub fn mmap(fd: Fd, len: usize, offset: u64) -> Option<Result<usize>> {
        let _quiet = Quiet::new();
        sysring_engine::process::enter_again();
        descriptors::mmap(fd, 0, len, PROTECTION, FLAGS, offset)
    }

    pub fn close(fd: Fd) -> Option<Result<()>> {
        let _quiet = Quiet::new();
        // A child of `fork` may come here first: what it closes is not its parent's.
        sysring_engine::process::enter_again();
        // A copy of the descriptor may be what is left of it.
        drop(descriptors::find(fd));
        descriptors::close(fd)
    }

    /// The process ends: rings that it shares with others hear of it.
    extern "C" fn leave() {
        let _quiet = Quiet::new();
        sysring_engine::process::leave(true);
    }

    #[used]
    #[unsafe(link_section = ".fini_array")]
    static LEAVE: extern "C" fn() = leave;
}
