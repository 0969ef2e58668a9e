//! Opening: `RESOLVE_CACHED`, which finds a path that needs no disk.
//!
//! It says nothing of what is behind the path: a FIFO is opened when its other end is, which is
//! waited for where the call is made.

use sysring_sys::call::{self, OpenHow, RESOLVE_CACHED};
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, User};

use super::{Attempt, Call};
use crate::op::open::forgiving;
use crate::user;

const HOW_SIZE: usize = size_of::<OpenHow>();
/// What cannot be done without asking the disk, or might not.
const CHANGES: u64 = (g::O_CREAT | g::O_TRUNC | g::__O_TMPFILE) as u64;

pub fn openat(call: &Call, _: bool) -> Attempt {
    let [dir, path, flags, mode, ..] = call.args;
    old(call, Fd::new(dir as i32), path, flags, mode)
}

#[cfg(target_arch = "x86_64")]
pub fn open(call: &Call, _: bool) -> Attempt {
    let [path, flags, mode, ..] = call.args;
    old(call, Fd::CWD, path, flags, mode)
}

fn old(call: &Call, dir: Fd, path: usize, flags: usize, mode: usize) -> Attempt {
    let given = OpenHow { flags: flags as u32 as u64, mode: mode as u32 as u64, resolve: 0 };
    if given.flags & CHANGES != 0 {
        return Attempt::Done(call.answer());
    }
    cached(call, dir, path, forgiving(given))
}

pub fn openat2(call: &Call, _: bool) -> Attempt {
    let [dir, path, how, size, ..] = call.args;
    if size != HOW_SIZE {
        return Attempt::Done(call.answer());
    }
    match user::read::<OpenHow>(User::new(how as u64)) {
        Ok(how) if how.flags & CHANGES == 0 && how.resolve & RESOLVE_CACHED == 0 => {
            cached(call, Fd::new(dir as i32), path, how)
        }
        _ => Attempt::Done(call.answer()),
    }
}

/// Whether an attempt says by itself whether the path was cached.
pub fn asks_cache(call: &Call) -> bool {
    let [_, _, third, size, ..] = call.args;
    let how = match call.nr {
        g::__NR_openat => OpenHow { flags: third as u32 as u64, ..OpenHow::default() },
        _ if size != HOW_SIZE => return false,
        _ => match user::read::<OpenHow>(User::new(third as u64)) {
            Ok(how) => how,
            Err(_) => return false,
        },
    };
    how.flags & CHANGES == 0 && how.resolve & RESOLVE_CACHED == 0 && knows_cached()
}

/// Whether the kernel, and who filters its calls, knows the question (Linux 5.12).
fn knows_cached() -> bool {
    let flags = u64::from(g::O_PATH | g::O_CLOEXEC);
    let how = OpenHow { flags, resolve: RESOLVE_CACHED, ..OpenHow::default() };
    let path = User::of(c"/".as_ptr().cast::<u8>());
    match call::openat2(Fd::CWD, path, User::of(&raw const how), HOW_SIZE) {
        Ok(fd) => call::close(fd).is_ok(),
        Err(e) => e == Errno::EAGAIN,
    }
}

fn cached(call: &Call, dir: Fd, path: usize, how: OpenHow) -> Attempt {
    let how = OpenHow { resolve: how.resolve | RESOLVE_CACHED, ..how };
    match call::openat2(dir, User::new(path as u64), User::of(&raw const how), HOW_SIZE) {
        Err(Errno::EAGAIN) => Attempt::WORKER,
        // Not known here, or refused, or of no use: as it was asked for.
        Err(Errno::ENOSYS | Errno::EPERM | Errno::EINVAL) => Attempt::Done(call.answer()),
        answer => Attempt::of(answer.map(|fd| fd.raw() as usize)),
    }
}
