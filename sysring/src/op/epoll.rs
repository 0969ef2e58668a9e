//! Epoll sets.

use sysring_sys::abi::EpollEvent;

use super::{Descriptor, Target, address, at, on, operation};

operation! {
    /// Adds a file to an epoll set, changes or removes it, as `epoll_ctl(2)` (Linux 5.6).
    ///
    /// The value is 0.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::os::fd::{FromRawFd, OwnedFd};
    /// use sysring::{Ring, op};
    ///
    /// let (here, _there) = std::os::unix::net::UnixStream::pair()?;
    /// // SAFETY: the number is a new descriptor's, or none.
    /// let set = unsafe { OwnedFd::from_raw_fd(libc::epoll_create1(libc::EPOLL_CLOEXEC)) };
    /// let event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 7 };
    /// let mut ring = Ring::new(8)?;
    /// // SAFETY: the event stays until it was submitted.
    /// unsafe {
    ///     let operation = libc::EPOLL_CTL_ADD as u32;
    ///     ring.push(op::EpollCtl::new(&set, operation, &here, (&raw const event).cast()))?;
    /// }
    /// ring.submit_and_wait(1)?;
    /// assert_eq!(ring.completion().unwrap().result()?, 0);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// - `EBADF`: one of the two is not open.
    /// - `EEXIST`: it is in the set already; `ENOENT`: it is not.
    /// - `EINVAL`: not an epoll set, or itself; `ELOOP`: sets that watch each other.
    /// - `EPERM`: the file cannot be polled; `ENOSPC`: too many are.
    /// - `EFAULT`: the event is not in the program's memory.
    EpollCtl = EPOLL_CTL
}

impl EpollCtl {
    /// `EPOLL_CTL_*` of this file, with the event at `event`.
    #[inline]
    pub fn new(
        set: impl Descriptor,
        operation: u32,
        file: impl Descriptor,
        event: *const EpollEvent,
    ) -> EpollCtl {
        let mut entry = at(EpollCtl::CODE, set);
        (entry.len, entry.addr) = (operation, address(event));
        entry.off = u64::from(file.number() as u32);
        EpollCtl(entry)
    }
}

operation! {
    /// Waits for events of an epoll set, as `epoll_wait(2)` (Linux 6.15).
    ///
    /// The value is how many there are.
    ///
    /// # Errors
    /// - `EBADF`: not open; `EINVAL`: not an epoll set, or no room.
    /// - `EFAULT`: the room is not the program's memory.
    EpollWait = EPOLL_WAIT
}

impl EpollWait {
    /// Up to `most` events into the array at `events`.
    #[inline]
    pub fn new(target: impl Target, events: *mut EpollEvent, most: u32) -> EpollWait {
        let mut entry = on(EpollWait::CODE, target);
        (entry.addr, entry.len) = (address(events), most);
        EpollWait(entry)
    }
}
