//! What is checked, and copied, before a transfer is attempted.
//!
//! An SQE and the vector that it names are the application's again when `enter` returns; what is
//! wrong with them is said in the kernel's order.

use sysring_sys::abi::Iovec;
use sysring_sys::call::RwFlags;
use sysring_sys::{Errno, Result, User};

use crate::locked::Locked;
use crate::op::transfer::{copy_entries, copy_vector};
use crate::op::{MAX_RW_COUNT, check_range};
use crate::request::{Req, flag};
use crate::user;

/// What the kernel allocates in one piece. Of these vectors it finds first that there is no room
/// for them, and then that they are too long.
const MOST_ALLOCATED: usize = 4 << 20;

/// READ and WRITE.
pub(crate) fn prepare(_: &mut Locked<'_>, req: Req) -> Result<()> {
    prepare_common(req)?;
    if req.has(flag::BUFFER_SELECT) {
        return Ok(());
    }
    check_range(User::new(req.sqe.addr), (req.sqe.len as usize).min(MAX_RW_COUNT))
}

/// READV and WRITEV: the vector is copied now, as the kernel does it.
pub(crate) fn prepare_vectored(_: &mut Locked<'_>, mut req: Req) -> Result<()> {
    prepare_common(req)?;
    if !req.has(flag::BUFFER_SELECT) {
        return copy_vector(req);
    }
    // A vector of one, whose length is all that counts.
    if req.sqe.len != 1 {
        return Err(Errno::EINVAL);
    }
    let entry = user::read(User::<Iovec>::new(req.sqe.addr))?;
    req.sqe.len = u32::try_from(entry.iov_len).map_err(|_| Errno::EINVAL)?;
    Ok(())
}

/// READ_FIXED and WRITE_FIXED: the buffer is looked up when the request is issued.
pub(crate) fn prepare_fixed(_: &mut Locked<'_>, req: Req) -> Result<()> {
    prepare_common(req)
}

/// READV_FIXED and WRITEV_FIXED: the vector is copied now, and held against the buffer when the
/// request is issued.
pub(crate) fn prepare_vectored_fixed(_: &mut Locked<'_>, mut req: Req) -> Result<()> {
    prepare_common(req)?;
    if req.sqe.len as usize > MOST_ALLOCATED / size_of::<Iovec>() {
        return Err(Errno::ENOMEM);
    }
    copy_entries(&mut req).map(drop)
}

/// READ_MULTISHOT: into buffers of a group, for as long as something comes.
pub(crate) fn prepare_multishot(_: &mut Locked<'_>, mut req: Req) -> Result<()> {
    prepare_common(req)?;
    if !req.has(flag::BUFFER_SELECT) || req.sqe.addr != 0 || req.sqe.len != 0 {
        return Err(Errno::EINVAL);
    }
    req.set(flag::MULTISHOT);
    Ok(())
}

fn prepare_common(mut req: Req) -> Result<()> {
    if req.sqe.ioprio != 0 {
        check_priority(req.sqe.ioprio)?;
    }
    if req.sqe.pad2 != 0 {
        return Err(refuse_attributes(req));
    }
    if req.sqe.op_flags & RwFlags::NOWAIT.0 != 0 {
        req.set(flag::NOWAIT);
    }
    Ok(())
}

/// Attributes (protection information): not advertised, none is known. The kernel reads the one it
/// knows before it finds that it cannot be.
#[cold]
fn refuse_attributes(req: Req) -> Errno {
    const PROTECTION: u64 = 1;
    match req.sqe.pad2 {
        PROTECTION => user::read(User::<[u64; 4]>::new(req.sqe.addr3)).err(),
        _ => None,
    }
    .unwrap_or(Errno::EINVAL)
}

/// The classes and levels of `ioprio_set(2)`; the real-time class needs a capability, which the
/// kernel checks again where the priority is used.
#[cold]
fn check_priority(ioprio: u16) -> Result<()> {
    let (class, level) = (ioprio >> 13, ioprio & 0x7);
    match class {
        0 if level != 0 => Err(Errno::EINVAL),
        0..=3 if level < 8 => Ok(()),
        _ => Err(Errno::EINVAL),
    }
}
