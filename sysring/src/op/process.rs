//! Children.

use super::{address, alone, operation};

/// What [`WaitId`] fills (`siginfo_t`).
pub use sysring_sys::raw::general::siginfo_t as SigInfo;

operation! {
    /// Waits for a child to end, stop or go on, as `waitid(2)` (Linux 6.7).
    ///
    /// The value is 0.
    ///
    /// # Errors
    /// - `ECHILD`: there is no such child.
    /// - `EINVAL`: options that are not known, or none.
    /// - `EFAULT`: the room for what is told is not the program's memory.
    /// - `EBADF`: the pidfd is not open.
    WaitId = WAITID
}

impl WaitId {
    /// The children of this kind and id (`P_PID`, `P_PGID`, `P_ALL`, `P_PIDFD`), with `WEXITED` and
    /// its kin.
    #[inline]
    pub fn new(kind: u32, id: i32, options: u32) -> WaitId {
        let mut entry = alone(WaitId::CODE);
        (entry.fd, entry.len, entry.file_index) = (id, kind, options);
        WaitId(entry)
    }

    /// Where to tell what has become of it.
    #[inline]
    pub fn info(mut self, info: *mut SigInfo) -> WaitId {
        self.0.off = address(info);
        self
    }
}
