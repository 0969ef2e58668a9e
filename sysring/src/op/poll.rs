//! Waiting for readiness.

use sysring_sys::abi::io_uring::poll as flag;

use super::{Target, alone, on, operation};

/// The kernel has the two halves of the mask swapped where words begin with their high end.
#[inline(always)]
const fn mask(events: u32) -> u32 {
    if cfg!(target_endian = "big") { events.rotate_left(16) } else { events }
}

operation! {
    /// Waits until a file is ready, as `poll(2)` (Linux 5.1).
    ///
    /// The value is what it is ready for: the events, `POLLERR` and `POLLHUP`.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::io::Write;
    /// use std::os::unix::net::UnixStream;
    /// use sysring::{Ring, op};
    ///
    /// const POLLIN: u32 = 1;
    /// let (mut here, there) = UnixStream::pair()?;
    /// let mut ring = Ring::new(8)?;
    /// // SAFETY: the socket is open until it is done.
    /// unsafe { ring.push(op::PollAdd::new(&there, POLLIN))? };
    /// ring.submit()?;
    /// assert!(ring.completion().is_none());
    /// here.write_all(b"ping")?;
    /// ring.submit_and_wait(1)?;
    /// assert_eq!(ring.completion().unwrap().result()?, POLLIN);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// - `EBADF`: not open.
    /// - `EINVAL`: `EPOLLEXCLUSIVE` together with [`multishot`](PollAdd::multishot).
    /// - `ECANCELED`: it was removed.
    PollAdd = POLL_ADD
}

impl PollAdd {
    /// Until one of these events (`POLLIN`, …; also `EPOLLEXCLUSIVE`, Linux 5.9).
    #[inline]
    pub fn new(target: impl Target, events: u32) -> PollAdd {
        let mut entry = on(PollAdd::CODE, target);
        entry.op_flags = mask(events);
        PollAdd(entry)
    }

    /// A completion each time that it becomes ready, until it is removed, or one comes without
    /// [`more`](crate::Cqe::more) (Linux 5.13).
    #[inline]
    pub fn multishot(mut self) -> PollAdd {
        self.0.len |= flag::ADD_MULTI;
        self
    }

    /// With [`multishot`](PollAdd::multishot): a completion as long as it is ready, not only when it
    /// becomes so (Linux 5.18).
    #[inline]
    pub fn level(mut self) -> PollAdd {
        self.0.len |= flag::ADD_LEVEL;
        self
    }
}

operation! {
    /// Removes a [`PollAdd`], or changes it (Linux 5.1; changing 5.13).
    ///
    /// The value is 0; a poll that was removed ends with `ECANCELED`.
    ///
    /// # Errors
    /// - `ENOENT`: there is none with this user data.
    /// - `EALREADY`: it is about to complete.
    /// - `EINVAL`: [`multishot`](PollRemove::multishot) without [`events`](PollRemove::events).
    PollRemove = POLL_REMOVE
}

impl PollRemove {
    /// The poll that was submitted with this user data.
    #[inline]
    pub fn new(user_data: u64) -> PollRemove {
        let mut entry = alone(PollRemove::CODE);
        entry.addr = user_data;
        PollRemove(entry)
    }

    /// It stays, and waits for these events instead (Linux 5.13).
    #[inline]
    pub fn events(mut self, events: u32) -> PollRemove {
        self.0.len |= flag::UPDATE_EVENTS;
        self.0.op_flags = mask(events);
        self
    }

    /// It stays, and from then on has this user data (Linux 5.13).
    #[inline]
    pub fn new_user_data(mut self, user_data: u64) -> PollRemove {
        self.0.len |= flag::UPDATE_USER_DATA;
        self.0.off = user_data;
        self
    }

    /// With [`events`](PollRemove::events): it is a [multishot](PollAdd::multishot) one from then on.
    #[inline]
    pub fn multishot(mut self) -> PollRemove {
        self.0.len |= flag::ADD_MULTI;
        self
    }
}
