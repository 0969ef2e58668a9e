//! Asking what operations there are.

use core::ffi::c_int;
use core::ptr;

use sysring_sys::abi::io_uring::{Probe, ProbeOp, register};
use sysring_sys::{User, call};

use crate::door::fold;
use crate::queue::{free, io_uring_queue_exit, io_uring_queue_init};
use crate::ring::IoUring;

/// Room for more operations than a byte can number.
const OPERATIONS: usize = 256;
const SIZE: usize = size_of::<Probe>() + OPERATIONS * size_of::<ProbeOp>();

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_register_probe(ring: &IoUring, probe: User<Probe>, count: u32) -> c_int {
    fold(ring.register(register::PROBE, probe.cast(), count))
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_get_probe_ring(ring: &IoUring) -> *mut Probe {
    let Ok(probe) = call::map_anonymous(SIZE, false) else {
        return ptr::null_mut();
    };
    if io_uring_register_probe(ring, User::of(probe.cast()), OPERATIONS as u32) < 0 {
        free(probe, SIZE);
        return ptr::null_mut();
    }
    probe.cast()
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_get_probe() -> *mut Probe {
    let mut ring = IoUring::blank();
    // SAFETY: a structure of ours to fill.
    if unsafe { io_uring_queue_init(2, &mut ring, 0) } < 0 {
        return ptr::null_mut();
    }
    let probe = io_uring_get_probe_ring(&ring);
    io_uring_queue_exit(&mut ring);
    probe
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_free_probe(probe: *mut Probe) {
    free(probe.cast(), SIZE);
}
