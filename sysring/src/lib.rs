//! io_uring in your program, wherever it runs.
//!
//! Call [`install`] first thing in `main`. Where the kernel's io_uring works, nothing changes.
//! Where it is refused (in a container, by a sysctl, on an old kernel), the io_uring calls of this
//! process are served by an engine in userspace from then on, whoever makes them: the `io-uring`
//! crate, tokio-uring, liburing, or the bare system call.
//!
//! ```
//! # #[cfg(feature = "std")]
//! fn main() -> Result<(), sysring::InstallError> {
//!     let engine = sysring::install()?;
//!     println!("io_uring is served by {engine}");
//!     Ok(())
//! }
//! # #[cfg(not(feature = "std"))] fn main() {}
//! ```
//!
//! # What it does to the process
//! - `no_new_privs` is set: a set-user-ID program started from here gains no privilege.
//! - A seccomp filter is added for all threads. It traps the three io_uring calls, and those that
//!   touch a ring's descriptor or the SIGSYS signal, where they are made by code that is mapped
//!   now: this executable and the libraries it was started with. Any other call costs a few
//!   nanoseconds more.
//! - SIGSYS belongs to the engine. Programs may still set a handler for it, block or ignore it, and
//!   find it so; their own seccomp filters still reach their handler.
//! - `clone3` answers `ENOSYS`, and libraries use `clone` instead.
//!
//! A thread that blocks SIGSYS when `install` is called would be killed at its first trapped call.
//! C libraries block all signals for a moment when they start a thread, which `install` waits out;
//! a thread that blocks it for good is an error ([`InstallError::Blocked`]). Best is to call it
//! before there are other threads.
//!
//! # Children
//! A forked child is served as its parent is. After `exec` a program's code lies elsewhere, so the
//! filter has nothing to say there: children see the machine as it is, and may call `install` for
//! themselves, or be started by `sysring run`. This rests on address space randomisation. Where it
//! is off (in a debugger, under `setarch -R`) the same libraries may lie at the same addresses in
//! a child, which then dies by SIGSYS at its first trapped call; for the same reason an executable
//! linked at a fixed address is refused ([`InstallError::FixedAddress`]).

#![cfg_attr(not(feature = "std"), no_std)]

mod error;

use core::fmt;
use core::ops::Range;
use core::sync::atomic::{AtomicU8, Ordering::Acquire, Ordering::Release};

use sysring_sys::raw::general::__NR_io_uring_setup;
use sysring_sys::{Errno, Fd, Result, call};
use sysring_trap::filter::{self, Scope};
use sysring_trap::handler;
use sysring_trap::maps::{self, Text};
use sysring_trap::threads;

pub use error::InstallError;

/// Who serves this process's io_uring calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Installed {
    /// The kernel: nothing was installed.
    Kernel,
    /// The engine in userspace, installed here or by `sysring run`.
    User,
}

impl fmt::Display for Installed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Installed::Kernel => "the kernel",
            Installed::User => "the engine in userspace",
        })
    }
}

/// Who should serve.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Engine {
    /// The kernel where its io_uring works, the engine in userspace where not.
    #[default]
    Auto,
    /// The kernel, or an error.
    Kernel,
    /// The engine in userspace, even where the kernel's io_uring works.
    User,
}

/// Sees to it that io_uring works in this process. Call it first thing in `main`.
///
/// The environment variable `SYSRING_ENGINE` (`auto`, `kernel` or `user`) chooses the engine; a
/// second call changes nothing, and answers as the first.
///
/// # Errors
/// If nobody can serve, or not the one that was asked for: see [`InstallError`].
#[cfg(feature = "std")]
pub fn install() -> core::result::Result<Installed, InstallError> {
    let engine = match std::env::var_os("SYSRING_ENGINE") {
        None => Engine::Auto,
        Some(name) => match name.to_str() {
            Some("" | "auto") => Engine::Auto,
            Some("kernel") => Engine::Kernel,
            Some("user") => Engine::User,
            _ => return Err(InstallError::UnknownEngine),
        },
    };
    install_engine(engine)
}

/// As `install`, with the engine given by the caller.
///
/// # Errors
/// As `install`.
pub fn install_engine(engine: Engine) -> core::result::Result<Installed, InstallError> {
    const NOT_YET: u8 = 0;
    const BUSY: u8 = 1;
    const KERNEL: u8 = 2;
    const USER: u8 = 3;
    static STATE: AtomicU8 = AtomicU8::new(NOT_YET);

    loop {
        match STATE.compare_exchange(NOT_YET, BUSY, Acquire, Acquire) {
            Ok(_) => break,
            Err(KERNEL) => return Ok(Installed::Kernel),
            Err(USER) => return Ok(Installed::User),
            Err(_) => call::sched_yield(),
        }
    }
    let result = choose(engine);
    let state = match result {
        Ok(Installed::Kernel) => KERNEL,
        Ok(Installed::User) => USER,
        Err(_) => NOT_YET,
    };
    STATE.store(state, Release);
    result
}

fn choose(engine: Engine) -> core::result::Result<Installed, InstallError> {
    // Under `sysring run` every call of this process is served already, ours included.
    if handler::is_filtered() {
        return Ok(Installed::User);
    }
    if engine != Engine::User {
        match probe_kernel() {
            Ok(()) => return Ok(Installed::Kernel),
            Err(error) if engine == Engine::Kernel => {
                return Err(InstallError::KernelRefuses(error));
            }
            Err(_) => {}
        }
    }
    install_user().map(|()| Installed::User)
}

/// Whether the kernel makes rings for this process.
fn probe_kernel() -> Result<()> {
    let mut params = [0u64; 15];
    // SAFETY: the parameters are 120 bytes of ours.
    let ring =
        unsafe { call::raw(__NR_io_uring_setup, [1, params.as_mut_ptr() as usize, 0, 0, 0, 0]) }?;
    call::close(Fd::new(ring as i32))
}

/// As many pieces of code as the filter has room for.
const MOST: usize = 100;

fn install_user() -> core::result::Result<(), InstallError> {
    let mut ranges = [const { 0..0 }; MOST];
    let ranges = own_code(&mut ranges)?;
    handler::install().map_err(InstallError::Handler)?;
    if !threads::let_sigsys_through() {
        return Err(InstallError::Blocked);
    }
    // SAFETY: the handler is installed. Forked children inherit it, and no other program has code
    // at these addresses.
    unsafe { filter::install(&filter::only_in(ranges), Scope::Process) }
        .map_err(InstallError::Filter)
}

/// Where this executable and its libraries have their code.
fn own_code(
    ranges: &mut [Range<usize>; MOST],
) -> core::result::Result<&[Range<usize>], InstallError> {
    /// What is linked at a fixed address lies below.
    const LOWEST_RANDOM: usize = 1 << 32;

    let text = Text::read(c"/proc/self/maps").map_err(InstallError::Maps)?;
    let mut count = 0;
    for mapping in maps::mappings(text.bytes()) {
        // Files only: neither the kernel's own pages (`[vdso]`) nor code made at run time.
        if !mapping.executable || !mapping.name.starts_with(b"/") {
            continue;
        }
        if mapping.range.start < LOWEST_RANDOM {
            return Err(InstallError::FixedAddress);
        }
        if count > 0 && ranges[count - 1].end == mapping.range.start {
            ranges[count - 1].end = mapping.range.end;
            continue;
        }
        let free = ranges.get_mut(count).ok_or(InstallError::Filter(Errno::E2BIG))?;
        *free = mapping.range;
        count += 1;
    }
    Ok(&ranges[..count])
}
