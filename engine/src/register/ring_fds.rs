//! Registered rings: small numbers in place of descriptors.
//!
//! The kernel keeps a table for each task; here it is the process's, and indexes that the engine
//! chooses differ between threads.

use core::ptr;
use core::sync::atomic::AtomicPtr;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use sysring_sys::abi::io_uring::RsrcUpdate;
use sysring_sys::{Errno, Fd, Result, User};

use crate::descriptors::{self, Visit};
use crate::ring::Ring;
use crate::user;

/// The kernel has 16 a task.
const SLOTS: usize = 1024;
const A_TASKS: u32 = 16;

type Slot = AtomicPtr<Ring>;

static RINGS: [Slot; SLOTS] = [const { AtomicPtr::new(ptr::null_mut()) }; SLOTS];

/// The ring with this index.
///
/// # Errors
/// `EINVAL`: no such index. `EBADF`: nothing there.
pub fn get(index: u32) -> Result<Visit> {
    let slot = RINGS.get(index as usize).ok_or(Errno::EINVAL)?;
    // A task of the kernel's has indexes up to 16 only.
    visit_to(slot).ok_or(if index < A_TASKS { Errno::EBADF } else { Errno::EINVAL })
}

/// A slot's ring, for who is in a call with it.
fn visit_to(slot: &Slot) -> Option<Visit> {
    loop {
        // Acquire pairs with the Release in `claim`: the ring's words are there.
        let ring = slot.load(Acquire);
        if ring.is_null() {
            return None;
        }
        // SAFETY: rings are never unmapped; a visit touches nothing but `refs` while that is 0.
        let visit = Visit::of(unsafe { &*ring });
        // Still this one, now that it cannot go away? Relaxed: only compared, after the visit's Acquire.
        if slot.load(Relaxed) == ring {
            return visit;
        }
    }
}

/// `REGISTER_RING_FDS`; how many were registered.
pub fn register(arg: User<u8>, count: u32) -> Result<usize> {
    let arg = arg.cast::<RsrcUpdate>();
    if count == 0 || count > A_TASKS {
        return Err(Errno::EINVAL);
    }
    for i in 0..count {
        if let Err(e) = register_one(arg.add(i as usize)) {
            return if i == 0 { Err(e) } else { Ok(i as usize) };
        }
    }
    Ok(count as usize)
}

fn register_one(at: User<RsrcUpdate>) -> Result<()> {
    let mut given = user::read(at)?;
    if given.resv != 0 {
        return Err(Errno::EINVAL);
    }
    if given.offset != u32::MAX && given.offset >= A_TASKS {
        return Err(Errno::EINVAL);
    }
    let fd = Fd::new(given.data as u32 as i32);
    let Some(held) = descriptors::get(fd) else {
        let open = sysring_sys::call::fcntl(fd, sysring_sys::raw::general::F_GETFD, 0);
        return open.and(Err(Errno::EOPNOTSUPP));
    };
    // The index names the ring as a descriptor does, and outlives it: counted before anybody can
    // find it there and free it.
    if !descriptors::add_handle_if_open(held.ring()) {
        return Err(Errno::EBADF);
    }
    given.offset = claim_wanted(held.ring(), given.offset)
        .inspect_err(|_| descriptors::drop_handle(held.ring()))?;
    user::write(at, &given).inspect_err(|_| empty(given.offset))
}

/// The index that was asked for, or with `u32::MAX` any.
fn claim_wanted(ring: &Ring, index: u32) -> Result<u32> {
    if index == u32::MAX {
        return claim_any(ring).ok_or(Errno::EBUSY);
    }
    let slot = RINGS.get(index as usize).ok_or(Errno::EINVAL)?;
    match claim(slot, ptr::from_ref(ring).cast_mut()) {
        true => Ok(index),
        false => Err(Errno::EBUSY),
    }
}

/// A free index, from now on this ring's.
pub fn claim_any(ring: &Ring) -> Option<u32> {
    let ring = ptr::from_ref(ring).cast_mut();
    (0..SLOTS).find(|&i| claim(&RINGS[i], ring)).map(|i| i as u32)
}

/// Frees an index whose ring never came to be.
pub fn disclaim(index: u32) {
    // Relaxed: null tells of nothing.
    RINGS[index as usize].store(ptr::null_mut(), Relaxed);
}

fn claim(slot: &Slot, ring: *mut Ring) -> bool {
    // Release pairs with the Acquire in `visit_to`: the ring's words are there.
    slot.compare_exchange(ptr::null_mut(), ring, Release, Relaxed).is_ok()
}

/// Frees an index; its ring has one name less.
pub fn empty(index: u32) {
    // Acquire pairs with the Release in `claim`; null tells of nothing.
    let ring = RINGS[index as usize].swap(ptr::null_mut(), Acquire);
    if !ring.is_null() {
        // SAFETY: rings are never unmapped.
        descriptors::drop_handle(unsafe { &*ring });
    }
}

/// `UNREGISTER_RING_FDS`; how many entries were looked at.
pub fn unregister(arg: User<u8>, count: u32) -> Result<usize> {
    let arg = arg.cast::<RsrcUpdate>();
    if count == 0 || count > A_TASKS {
        return Err(Errno::EINVAL);
    }
    for i in 0..count {
        let given = user::read(arg.add(i as usize))?;
        if given.resv != 0 || given.data != 0 || given.offset as usize >= SLOTS {
            return Err(Errno::EINVAL);
        }
        empty(given.offset);
    }
    Ok(count as usize)
}

/// In a child of `fork`: the kernel's table is a task's, and the child's is empty.
pub fn after_fork() {
    for slot in &RINGS {
        // Relaxed: this is the only thread.
        if !slot.load(Relaxed).is_null() {
            slot.store(ptr::null_mut(), Relaxed);
        }
    }
}
