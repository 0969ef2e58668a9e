//! What a ring's words say.

use core::ffi::c_int;
use core::sync::atomic::Ordering::Relaxed;

use sysring_sys::Errno;
use sysring_sys::abi::io_uring::{OP_SUPPORTED, Probe, ProbeOp, cq_flags, sq_flags};

use crate::door::fold;
use crate::ring::IoUring;

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_cq_has_overflow(ring: &IoUring) -> bool {
    ring.sq_flags() & sq_flags::CQ_OVERFLOW != 0
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_cq_eventfd_enabled(ring: &IoUring) -> bool {
    // Before Linux 5.8 there is no such word, and nothing can be disabled.
    ring.cq.flags.0.is_none() || ring.cq.flags.get().load(Relaxed) & cq_flags::EVENTFD_DISABLED == 0
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_cq_eventfd_toggle(ring: &IoUring, enabled: bool) -> c_int {
    if enabled == io_uring_cq_eventfd_enabled(ring) {
        return 0;
    }
    if ring.cq.flags.0.is_none() {
        return fold(Err(Errno::EOPNOTSUPP));
    }
    // This side alone writes the word.
    let flags = ring.cq.flags.get();
    let others = flags.load(Relaxed) & !cq_flags::EVENTFD_DISABLED;
    flags.store(others | if enabled { 0 } else { cq_flags::EVENTFD_DISABLED }, Relaxed);
    0
}

/// Whether a probe says that there is an operation.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_uring_opcode_supported(probe: *const Probe, op: c_int) -> c_int {
    // SAFETY: a probe that was filled has an answer for each operation up to the last.
    unsafe {
        if op < 0 || op > c_int::from((*probe).last_op) {
            return 0;
        }
        let answers = probe.add(1).cast::<ProbeOp>();
        c_int::from((*answers.add(op as usize)).flags & OP_SUPPORTED != 0)
    }
}
