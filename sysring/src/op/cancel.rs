//! Cancelling.

use sysring_sys::abi::io_uring::cancel as flag;

use super::{Target, alone, on, operation};

operation! {
    /// Cancels operations that were submitted (Linux 5.5). Those end with `ECANCELED`, or with
    /// `EINTR` where a worker was at them.
    ///
    /// The value is 0, or how many were cancelled where [`all`](AsyncCancel::all) or
    /// [`any`](AsyncCancel::any) are meant.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::os::unix::net::UnixStream;
    /// use sysring::{Errno, Ring, op};
    ///
    /// let (_here, there) = UnixStream::pair()?;
    /// let mut buffer = [0; 8];
    /// let mut ring = Ring::new(8)?;
    /// // SAFETY: the buffer stays, and is left alone, until the completion.
    /// unsafe {
    ///     ring.push(op::Recv::new(&there, buffer.as_mut_ptr(), 8).build().user_data(7))?;
    ///     ring.push(op::AsyncCancel::new(7).build().user_data(8))?;
    /// }
    /// ring.submit_and_wait(2)?;
    /// for completion in ring.completions() {
    ///     match completion.user_data() {
    ///         7 => assert_eq!(completion.result(), Err(Errno::ECANCELED)),
    ///         _ => assert_eq!(completion.result(), Ok(0)),
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// - `ENOENT`: there is none such.
    /// - `EALREADY`: it is being done, and may end as if nothing were.
    /// - `EINVAL`: criteria that exclude each other, or are not known.
    AsyncCancel = ASYNC_CANCEL
}

impl AsyncCancel {
    /// One that was submitted with this user data.
    #[inline]
    pub fn new(user_data: u64) -> AsyncCancel {
        let mut entry = alone(AsyncCancel::CODE);
        entry.addr = user_data;
        AsyncCancel(entry)
    }

    /// One on this file (Linux 5.19).
    #[inline]
    pub fn target(target: impl Target) -> AsyncCancel {
        let mut entry = on(AsyncCancel::CODE, target);
        // The file is a criterion here, not what the operation works on.
        entry.op_flags = flag::FD;
        if entry.flags != 0 {
            entry.op_flags |= flag::FD_FIXED;
            entry.flags = 0;
        }
        AsyncCancel(entry)
    }

    /// One of this operation: `op::Read::CODE` (Linux 6.6).
    #[inline]
    pub fn operation(code: u8) -> AsyncCancel {
        let mut entry = alone(AsyncCancel::CODE);
        entry.op_flags = flag::OP;
        entry.len = u32::from(code);
        AsyncCancel(entry)
    }

    /// All that there are (Linux 5.19).
    #[inline]
    pub fn any() -> AsyncCancel {
        let mut entry = alone(AsyncCancel::CODE);
        entry.op_flags = flag::ANY;
        AsyncCancel(entry)
    }

    /// And with this user data (Linux 6.6).
    #[inline]
    pub fn and_user_data(mut self, user_data: u64) -> AsyncCancel {
        self.0.op_flags |= flag::USERDATA;
        self.0.addr = user_data;
        self
    }

    /// Not one, but all of them (Linux 5.19).
    #[inline]
    pub fn all(mut self) -> AsyncCancel {
        self.0.op_flags |= flag::ALL;
        self
    }
}
