//! `io_uring_register(2)`: the calls that are one call.

use core::ffi::{c_int, c_void};

use sysring_sys::abi::io_uring::{FileIndexRange, feat, register as op};
use sysring_sys::{Errno, Result, User};

use crate::choice::engine;
use crate::door::{self, fold};
use crate::ring::{IoUring, own};

impl IoUring {
    /// `io_uring_register(2)` on this ring.
    #[inline]
    pub fn register(&self, opcode: u32, arg: User<u8>, count: u32) -> Result<usize> {
        let (fd, opcode) = if self.is(own::REGISTERED_REGISTER) {
            (self.enter_ring_fd.get(), opcode | op::USE_REGISTERED_RING)
        } else {
            (self.ring_fd.get(), opcode)
        };
        door::register(self.engine(), fd, opcode, arg, count)
    }
}

/// Functions that hand their argument on, with the count that the call asks for.
macro_rules! handed_on {
    ($($name:ident = $opcode:ident, $count:literal;)*) => {
        $(
            #[unsafe(no_mangle)]
            pub extern "C" fn $name(ring: &IoUring, arg: User<c_void>) -> c_int {
                fold(ring.register(op::$opcode, arg.cast(), $count))
            }
        )*
    };
}

handed_on! {
    io_uring_register_sync_cancel = SYNC_CANCEL, 1;
    io_uring_register_napi = NAPI, 1;
    io_uring_unregister_napi = UNREGISTER_NAPI, 1;
    io_uring_register_clock = CLOCK, 0;
    io_uring_register_ifq = ZCRX_IFQ, 1;
    io_uring_register_zcrx_ctrl = ZCRX_CTRL, 0;
    io_uring_register_region = MEM_REGION, 1;
    io_uring_register_bpf_filter = BPF_FILTER, 1;
    io_uring_register_iowq_max_workers = IOWQ_MAX_WORKERS, 2;
}

/// Functions without an argument.
macro_rules! bare {
    ($($name:ident = $opcode:ident;)*) => {
        $(
            #[unsafe(no_mangle)]
            pub extern "C" fn $name(ring: &IoUring) -> c_int {
                fold(ring.register(op::$opcode, User::NULL, 0))
            }
        )*
    };
}

bare! {
    io_uring_unregister_buffers = UNREGISTER_BUFFERS;
    io_uring_unregister_files = UNREGISTER_FILES;
    io_uring_unregister_eventfd = UNREGISTER_EVENTFD;
    io_uring_unregister_iowq_aff = UNREGISTER_IOWQ_AFF;
    io_uring_register_personality = PERSONALITY;
    io_uring_enable_rings = ENABLE_RINGS;
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_unregister_personality(ring: &IoUring, id: c_int) -> c_int {
    fold(ring.register(op::UNREGISTER_PERSONALITY, User::NULL, id as u32))
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_register_restrictions(
    ring: &IoUring,
    restrictions: User<c_void>,
    count: u32,
) -> c_int {
    fold(ring.register(op::RESTRICTIONS, restrictions.cast(), count))
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_register_eventfd(ring: &IoUring, fd: c_int) -> c_int {
    fold(ring.register(op::EVENTFD, User::of(&fd).cast(), 1))
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_register_eventfd_async(ring: &IoUring, fd: c_int) -> c_int {
    fold(ring.register(op::EVENTFD_ASYNC, User::of(&fd).cast(), 1))
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_register_iowq_aff(
    ring: &IoUring,
    size: usize,
    mask: User<c_void>,
) -> c_int {
    // Sizes that would not stay what they are in the call's 32 bits.
    if size >= 1 << 31 {
        return fold(Err(Errno::EINVAL));
    }
    fold(ring.register(op::IOWQ_AFF, mask.cast(), size as u32))
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_register_file_alloc_range(ring: &IoUring, off: u32, len: u32) -> c_int {
    let range = FileIndexRange { off, len, resv: 0 };
    fold(ring.register(op::FILE_ALLOC_RANGE, User::of(&range).cast(), 0))
}

/// Superseded by regions of memory: the kernels that knew it were never released.
#[unsafe(no_mangle)]
pub extern "C" fn io_uring_register_wait_reg(
    _ring: &IoUring,
    _regions: User<c_void>,
    _count: c_int,
) -> c_int {
    fold(Err(Errno::EINVAL))
}

/// Calls without a ring.
const NO_RING: i32 = -1;

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_register_sync_msg(sqe: User<c_void>) -> c_int {
    fold(door::register(engine(), NO_RING, op::SEND_MSG_RING, sqe.cast(), 1))
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_register_query(query: User<c_void>) -> c_int {
    fold(door::register(engine(), NO_RING, op::QUERY, query.cast(), 0))
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_register_bpf_filter_task(filter: User<c_void>) -> c_int {
    fold(door::register(engine(), NO_RING, op::BPF_FILTER, filter.cast(), 1))
}

/// Whether waiting on this ring is counted as waiting for I/O.
#[unsafe(no_mangle)]
pub extern "C" fn io_uring_set_iowait(ring: &IoUring, enable: bool) -> c_int {
    if !ring.can(feat::NO_IOWAIT) {
        return fold(Err(Errno::EOPNOTSUPP));
    }
    if enable {
        ring.clear_own(own::NO_IOWAIT);
    } else {
        ring.set_own(own::NO_IOWAIT);
    }
    0
}
