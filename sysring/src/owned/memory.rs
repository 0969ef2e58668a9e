//! Memory for buffers that the kernel knows by number.

use std::ptr::NonNull;

use sysring_sys::call;

use sysring_sys::Result;

/// Anonymous pages, zeroed, unmapped when this is dropped.
pub(super) struct Pages {
    at: NonNull<u8>,
    len: usize,
}

// SAFETY: an address and a length; what lies there is reached as their owner says.
unsafe impl Send for Pages {}
// SAFETY: an address and a length, as said for `Send`.
unsafe impl Sync for Pages {}

impl Pages {
    /// # Errors
    /// `ENOMEM`.
    pub fn new(len: usize) -> Result<Pages> {
        let at = call::map_anonymous(len, false)?;
        let at = NonNull::new(at).expect("no mapping lies at zero");
        Ok(Pages { at, len })
    }

    /// The byte at an offset.
    ///
    /// # Panics
    /// If that lies outside.
    pub fn at(&self, offset: usize) -> NonNull<u8> {
        assert!(offset <= self.len, "byte {offset} of {}", self.len);
        // SAFETY: within the mapping.
        unsafe { self.at.add(offset) }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: a mapping of ours, which nobody uses any more.
        let _ = unsafe { call::munmap(self.at.as_ptr() as usize, self.len) };
    }
}
