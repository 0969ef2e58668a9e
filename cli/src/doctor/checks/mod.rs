//! The questions, and what each answer means.

mod answer;
mod calls;
mod limits;
mod opens;
mod place;
mod reads;
mod way;

use std::io;

use super::{Findings, Status};
use crate::kernel;

/// Looks at everything.
pub fn all() -> io::Result<Findings> {
    let io_uring = way::io_uring()?;
    let seccomp = way::seccomp()?;
    let descriptors = limits::descriptors();
    let engine = match (io_uring.status, seccomp.status, descriptors.status) {
        (Status::Yes, ..) => "kernel",
        (_, Status::Yes, Status::Limited | Status::Info) => "user",
        _ => "none",
    };
    let mut checks = vec![
        place::system(),
        place::surroundings(),
        io_uring,
        seccomp,
        way::no_new_privs(),
        reads::aio()?,
        reads::rwf_nowait()?,
        opens::openat2()?,
        opens::resolve_cached()?,
        calls::process_vm_readv()?,
        calls::epoll_pwait2()?,
        calls::futex_waitv()?,
        descriptors,
        limits::threads(),
    ];
    if kernel::is_gvisor() {
        // What it lacks is not for its user to change.
        for check in checks.iter_mut().filter(|check| check.status == Status::No) {
            check.advice = check.advice.take().filter(|_| check.name == "io_uring");
        }
    }
    Ok(Findings { version: env!("CARGO_PKG_VERSION"), engine, checks })
}
