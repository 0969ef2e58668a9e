//! Making this process one that is served.

use core::ffi::CStr;
use core::mem::MaybeUninit;

use sysring_engine::stats::{self, SHARED_LEN, Stats};
use sysring_sys::abi::PAGE;
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, User, call};
use sysring_trap::exec::{self, Carrier};
use sysring_trap::filter::{self, Scope};
use sysring_trap::handler;
use sysring_trap::maps::{self, Text};
use sysring_trap::message::{self, Notice};

#[cfg(target_arch = "x86_64")]
use crate::direct;
use crate::environment::Environment;
use crate::gate::{self, Gate};

/// Everything, in order. What fails is said, and the program runs without us if it can.
///
/// `path` is this object's file, if the kernel told.
pub fn init(environment: Environment, path: Option<&'static CStr>) {
    if let Err((step, error)) = attempt(environment, path) {
        let told = environment.value(b"SYSRING_TOLD");
        message::once(
            told,
            Notice::Unserved,
            &[
                b"cannot serve io_uring in this process: ",
                step.as_bytes(),
                b": ",
                error.describe().as_bytes(),
                b" (",
                error.name().as_bytes(),
                b"); `sysring doctor` says what is missing",
            ],
        );
    }
}

type Failure = (&'static str, Errno);

fn attempt(
    environment: Environment,
    path: Option<&'static CStr>,
) -> core::result::Result<(), Failure> {
    let gate = gate::map().map_err(|e| ("mapping the page for its system calls", e))?;
    if gate == Gate::Taken {
        return Ok(());
    }
    let path = match path {
        Some(path) => path.to_bytes(),
        None => own_path(environment).map_err(|e| ("finding its own file", e))?,
    };
    let kept = exec::KEPT.map(|name| environment.entry(&name[..name.len() - 1]));
    if let Some(path) = environment.value(b"SYSRING_STATS") {
        // Counting is no reason to fail: the counters stay private then.
        let _ = share_stats(path);
    }
    exec::carry(carrier(path, kept).map_err(|e| ("allocating memory", e))?);
    handler::install().map_err(|e| ("installing the SIGSYS handler", e))?;
    #[cfg(target_arch = "x86_64")]
    if environment.value(b"SYSRING_SHORTCUTS").is_none_or(|v| v.to_bytes() != b"0") {
        sysring_trap::shortcut::allow(direct::enter);
    }
    let inherited = handler::is_filtered();
    if !inherited {
        install_filter().map_err(|e| ("installing the seccomp filter", e))?;
    }
    if environment.value(b"SYSRING_VERBOSE").is_some_and(|v| v.to_bytes() != b"0") {
        let pid = message::Decimal::of(call::getpid() as u64);
        let filter: &[u8] = if inherited { b"inherited" } else { b"installed" };
        message::line(&[
            b"process ",
            pid.as_bytes(),
            b": io_uring is served by the engine in userspace (filter ",
            filter,
            b")",
        ]);
    }
    Ok(())
}

fn install_filter() -> Result<()> {
    let rules = filter::everywhere();
    // SAFETY: the handler is installed, and `exec` carries it to every later program.
    match unsafe { filter::install(&rules, Scope::Process) } {
        // A thread with a filter of its own: let it be.
        // SAFETY: the handler is installed, and `exec` carries it to every later program.
        Err(Errno::ESRCH) => unsafe { filter::install(&rules, Scope::Thread) },
        result => result,
    }
}

/// The absolute path that this object was loaded from.
fn own_path(environment: Environment) -> Result<&'static [u8]> {
    if let Some(list) = environment.value(b"LD_PRELOAD")
        && let Some(path) = list
            .to_bytes()
            .split(|b| matches!(b, b':' | b' '))
            .find(|path| path.starts_with(b"/") && is_ours(path))
    {
        return Ok(path);
    }
    own_mapping()
}

