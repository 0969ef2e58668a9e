//! Groups of buffers, one operation at a time. A ring of buffers does the same without operations:
//! [`Register::buffer_ring`](crate::Register::buffer_ring).

use super::{address, alone, operation};

operation! {
    /// Adds buffers to a group (Linux 5.7).
    ///
    /// The value is 0 (before Linux 5.18: how many there are).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use sysring::{Ring, op};
    ///
    /// let mut memory = [0; 64];
    /// let file = std::fs::File::open("/proc/self/comm")?;
    /// let mut ring = Ring::new(8)?;
    /// // SAFETY: the memory stays until the buffers are used, and the ring is gone.
    /// unsafe {
    ///     ring.push(op::ProvideBuffers::new(memory.as_mut_ptr(), 16, 4, 3, 100).build().link())?;
    ///     ring.push(op::Read::new(&file, std::ptr::null_mut(), 16).buffer_group(3))?;
    /// }
    /// ring.submit_and_wait(2)?;
    /// ring.completion().unwrap().result()?;
    /// let read = ring.completion().unwrap();
    /// assert!(read.result()? > 0);
    /// assert!((100..104).contains(&read.buffer_id().unwrap()));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// - `EINVAL`: no buffer, or too long ones; the group is a ring.
    /// - `E2BIG`: more than 65,536 buffers; `EOVERFLOW`: the range is none.
    /// - `EFAULT`: the memory is not the program's.
    ProvideBuffers = PROVIDE_BUFFERS
}

impl ProvideBuffers {
    /// `count` buffers of `len` bytes, one after the other from `at` on, to this group, with ids from
    /// `first` on.
    #[inline]
    pub fn new(at: *mut u8, len: u32, count: u16, group: u16, first: u16) -> ProvideBuffers {
        let mut entry = alone(ProvideBuffers::CODE);
        (entry.addr, entry.len, entry.fd) = (address(at), len, i32::from(count));
        (entry.buf_index, entry.off) = (group, u64::from(first));
        ProvideBuffers(entry)
    }
}

operation! {
    /// Takes buffers out of a group (Linux 5.7).
    ///
    /// The value is how many were taken out.
    ///
    /// # Errors
    /// - `ENOENT`: there is no such group.
    /// - `EINVAL`: none are to be taken out, or the group is a ring.
    RemoveBuffers = REMOVE_BUFFERS
}

impl RemoveBuffers {
    /// Up to `count` of them.
    #[inline]
    pub fn new(count: u16, group: u16) -> RemoveBuffers {
        let mut entry = alone(RemoveBuffers::CODE);
        (entry.fd, entry.buf_index) = (i32::from(count), group);
        RemoveBuffers(entry)
    }
}
