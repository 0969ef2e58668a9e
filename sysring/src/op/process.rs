//! Children.

use super::{address, alone, operation};

/// What [`WaitId`] fills (`siginfo_t`).
pub use sysring_sys::raw::general::siginfo_t as SigInfo;

operation! {
    /// Waits for a child to end, stop or go on, as `waitid(2)` (Linux 6.7).
    ///
    /// The value is 0.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use sysring::{Ring, op};
    ///
    /// let child = std::process::Command::new("true").spawn()?;
    /// let mut ring = Ring::new(8)?;
    /// let wait = op::WaitId::new(libc::P_PID, child.id() as i32, libc::WEXITED as u32);
    /// // SAFETY: nothing is told about the child.
    /// unsafe { ring.push(wait)? };
    /// ring.submit_and_wait(1)?;
    /// assert_eq!(ring.completion().unwrap().result()?, 0);
    /// # Ok(()) }
    /// ```
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
