//! The hook of `mmap(2)`: a ring's memory, at the kernel's magic offsets.
//!
//! An epoll instance cannot be mapped, so what is mapped in its place is the ring's memory, once
//! more.

use sysring_sys::abi::io_uring::{
    OFF_CQ_RING, OFF_MMAP_MASK, OFF_PARAM_REGION, OFF_PBUF_RING, OFF_PBUF_SHIFT, OFF_SQ_RING,
    OFF_SQES, setup,
};
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, call};

use super::hold::get;
use crate::locked::Locked;
use crate::memory;
use crate::region::Region;
use crate::ring::Ring;

/// `mmap(2)` of `fd`: `None` if it is no ring, and the call is the application's own business.
#[must_use]
pub fn mmap(
    fd: Fd,
    address: usize,
    len: usize,
    protection: u32,
    flags: u32,
    offset: u64,
) -> Option<Result<usize>> {
    let held = get(fd)?;
    Some(map_region(held.ring(), address, len, protection, flags, offset))
}

fn map_region(
    ring: &Ring,
    address: usize,
    len: usize,
    protection: u32,
    flags: u32,
    offset: u64,
) -> Result<usize> {
    // Locked until it is mapped: what is there may be exchanged.
    let mut locked = ring.lock();
    let region = region_at(&mut locked, offset)?;
    let len = memory::pages(len);
    if len == 0 || len > region.size() {
        return Err(Errno::EINVAL);
    }
    let fixed = flags & (g::MAP_FIXED | g::MAP_FIXED_NOREPLACE) != 0;
    let at = region.map_again(len, fixed.then_some(address))?;
    if protection != g::PROT_READ | g::PROT_WRITE {
        // SAFETY: the new mapping, which is the application's.
        unsafe { call::mprotect(at, len, protection) }?;
    }
    Ok(at)
}

/// What a ring has at an offset; what the application has lent it cannot map.
fn region_at<'a>(locked: &'a mut Locked<'_>, offset: u64) -> Result<&'a Region> {
    let lent = locked.ring.shape().has(setup::NO_MMAP);
    let state = &mut **locked;
    let queues = state.queues.as_ref().filter(|_| !lent);
    match offset & OFF_MMAP_MASK {
        OFF_SQ_RING | OFF_CQ_RING => queues.map(|queues| &queues.rings),
        OFF_SQES => queues.map(|queues| &queues.sqes),
        OFF_PARAM_REGION => state.params.as_ref().and_then(|params| params.mappable()),
        OFF_PBUF_RING => {
            let group = (offset & !OFF_MMAP_MASK) >> OFF_PBUF_SHIFT;
            Some(state.groups.mapping(group as u16).ok_or(Errno::EINVAL)?)
        }
        _ => None,
    }
    .ok_or(Errno::ENOMEM)
}
