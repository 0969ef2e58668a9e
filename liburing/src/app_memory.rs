//! Rings in memory that is not the kernel's (`IORING_SETUP_NO_MMAP`): the program's, or our own.

use sysring_sys::abi::io_uring::Params;
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, call};

use crate::queue::free;
use crate::ring::{IoUring, own};
use crate::size::{Sizes, page_size};

/// Memory of the program's.
#[derive(Clone, Copy)]
pub struct Given {
    pub at: *mut u8,
    pub len: usize,
}

impl Given {
    /// Null: the program gives none.
    pub fn at(at: *mut u8, len: usize) -> Option<Given> {
        if at.is_null() { None } else { Some(Given { at, len }) }
    }
}

/// Memory for a ring.
pub struct Memory {
    pub sqes: *mut u8,
    pub queues: *mut u8,
    /// What to give back.
    sqes_len: usize,
    queues_len: usize,
    /// How much a ring takes, of the program's memory or our own.
    pub used: usize,
    is_given: bool,
}

/// Finds memory for a ring: in what the program gives, or new.
pub fn provide(entries: u32, params: &Params, given: Option<Given>) -> Result<Memory> {
    let sizes = Sizes::of(entries, params)?;
    let used = sizes.sqes + sizes.queues;
    if let Some(given) = given {
        if used > given.len {
            return Err(Errno::ENOMEM);
        }
        let queues = given.at.wrapping_add(sizes.sqes);
        return Ok(Memory {
            sqes: given.at,
            queues,
            sqes_len: 0,
            queues_len: 0,
            used,
            is_given: true,
        });
    }
    let (sqes, sqes_len) = allocate(sizes.sqes)?;
    let (queues, queues_len) = if used <= sqes_len {
        (sqes.wrapping_add(sizes.sqes), 0)
    } else {
        allocate(sizes.queues).inspect_err(|_| free(sqes, sqes_len))?
    };
    Ok(Memory { sqes, queues, sqes_len, queues_len, used, is_given: false })
}

const HUGE: usize = 2 << 20;

/// Memory in one piece, as kernels before 6.10 need it: a page, or a huge one.
fn allocate(len: usize) -> Result<(*mut u8, usize)> {
    let shared = g::MAP_SHARED | g::MAP_ANONYMOUS;
    let (len, flags) = if len <= page_size() {
        (len, shared)
    } else if len <= HUGE {
        (HUGE, shared | g::MAP_HUGETLB | g::MAP_HUGE_2MB)
    } else {
        return Err(Errno::ENOMEM);
    };
    // SAFETY: no address is asked for, so nothing is replaced.
    let at = unsafe { call::mmap(0, len, g::PROT_READ | g::PROT_WRITE, flags, Fd::NONE, 0) }?;
    Ok((at as *mut u8, len))
}

impl Memory {
    pub fn free(self) {
        free(self.sqes, self.sqes_len);
        free(self.queues, self.queues_len);
    }

    /// Notes in the ring what is to be given back with it.
    pub fn describe(&self, ring: &mut IoUring) {
        ring.sq.sqes_size = self.sqes_len as u32;
        ring.sq.size = self.queues_len;
        if self.is_given {
            ring.set_own(own::APP_MEMORY);
        }
    }
}
