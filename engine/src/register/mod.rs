//! `io_uring_register(2)`.

mod bpf_filter;
mod clone_buffers;
mod control;
mod eventfd;
pub(crate) mod mem_region;
mod msg_ring;
pub(crate) mod napi;
mod pbuf_ring;
mod personality;
mod probe;
mod query;
mod resize;
mod resources;
mod restrictions;
pub(crate) mod ring_fds;
mod sync_cancel;
pub mod table;
mod workers;

use core::sync::atomic::Ordering::Relaxed;

use sysring_sys::abi::io_uring::register;
use sysring_sys::{Errno, Result, User};

use crate::enter::{check_issuer, ring_of};
use crate::process;
pub use restrictions::begin;
use table::Run;

/// The descriptor of calls that concern no ring (`-1`).
const NO_RING: u32 = u32::MAX;

/// `io_uring_register(2)`.
///
/// # Errors
/// As the kernel's: `EBADF`, `EOPNOTSUPP` (no ring), `EEXIST` (not the issuer), `EINVAL` (unknown
/// operation or argument), `EFAULT`, and each operation's own.
pub fn register(fd: u32, opcode: u32, arg: User<u8>, nr_args: u32) -> Result<usize> {
    process::enter()?;
    let registered = opcode & register::USE_REGISTERED_RING != 0;
    let opcode = opcode & !register::USE_REGISTERED_RING;
    if opcode as usize >= register::COUNT {
        return Err(Errno::EINVAL);
    }
    if fd == NO_RING {
        let alone = table::row(opcode).and_then(|row| row.alone).ok_or(Errno::EINVAL)?;
        return alone(arg, nr_args);
    }
    let visit = ring_of(fd, registered)?;
    let ring = visit.ring();
    if ring.submitter().load(Relaxed) != 0 {
        check_issuer(ring)?;
    }
    if !ring.allows_call(opcode) {
        return Err(Errno::EACCES);
    }
    match table::row(opcode).ok_or(Errno::EINVAL)?.run {
        Run::Process(run) => run(arg, nr_args),
        Run::Ring(run) => run(ring, arg, nr_args),
        Run::Locked(run) => run(&mut ring.lock_as_submitter(), arg, nr_args),
    }
}

/// In a child of `fork`.
pub fn after_fork() {
    ring_fds::after_fork();
    restrictions::after_fork();
}

/// The count of an array that must be there.
fn required(arg: User<u8>, nr_args: u32) -> Result<u32> {
    if arg.is_null() { Err(Errno::EFAULT) } else { Ok(nr_args) }
}

fn no_argument(arg: User<u8>, nr_args: u32) -> Result<()> {
    if arg.is_null() && nr_args == 0 { Ok(()) } else { Err(Errno::EINVAL) }
}
