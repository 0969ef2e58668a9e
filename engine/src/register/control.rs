//! Calls that concern the ring as a whole.

use core::sync::atomic::Ordering::Relaxed;

use sysring_sys::abi::io_uring::setup;
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Result, User, call};

use super::no_argument;
use crate::ring::{Locked, Ring};
use crate::user;

pub fn enable_rings(ring: &Ring, arg: User<u8>, nr_args: u32) -> Result<usize> {
    no_argument(arg, nr_args)?;
    if !ring.disabled().load(Relaxed) {
        return Err(Errno::EBADFD);
    }
    if ring.shape.has(setup::SINGLE_ISSUER) {
        let me = call::gettid() as u32;
        let _ = ring.submitter().compare_exchange(0, me, Relaxed, Relaxed);
    }
    ring.lock_as_submitter().restrict_as_registered();
    ring.disabled().store(false, Relaxed);
    if ring.shape.has(setup::SQPOLL) {
        crate::sqpoll::wake(ring);
    }
    Ok(0)
}

/// Remembers the limits and answers the old ones; one pool serves all rings of the process.
pub fn max_workers(ring: &mut Locked<'_>, arg: User<u8>, nr_args: u32) -> Result<usize> {
    if arg.is_null() || nr_args != 2 {
        return Err(Errno::EINVAL);
    }
    let given = user::read(arg.cast::<[u32; 2]>())?;
    let processes = call::soft_limit(g::RLIMIT_NPROC).min(i32::MAX as u64) as u32;
    if ring.max_workers == [0, 0] {
        // The kernel's, as long as nobody says otherwise.
        let bounded = ring.ring.shape.sq_entries.min(4 * call::cpu_count());
        ring.max_workers = [bounded, processes];
    }
    let old = ring.max_workers;
    for (limit, &new) in ring.max_workers.iter_mut().zip(&given) {
        if new != 0 {
            *limit = new.min(processes);
        }
    }
    user::write(arg.cast(), &old).map(|()| 0)
}
