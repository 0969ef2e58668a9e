//! A ring's descriptor, registered so that `enter` need not look it up.

use core::ffi::c_int;

use sysring_sys::abi::io_uring::{RsrcUpdate, feat, register};
use sysring_sys::{Errno, Result, User};

use crate::door::{self, fold};
use crate::ring::{IoUring, own};

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_register_ring_fd(ring: &IoUring) -> c_int {
    fold(register_fd(ring))
}

fn register_fd(ring: &IoUring) -> Result<usize> {
    if ring.is(own::REGISTERED) {
        return Err(Errno::EEXIST);
    }
    let mut entry = RsrcUpdate { offset: !0, data: ring.ring_fd.get() as u64, resv: 0 };
    let entry_at = User::of(&raw mut entry).cast();
    let registered = ring.register(register::RING_FDS, entry_at, 1)?;
    if registered == 1 {
        ring.enter_ring_fd.set(entry.offset as i32);
        ring.set_own(own::REGISTERED);
        if ring.can(feat::REG_REG_RING) {
            ring.set_own(own::REGISTERED_REGISTER);
        }
    }
    Ok(registered)
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_unregister_ring_fd(ring: &IoUring) -> c_int {
    fold(unregister_fd(ring))
}

fn unregister_fd(ring: &IoUring) -> Result<usize> {
    if !ring.is(own::REGISTERED) {
        return Err(Errno::EINVAL);
    }
    let mut entry = RsrcUpdate { offset: ring.enter_ring_fd.get() as u32, ..RsrcUpdate::default() };
    let entry_at = User::of(&raw mut entry).cast();
    let gone = ring.register(register::UNREGISTER_RING_FDS, entry_at, 1)?;
    if gone == 1 {
        ring.enter_ring_fd.set(ring.ring_fd.get());
        ring.clear_own(own::REGISTERED | own::REGISTERED_REGISTER);
    }
    Ok(gone)
}

/// Closes the descriptor: the registered index goes on naming the ring.
#[unsafe(no_mangle)]
pub extern "C" fn io_uring_close_ring_fd(ring: &IoUring) -> c_int {
    fold(close_fd(ring).map(|()| 1))
}

fn close_fd(ring: &IoUring) -> Result<()> {
    if !ring.can(feat::REG_REG_RING) {
        return Err(Errno::EOPNOTSUPP);
    }
    if !ring.is(own::REGISTERED) {
        return Err(Errno::EINVAL);
    }
    if ring.ring_fd.get() == -1 {
        return Err(Errno::EBADF);
    }
    // The index names the ring, whatever became of the number.
    let _ = door::close(ring.engine(), ring.fd());
    ring.ring_fd.set(-1);
    Ok(())
}
