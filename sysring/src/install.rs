//! `install()`: io_uring for the whole process, whoever calls it.

use core::fmt;
use core::sync::atomic::{AtomicU8, Ordering::Acquire, Ordering::Release};

use sysring_sys::raw::general::__NR_io_uring_setup;
use sysring_sys::{Fd, Result, call};
use sysring_trap::filter::{self, Scope};
use sysring_trap::handler;
use sysring_trap::maps::{self, Text};
use sysring_trap::sites::Sites;
use sysring_trap::threads;

use crate::{Engine, InstallError};

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
    install_user()?;
    // Rings of this crate's have no need of the trap.
    sysring_door::choice::installed();
    Ok(Installed::User)
}

/// Whether the kernel makes rings for this process.
fn probe_kernel() -> Result<()> {
    let mut params = [0u64; 15];
    // SAFETY: the parameters are 120 bytes of ours.
    let ring =
        unsafe { call::raw(__NR_io_uring_setup, [1, params.as_mut_ptr() as usize, 0, 0, 0, 0]) }?;
    call::close(Fd::new(ring as i32))
}

fn install_user() -> core::result::Result<(), InstallError> {
    let sites = own_calls()?;
    handler::install().map_err(InstallError::Handler)?;
    if !threads::let_sigsys_through() {
        return Err(InstallError::Blocked);
    }
    // SAFETY: the handler is installed. Forked children inherit it; another program makes no call
    // from these places, unless chance has it.
    unsafe { filter::install(&filter::only_at(sites.places()), Scope::Process) }
        .map_err(InstallError::Filter)
}

/// Where this executable and its libraries make their calls.
fn own_calls() -> core::result::Result<Sites, InstallError> {
    /// What is linked at a fixed address lies below.
    const LOWEST_RANDOM: usize = 1 << 32;

    let text = Text::read(c"/proc/self/maps").map_err(InstallError::Maps)?;
    let mut sites = Sites::new().map_err(InstallError::Filter)?;
    let mut code = 0..0;
    for mapping in maps::mappings(text.bytes()) {
        // Files only: neither the kernel's own pages (`[vdso]`) nor code made at run time.
        if !mapping.executable || !mapping.name.starts_with(b"/") {
            continue;
        }
        if mapping.range.start < LOWEST_RANDOM {
            return Err(InstallError::FixedAddress);
        }
        // One with its neighbour: an instruction may begin here and end there.
        if code.end == mapping.range.start {
            code.end = mapping.range.end;
        } else {
            sites.add(code);
            code = mapping.range;
        }
    }
    sites.add(code);
    Ok(sites)
}
