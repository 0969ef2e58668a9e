//! Ring descriptors, and the hooks that keep the engine's picture of them true.
//!
//! A ring descriptor is an epoll instance: pollable, nests in epoll, refuses `read`. All of them,
//! and every descriptor the engine keeps for itself, lie at [`FLOOR`] or above, so that a seccomp
//! filter, which sees numbers only, can pass every other `close`, `dup` and `epoll_ctl` by.

use sysring_sys::{Fd, Result, User};

/// The lowest number the engine gives a descriptor: below `FD_SETSIZE`, above what most programs
/// reach. (Where the limit on open files is lower still, rings lie anywhere, and the engine
/// notices a close late.)
pub const FLOOR: Fd = Fd::new(960);

/// `mmap(2)` of `fd`: `None` if it is no ring, and the call is the application's own business.
#[must_use]
pub fn mmap(
    _fd: Fd,
    _address: usize,
    _len: usize,
    _protection: u32,
    _flags: u32,
    _offset: u64,
) -> Option<Result<usize>> {
    None
}

/// `close(2)`: `None` if the descriptor is not the engine's.
#[must_use]
pub fn close(_fd: Fd) -> Option<Result<()>> {
    None
}

/// `close_range(2)`: the engine's own descriptors survive it, rings are closed properly.
#[must_use]
pub fn close_range(_first: u32, _last: u32, _flags: u32) -> Option<Result<()>> {
    None
}

/// `dup(2)`, `fcntl(F_DUPFD…)`: `at_least` is the lowest number wanted. `None` if `old` is no ring.
#[must_use]
pub fn dup(_old: Fd, _at_least: Fd, _cloexec: bool) -> Option<Result<Fd>> {
    None
}

/// `dup2(2)` and `dup3(2)` (`flags`: `O_CLOEXEC`): `None` if neither descriptor is the engine's.
#[must_use]
pub fn dup_onto(_old: Fd, _new: Fd, _flags: u32) -> Option<Result<Fd>> {
    None
}

/// The application adds `fd` to an epoll instance: a ring that is watched must make progress
/// while nobody is in `enter`. Call before the real `epoll_ctl`.
pub fn watched(_fd: Fd) {}

/// `ioctl`, `fcntl` and others on `fd` would reach a descriptor the application must not see:
/// whether `fd` is one of the engine's own (answer `EBADF`).
#[must_use]
pub fn is_internal(_fd: Fd) -> bool {
    false
}

/// Whether `fd` is a ring of this engine.
#[must_use]
pub fn is_ring(_fd: Fd) -> bool {
    let _: User<u8> = User::NULL;
    false
}
