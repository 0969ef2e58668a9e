//! Memory of a request's own. The submitter may reuse what an SQE points to once `submit` has
//! returned: what is needed later is copied before.

use core::ptr::NonNull;

use sysring_sys::Result;

use crate::memory;

/// Memory copied for a request: iovecs, headers, addresses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Copied {
    start: Option<NonNull<u8>>,
    len: usize,
}

impl Copied {
    /// Makes room for `len` bytes; what was copied before is gone.
    pub fn reserve(&mut self, len: usize) -> Result<NonNull<u8>> {
        self.free();
        let start = memory::allocate(len)?;
        *self = Copied { start: Some(start), len };
        Ok(start)
    }

    /// The address, if anything was copied.
    #[must_use]
    pub fn start(&self) -> Option<NonNull<u8>> {
        self.start
    }

    /// Whether an address is in it, or its end.
    #[must_use]
    pub fn holds(&self, address: usize) -> bool {
        self.start.is_some_and(|start| {
            let start = start.as_ptr() as usize;
            (start..=start + self.len).contains(&address)
        })
    }

    #[inline(always)]
    pub fn free(&mut self) {
        if let Some(start) = self.start.take() {
            // SAFETY: allocated with this length by `reserve`; nothing else keeps the address.
            unsafe { memory::release(start, self.len) };
        }
    }
}
