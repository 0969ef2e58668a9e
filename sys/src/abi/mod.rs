//! The kernel's data structures, with their layout asserted.

pub mod aio;
pub mod io_uring;
pub mod signal;

pub use linux_raw_sys::general::__kernel_timespec as Timespec;
pub use linux_raw_sys::general::futex_waitv as FutexWaitv;
pub use linux_raw_sys::general::rlimit64 as Rlimit;
pub use linux_raw_sys::general::{epoll_event as EpollEvent, iovec as Iovec, pollfd as PollFd};

/// `struct msghdr`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
#[allow(missing_docs)]
pub struct Msghdr {
    pub msg_name: *mut u8,
    pub msg_namelen: i32,
    pub _pad1: u32,
    pub msg_iov: *mut Iovec,
    pub msg_iovlen: usize,
    pub msg_control: *mut u8,
    pub msg_controllen: usize,
    pub msg_flags: u32,
    pub _pad2: u32,
}

impl Msghdr {
    /// All null.
    pub const EMPTY: Msghdr = Msghdr {
        msg_name: core::ptr::null_mut(),
        msg_namelen: 0,
        _pad1: 0,
        msg_iov: core::ptr::null_mut(),
        msg_iovlen: 0,
        msg_control: core::ptr::null_mut(),
        msg_controllen: 0,
        msg_flags: 0,
        _pad2: 0,
    };
}

const _: () = assert!(size_of::<Timespec>() == 16);
const _: () = assert!(size_of::<FutexWaitv>() == 24);
const _: () = assert!(size_of::<Iovec>() == 16);
const _: () = assert!(size_of::<Msghdr>() == 56);

/// Nanoseconds in a second.
pub const NSEC_PER_SEC: i64 = 1_000_000_000;
/// Nanoseconds in a millisecond.
pub const NSEC_PER_MSEC: i64 = 1_000_000;

/// The size of the pages that the engine is made for. (Kernels for aarch64 may be built with larger ones.)
pub const PAGE: usize = 4096;

/// The longest path, with its NUL.
pub const PATH_MAX: usize = linux_raw_sys::general::PATH_MAX as usize;

/// The most members of a vector (`UIO_MAXIOV`).
pub const IOV_MAX: usize = 1024;
