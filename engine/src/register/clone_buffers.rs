//! Registered buffers of one ring for another.

use core::ops::Range;

use sysring_sys::abi::io_uring::{CloneBuffers, clone_buffers as flags};
use sysring_sys::{Errno, Result, User};

use crate::enter::{check_issuer, ring_of};
use crate::ring::Ring;
use crate::rsrc::{self, BufferTable};
use crate::user;

pub fn clone_buffers(ring: &Ring, arg: User<u8>, nr_args: u32) -> Result<usize> {
    if arg.is_null() || nr_args != 1 {
        return Err(Errno::EINVAL);
    }
    let given = user::read(arg.cast::<CloneBuffers>())?;
    if given.flags & !(flags::SRC_REGISTERED | flags::DST_REPLACE) != 0 {
        return Err(Errno::EINVAL);
    }
    let replaces = given.flags & flags::DST_REPLACE != 0;
    let taken = ring.lock_as_submitter().buffers.slots_count();
    if taken != 0 && !replaces {
        return Err(Errno::EBUSY);
    }
    if given.pad != [0; 3] {
        return Err(Errno::EINVAL);
    }
    let source = ring_of(given.src_fd, given.flags & flags::SRC_REGISTERED != 0)?;
    if !core::ptr::eq(source.ring(), ring) {
        check_issuer(source.ring())?;
    }
    if given.nr == 0 && (given.dst_off != 0 || given.src_off != 0) {
        return Err(Errno::EINVAL);
    }
    // One ring at a time: no two threads wait for each other.
    let (mut table, range) = copy(source.ring(), &given, taken)?;
    let taken = rsrc::take_over(&mut ring.lock_as_submitter(), &mut table, &range, replaces);
    // The ring's old table, or the new one that it does not want.
    table.clear();
    taken.map(|()| 0)
}

/// The buffers asked for, and where, in a table as long as the target's is to be at least.
fn copy(source: &Ring, given: &CloneBuffers, taken: u32) -> Result<(BufferTable, Range<u32>)> {
    let locked = source.lock();
    let there = locked.buffers.slots_count();
    if there == 0 {
        return Err(Errno::ENXIO);
    }
    let count = if given.nr == 0 { there } else { given.nr };
    if count > there {
        return Err(Errno::EINVAL);
    }
    let end = count.checked_add(given.src_off).ok_or(Errno::EOVERFLOW)?;
    if end > there {
        return Err(Errno::EOVERFLOW);
    }
    let len = count.checked_add(given.dst_off).ok_or(Errno::EOVERFLOW)?;
    let mut table = BufferTable::NONE;
    table.create(len.max(taken))?;
    table.copy_from(&locked.buffers, given.src_off, given.dst_off, count);
    Ok((table, given.dst_off..len))
}
