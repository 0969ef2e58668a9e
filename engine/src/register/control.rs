//! Calls that concern the ring as a whole.

use core::sync::atomic::Ordering::Relaxed;

use sysring_sys::abi::io_uring::{ClockRegister, setup};
use sysring_sys::{Errno, Result, User, call};

use super::no_argument;
use crate::ring::Ring;
use crate::user;

pub fn enable_rings(ring: &Ring, arg: User<u8>, nr_args: u32) -> Result<usize> {
    no_argument(arg, nr_args)?;
    if !ring.disabled().load(Relaxed) {
        return Err(Errno::EBADFD);
    }
    if ring.shape().has(setup::SINGLE_ISSUER) {
        let me = call::gettid() as u32;
        let _ = ring.submitter().compare_exchange(0, me, Relaxed, Relaxed);
    }
    ring.lock_as_submitter().restrict_as_registered();
    ring.disabled().store(false, Relaxed);
    if ring.shape().has(setup::SQPOLL) {
        crate::sqpoll::wake(ring);
    }
    Ok(0)
}

/// The clock that times waits.
pub fn clock(ring: &Ring, arg: User<u8>, nr_args: u32) -> Result<usize> {
    if arg.is_null() || nr_args != 0 {
        return Err(Errno::EINVAL);
    }
    let given = user::read(arg.cast::<ClockRegister>())?;
    let known = [call::CLOCK_MONOTONIC, call::CLOCK_BOOTTIME];
    if !known.contains(&given.clockid) || given.resv != [0; 3] {
        return Err(Errno::EINVAL);
    }
    ring.clock.store(given.clockid, Relaxed);
    Ok(0)
}
