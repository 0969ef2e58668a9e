//! The mappings of a ring.

use core::ptr::NonNull;

use sysring_door::{self as door, Engine};
use sysring_sys::abi::io_uring::{OFF_CQ_RING, OFF_SQ_RING, OFF_SQES, Params, feat};
use sysring_sys::{Errno, Fd, Result, call};

/// A range of shared memory, unmapped when it is dropped.
pub struct Mapping {
    pub at: NonNull<u8>,
    len: usize,
}

impl Mapping {
    pub fn new(engine: Engine, fd: Fd, len: usize, offset: u64) -> Result<Mapping> {
        let at = door::mmap(engine, fd, len, offset)?;
        NonNull::new(at).map(|at| Mapping { at, len }).ok_or(Errno::ENOMEM)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: a mapping of ours, which goes with the ring that used it.
        let _ = unsafe { call::munmap(self.at.as_ptr() as usize, self.len) };
    }
}

/// The memory of a ring's queues and entries.
pub struct Memory {
    sq: Mapping,
    /// None where one mapping has both queues (Linux 5.4 and later).
    cq: Option<Mapping>,
    sqes: Mapping,
}

impl Memory {
    /// Maps a new ring, whose entries have these sizes.
    pub fn map(engine: Engine, fd: Fd, params: &Params, sqe: usize, cqe: usize) -> Result<Memory> {
        let sq_len = params.sq_off.array as usize + params.sq_entries as usize * size_of::<u32>();
        let cq_len = params.cq_off.cqes as usize + params.cq_entries as usize * cqe;
        let one = params.features & feat::SINGLE_MMAP != 0;
        let sq_len = if one { sq_len.max(cq_len) } else { sq_len };
        Ok(Memory {
            sq: Mapping::new(engine, fd, sq_len, OFF_SQ_RING)?,
            cq: if one { None } else { Some(Mapping::new(engine, fd, cq_len, OFF_CQ_RING)?) },
            sqes: Mapping::new(engine, fd, params.sq_entries as usize * sqe, OFF_SQES)?,
        })
    }

    pub fn sq(&self) -> NonNull<u8> {
        self.sq.at
    }

    pub fn cq(&self) -> NonNull<u8> {
        self.cq.as_ref().map_or(self.sq.at, |cq| cq.at)
    }

    pub fn sqes(&self) -> NonNull<u8> {
        self.sqes.at
    }
}

/// Zeroed memory of the program's own, unmapped when it is dropped.
pub struct Private(Mapping);

impl Private {
    /// So many bytes, from the start of a page.
    pub fn new(len: usize) -> Result<Private> {
        let at = call::map_anonymous(len, false)?;
        NonNull::new(at).map(|at| Private(Mapping { at, len })).ok_or(Errno::ENOMEM)
    }

    pub fn at(&self) -> NonNull<u8> {
        self.0.at
    }
}
