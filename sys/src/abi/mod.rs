//! The kernel's data structures, with their layout asserted.

pub mod aio;
pub mod io_uring;
pub mod signal;

pub use linux_raw_sys::general::__kernel_timespec as Timespec;
pub use linux_raw_sys::general::{epoll_event as EpollEvent, iovec as Iovec, pollfd as PollFd};
pub use linux_raw_sys::net::msghdr as Msghdr;

const _: () = assert!(size_of::<Timespec>() == 16);
const _: () = assert!(size_of::<Iovec>() == 16);
const _: () = assert!(size_of::<Msghdr>() == 56);

/// Nanoseconds in a second.
pub const NSEC_PER_SEC: i64 = 1_000_000_000;
