//! Giving a ring other queues.

use core::ffi::c_int;

use sysring_sys::abi::io_uring::{Params, register, setup};
use sysring_sys::{Errno, Result, User};

use crate::door::fold_unit;
use crate::ring::IoUring;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_uring_resize_rings(ring: &mut IoUring, params: &mut Params) -> c_int {
    // SAFETY: by the caller's word nobody else uses the ring.
    let resized = unsafe { resize(ring, params) };
    // They came back as the ring's, and could not be given again.
    params.flags = 0;
    fold_unit(resized)
}

unsafe fn resize(ring: &mut IoUring, params: &mut Params) -> Result<()> {
    if ring.has(setup::NO_MMAP) {
        return Err(Errno::EINVAL);
    }
    // What was prepared moves with the ring only if the other side knows of it.
    if !ring.has(setup::SQ_REWIND) {
        ring.publish();
    }
    ring.register(register::RESIZE_RINGS, User::of(&raw mut *params).cast(), 1)?;
    let mut new = IoUring::blank();
    new.flags = ring.flags;
    params.flags = ring.flags;
    new.map(ring.engine(), ring.fd(), params, ring.features)?;
    ring.unmap();
    new.sq.sqe_head.set(ring.sq.sqe_head.get());
    new.sq.sqe_tail.set(ring.sq.sqe_tail.get());
    ring.sq = new.sq;
    ring.cq = new.cq;
    Ok(())
}