/// Whether a path's last part is a name this object is known by, or it is a descriptor's:
/// `sysring run` passes the object so where it may write no file.
fn is_ours(path: &[u8]) -> bool {
    if path.starts_with(b"/proc/self/fd/") {
        return true;
    }
    let name = path.rsplit(|&b| b == b'/').next().unwrap_or_default();
    name.windows(b"sysring".len()).any(|part| part == b"sysring")
}

/// The path of the file that this function is mapped from.
fn own_mapping() -> Result<&'static [u8]> {
    let here = own_mapping as *const () as usize;
    let text = Text::read(c"/proc/self/maps")?.leak();
    maps::mappings(text)
        .find(|mapping| mapping.range.contains(&here))
        .map(|mapping| mapping.name)
        .filter(|name| name.starts_with(b"/"))
        .ok_or(Errno::ENOENT)
}

/// What later programs get, copied to memory of ours: a program may overwrite its environment.
fn carrier(path: &[u8], kept: [Option<&CStr>; exec::KEPT.len()]) -> Result<&'static Carrier> {
    let kept_len: usize = kept.iter().flatten().map(|entry| entry.count_bytes() + 1).sum();
    let len = size_of::<Carrier>() + 2 * path.len() + kept_len + 64;
    let memory = call::map_anonymous(len.next_multiple_of(PAGE), false)?;
    // SAFETY: page-aligned, zeroed, `len` bytes long, and never unmapped.
    let (place, text) = unsafe {
        let text = memory.add(size_of::<Carrier>());
        (
            &mut *memory.cast::<MaybeUninit<Carrier>>(),
            core::slice::from_raw_parts_mut(text, len - size_of::<Carrier>()),
        )
    };
    let (path, text) = copy(text, &[path])?;
    let (preload, mut text) = copy(text, &[b"LD_PRELOAD=", path.to_bytes()])?;
    let mut copies = [None; exec::KEPT.len()];
    for (to, entry) in copies.iter_mut().zip(kept) {
        if let Some(entry) = entry {
            let (copied, rest) = copy(text, &[entry.to_bytes()])?;
            (*to, text) = (Some(copied), rest);
        }
    }
    Ok(place.write(Carrier { path, preload, kept: copies }))
}

/// Joins `parts` and a zero byte at the front of `memory`; the string, and the rest.
fn copy(memory: &'static mut [u8], parts: &[&[u8]]) -> Result<(&'static CStr, &'static mut [u8])> {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let (text, rest) = memory.split_at_mut_checked(len + 1).ok_or(Errno::E2BIG)?;
    let mut at = 0;
    for part in parts {
        text[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    text[len] = 0;
    let text = CStr::from_bytes_with_nul(text).map_err(|_| Errno::EINVAL)?;
    Ok((text, rest))
}

/// Counts into the file from now on, together with every other process that does.
fn share_stats(path: &CStr) -> Result<()> {
    let path = User::of(path.as_ptr().cast());
    let file = call::openat(Fd::CWD, path, g::O_RDWR | g::O_CLOEXEC | g::O_NOCTTY, 0)?;
    let result = map_stats(file);
    let _ = call::close(file);
    result
}

fn map_stats(file: Fd) -> Result<()> {
    // A shorter file would answer a count with SIGBUS. Never shortens it: others count there.
    // SAFETY: moves the file position, which is ours.
    let end = unsafe { call::raw(g::__NR_lseek, [file.raw() as usize, 0, 2, 0, 0, 0]) }?;
    if end < SHARED_LEN {
        call::ftruncate(file, SHARED_LEN as i64)?;
    }
    let protection = g::PROT_READ | g::PROT_WRITE;
    // SAFETY: no address is asked for; the mapping is page-aligned, holds zeroes or counters, and
    // is never unmapped.
    unsafe {
        let place = call::mmap(0, SHARED_LEN, protection, g::MAP_SHARED, file, 0)?;
        stats::share(place as *mut Stats);
    }
    Ok(())
}
