//! Cancelling, and waiting until it is done.

use core::time::Duration;

use sysring_sys::Errno;
use sysring_sys::abi::io_uring::{SyncCancelReg, cancel as flag, register};

use super::Register;
use crate::op::Target;

/// What [`Register::cancel`] cancels, and how long it waits.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct SyncCancel(SyncCancelReg);

impl SyncCancel {
    const fn criteria(flags: u32) -> SyncCancel {
        SyncCancel(SyncCancelReg {
            addr: 0,
            fd: -1,
            flags,
            timeout_sec: -1,
            timeout_nsec: -1,
            opcode: 0,
            pad: [0; 7],
            pad2: [0; 3],
        })
    }

    /// One that was submitted with this user data.
    pub const fn user_data(user_data: u64) -> SyncCancel {
        let mut cancel = SyncCancel::criteria(0);
        cancel.0.addr = user_data;
        cancel
    }

    /// One on this file.
    pub fn target(target: impl Target) -> SyncCancel {
        let (fd, fixed) = target.place();
        let mut cancel = SyncCancel::criteria(flag::FD);
        cancel.0.fd = fd;
        if fixed != 0 {
            cancel.0.flags |= flag::FD_FIXED;
        }
        cancel
    }

    /// One of this operation (Linux 6.6).
    pub const fn operation(code: u8) -> SyncCancel {
        let mut cancel = SyncCancel::criteria(flag::OP);
        cancel.0.opcode = code;
        cancel
    }

    /// All that there are.
    pub const fn any() -> SyncCancel {
        SyncCancel::criteria(flag::ANY)
    }

    /// Not one, but all of them.
    pub const fn all(mut self) -> SyncCancel {
        self.0.flags |= flag::ALL;
        self
    }

    /// Waits for so long at most; without it, until they have ended.
    pub fn timeout(mut self, span: Duration) -> SyncCancel {
        self.0.timeout_sec = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
        self.0.timeout_nsec = i64::from(span.subsec_nanos());
        self
    }
}

/// Cancelling.
impl Register<'_> {
    /// Cancels operations, and waits until those that are being done have ended
    /// (`IORING_REGISTER_SYNC_CANCEL`, Linux 6.0). Their completions come as ever. How many were
    /// found, if [all](SyncCancel::all) are meant; else 0.
    ///
    /// # Errors
    /// - `ENOENT`: there is none such.
    /// - `ETIME`: they go on.
    /// - `EINTR`: a signal came.
    /// - `EBADF`: the file is not open.
    pub fn cancel(&self, what: &SyncCancel) -> Result<u32, Errno> {
        let mut argument = what.0;
        self.one(register::SYNC_CANCEL, &mut argument, 1)
    }
}
