//! Calls that make, move or close a descriptor of the engine's.
//!
//! The filter lets through what cannot concern it (descriptors below the floor); the engine says
//! of the rest whether the call is its business, and what is not is made as it stands.

use sysring_engine::descriptors;
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, call};

use crate::process;

/// Serves the call if the engine has a say in it; `None`: make it as it stands.
pub fn serve(nr: u32, a: [usize; 6]) -> Option<Result<usize>> {
    // A child of `vfork` has its own descriptors but its parent's memory: what it closes before
    // it executes another program must not be noted there.
    if process::is_borrowed() {
        return None;
    }
    // A child of `fork` may come here first: what it closes is not its parent's.
    sysring_engine::process::enter_again();
    let fd = Fd::new(a[0] as i32);
    match nr {
        g::__NR_mmap => {
            let file = Fd::new(a[4] as i32);
            descriptors::mmap(file, a[0], a[1], a[2] as u32, a[3] as u32, a[5] as u64)
        }
        g::__NR_close => descriptors::close(fd).map(done),
        g::__NR_close_range => {
            descriptors::close_range(a[0] as u32, a[1] as u32, a[2] as u32).map(done)
        }
        g::__NR_unshare => Some(unshare(nr, a)),
        g::__NR_dup => descriptors::dup(fd, Fd::new(0), false).map(number),
        g::__NR_fcntl => {
            let cloexec = a[1] as u32 == g::F_DUPFD_CLOEXEC;
            descriptors::dup(fd, Fd::new(a[2] as i32), cloexec).map(number)
        }
        #[cfg(target_arch = "x86_64")]
        g::__NR_dup2 if a[0] as i32 != a[1] as i32 => {
            descriptors::dup_onto(fd, Fd::new(a[1] as i32), 0).map(number)
        }
        g::__NR_dup3 => descriptors::dup_onto(fd, Fd::new(a[1] as i32), a[2] as u32).map(number),
        g::__NR_epoll_ctl => {
            let watched = Fd::new(a[2] as i32);
            if descriptors::is_internal(watched) {
                return Some(Err(Errno::EBADF));
            }
            if descriptors::is_ring(watched) {
                descriptors::watched(watched);
            }
            None
        }
        _ => None,
    }
}

/// With the table of descriptors.
fn unshare(nr: u32, a: [usize; 6]) -> Result<usize> {
    // SAFETY: the application's own call, through the gate.
    let unshared = unsafe { call::raw(nr, a) }?;
    descriptors::unshared();
    Ok(unshared)
}

fn done(result: Result<()>) -> Result<usize> {
    result.map(|()| 0)
}

fn number(result: Result<Fd>) -> Result<usize> {
    result.map(|fd| fd.raw() as usize)
}
