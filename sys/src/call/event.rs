//! Readiness: poll, epoll, eventfd.

use super::io::Buffer;
use super::sys;
use crate::abi::signal::{SIGSET_SIZE, SigSet};
use crate::abi::{EpollEvent, PollFd, Timespec};
use crate::{Errno, Fd, Result, User};

/// `epoll_ctl` operations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
#[allow(missing_docs)]
pub enum EpollOp {
    Add = 1,
    Del = 2,
    Mod = 3,
}

/// `epoll_create1(2)`, close-on-exec.
pub fn epoll_create() -> Result<Fd> {
    // SAFETY: numbers.
    unsafe { sys!(__NR_epoll_create1, linux_raw_sys::general::EPOLL_CLOEXEC as usize) }
        .map(|n| Fd::new(n as i32))
}

/// `epoll_ctl(2)` with an event of ours.
pub fn epoll_ctl(epfd: Fd, op: EpollOp, fd: Fd, events: u32, data: u64) -> Result<()> {
    let event = EpollEvent { events, data };
    epoll_ctl_raw(epfd, op as u32, fd, User::of(&event))
}

/// `epoll_ctl(2)` as the application gave it.
pub fn epoll_ctl_raw(epfd: Fd, op: u32, fd: Fd, event: User<EpollEvent>) -> Result<()> {
    // SAFETY: the kernel checks the address, and only reads there.
    unsafe { sys!(__NR_epoll_ctl, epfd.arg(), op as usize, fd.arg(), event.arg()) }.map(drop)
}

/// `epoll_pwait2(2)`, Linux 5.11: waits at most `timeout` (`None`: for ever) with `mask` in place
/// of the thread's signal mask (`None`: as it is).
pub fn epoll_pwait2(
    epfd: Fd,
    events: &mut [EpollEvent],
    timeout: Option<&Timespec>,
    mask: Option<&SigSet>,
) -> Result<usize> {
    let timeout = timeout.map_or(0, |t| core::ptr::from_ref(t) as usize);
    let mask = mask.map_or(0, |m| core::ptr::from_ref(m) as usize);
    // SAFETY: `events` is writable for its length; timeout and mask are null or live references.
    unsafe {
        sys!(
            __NR_epoll_pwait2,
            epfd.arg(),
            events.as_mut_ptr() as usize,
            events.len(),
            timeout,
            mask,
            SIGSET_SIZE
        )
    }
}

/// `epoll_pwait(2)` that takes what is ready and does not wait.
pub fn epoll_take(epfd: Fd, events: &mut [EpollEvent]) -> Result<usize> {
    // SAFETY: `events` is writable for its length.
    unsafe {
        sys!(__NR_epoll_pwait, epfd.arg(), events.as_mut_ptr() as usize, events.len(), 0, 0, 0)
    }
}

/// The same into the application's memory.
///
/// # Safety
/// What is written to is memory of the caller's alone, or the application's, which asked for it.
pub unsafe fn epoll_take_raw(epfd: Fd, events: User<EpollEvent>, most: i32) -> Result<usize> {
    // SAFETY: the kernel checks the address; the caller vouches for what is written to.
    unsafe { sys!(__NR_epoll_pwait, epfd.arg(), events.arg(), most as usize, 0, 0, 0) }
}

/// `ppoll(2)`; the kernel may write the time left into `timeout`.
pub fn ppoll(
    fds: &mut [PollFd],
    timeout: Option<&mut Timespec>,
    mask: Option<&SigSet>,
) -> Result<usize> {
    let timeout = timeout.map_or(0, |t| core::ptr::from_mut(t) as usize);
    let mask = mask.map_or(0, |m| core::ptr::from_ref(m) as usize);
    // SAFETY: `fds` is writable for its length; timeout and mask are null or live references.
    unsafe { sys!(__NR_ppoll, fds.as_mut_ptr() as usize, fds.len(), timeout, mask, SIGSET_SIZE) }
}

/// What `poll` says of one descriptor at this moment: never waits. (A signal interrupts it only where
/// nothing is ready.)
pub fn poll_now(fd: Fd, events: u16) -> Result<u16> {
    let mut fds = [PollFd { fd: fd.raw(), events: events as i16, revents: 0 }];
    let mut now = Timespec { tv_sec: 0, tv_nsec: 0 };
    match ppoll(&mut fds, Some(&mut now), None) {
        Err(Errno::EINTR) => Ok(0),
        answer => answer.map(|_| fds[0].revents as u16),
    }
}

/// `eventfd2(2)`, close-on-exec and non-blocking.
pub fn eventfd(count: u32) -> Result<Fd> {
    let flags = linux_raw_sys::general::EFD_CLOEXEC | linux_raw_sys::general::EFD_NONBLOCK;
    // SAFETY: numbers.
    unsafe { sys!(__NR_eventfd2, count as usize, flags as usize) }.map(|n| Fd::new(n as i32))
}

/// Adds `count` to an eventfd.
pub fn eventfd_add(fd: Fd, count: u64) -> Result<()> {
    super::write(fd, Buffer { address: User::of(&count).cast(), len: 8 }).map(drop)
}

/// Takes an eventfd's count; `None` when it was zero.
pub fn eventfd_take(fd: Fd) -> Result<Option<u64>> {
    let mut count = [0u8; 8];
    match super::read_into(fd, &mut count) {
        Ok(_) => Ok(Some(u64::from_ne_bytes(count))),
        Err(Errno::EAGAIN) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Whether two descriptors of this process name the same open file: `fcntl(2)` tells since Linux
/// 6.10, `kcmp(2)` did before, where it may be called.
///
/// # Errors
/// `EBADF`; `EPERM` and `ENOSYS` where neither is to be had.
pub fn same_file(one: Fd, other: Fd) -> Result<bool> {
    match super::fcntl(one, super::io::F_DUPFD_QUERY, other.arg()) {
        Err(Errno::EINVAL) => {}
        answer => return answer.map(|same| same == 1),
    }
    const KCMP_FILE: usize = 0;
    let me = super::getpid() as usize;
    // SAFETY: no addresses.
    unsafe { sys!(__NR_kcmp, me, me, KCMP_FILE, one.arg(), other.arg()) }.map(|order| order == 0)
}

/// Whether an open file is an eventfd, without disturbing its count.
///
/// # Errors
/// `EBADF`.
pub fn is_eventfd(fd: Fd) -> Result<bool> {
    if super::file_type(fd)? != 0 {
        // It has no type of file. What has one would not all stay as it is: a socket that refuses a
        // write tells those who poll it that there is room again.
        return Ok(false);
    }
    // An eventfd takes eight bytes at a time: a shorter write is refused as invalid, and a null
    // buffer of eight as a bad address. Nothing else answers both so and stays as it is.
    let write = |len| super::write(fd, Buffer { address: User::NULL, len });
    let short = match write(4) {
        // QEMU's user mode looks at the address before anything else, if there are bytes at all.
        Err(Errno::EFAULT) => write(0),
        answer => answer,
    };
    Ok(short == Err(Errno::EINVAL) && write(8) == Err(Errno::EFAULT))
}
