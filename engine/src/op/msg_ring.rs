//! MSG_RING: a CQE for another ring.

use sysring_sys::abi::io_uring::{
    MSG_DATA, MSG_RING_CQE_SKIP, MSG_RING_FLAGS_PASS, MSG_SEND_FD, Sqe,
};
use sysring_sys::raw::general::O_PATH;
use sysring_sys::{Errno, Fd, Result, call};

use crate::descriptors;
use crate::issue::Issued;
use crate::locked::Locked;
use crate::request::Req;
use crate::ring::Ring;

pub fn prepare(_: &mut Locked<'_>, req: Req) -> Result<()> {
    check(&req.sqe)
}

/// What holds for every message.
pub fn check(sqe: &Sqe) -> Result<()> {
    let unknown = sqe.op_flags & !(MSG_RING_CQE_SKIP | MSG_RING_FLAGS_PASS);
    let wrong = sqe.buf_index != 0 || sqe.personality != 0 || unknown != 0;
    if wrong { Err(Errno::EINVAL) } else { Ok(()) }
}

pub fn issue(ring: &mut Locked<'_>, req: Req) -> Issued {
    let Some(target) = descriptors::get(req.file.fd) else {
        return Issued::Done(no_ring(req.file.fd).to_res());
    };
    // The command has 32 bits; the kernel looks at no others.
    let answer = match u64::from(req.sqe.addr as u32) {
        MSG_DATA => send_data(ring, req, target.ring()).map(|()| 0),
        MSG_SEND_FD => send_file(ring, req, target.ring()),
        _ => Err(Errno::EINVAL),
    };
    match answer {
        Ok(res) => Issued::Done(res),
        Err(e) => Issued::Done(e.to_res()),
    }
}

/// Why there is no ring behind a descriptor: it is not open, or only as a path, or of something
/// else.
pub fn no_ring(fd: Fd) -> Errno {
    match call::file_flags(fd) {
        Ok(flags) if flags & O_PATH != 0 => Errno::EBADF,
        Ok(_) => Errno::EBADFD,
        Err(e) => e,
    }
}

fn send_data(ring: &mut Locked<'_>, req: Req, target: &Ring) -> Result<()> {
    check_data(&req.sqe, target)?;
    on(ring, target, |target| {
        target.post(req.sqe.off, req.sqe.len as i32, data_flags(&req.sqe));
        Ok(())
    })
}

/// What holds for a message that is a CQE.
pub fn check_data(sqe: &Sqe, target: &Ring) -> Result<()> {
    if sqe.op_flags & MSG_RING_CQE_SKIP != 0
        || sqe.addr3 as u32 != 0
        || (sqe.file_index != 0 && sqe.op_flags & MSG_RING_FLAGS_PASS == 0)
    {
        return Err(Errno::EINVAL);
    }
    if target.is_disabled() { Err(Errno::EBADFD) } else { Ok(()) }
}

/// The flags of that CQE.
pub fn data_flags(sqe: &Sqe) -> u32 {
    if sqe.op_flags & MSG_RING_FLAGS_PASS != 0 { sqe.file_index } else { 0 }
}

/// Passes a registered file on: `addr3` is its slot here, `file_index` the one there. Both rings are
/// told which slot was found for it.
fn send_file(ring: &mut Locked<'_>, req: Req, target: &Ring) -> Result<i32> {
    if req.sqe.len != 0 || core::ptr::eq(ring.ring, target) {
        return Err(Errno::EINVAL);
    }
    if target.disabled().load(core::sync::atomic::Ordering::Relaxed) {
        return Err(Errno::EBADFD);
    }
    let file = ring.files.get(req.sqe.addr3 as u32)?;
    let copy = call::dup_from(file, descriptors::FLOOR)?;
    on(ring, target, |target| {
        let slot = target.install_file(req.sqe.file_index, copy)?;
        let alloc = req.sqe.file_index == sysring_sys::abi::io_uring::FILE_INDEX_ALLOC;
        let res = if alloc { slot as i32 } else { 0 };
        if req.sqe.op_flags & MSG_RING_CQE_SKIP == 0 {
            target.post(req.sqe.off, res, 0);
        }
        Ok(res)
    })
}

/// Runs `act` on the target with its lock held: ours may be the same, and two rings may send to
/// each other at once, so ours is let go of while the other's is taken.
fn on<T>(
    ring: &mut Locked<'_>,
    target: &Ring,
    act: impl FnOnce(&mut Locked<'_>) -> Result<T>,
) -> Result<T> {
    if core::ptr::eq(ring.ring, target) {
        return act(ring);
    }
    loop {
        if let Some(mut locked) = target.try_lock_as_guest() {
            return act(&mut locked);
        }
        // Whoever holds it is at work, not asleep: locks are never held over a wait.
        call::sched_yield();
        ring.breathe();
    }
}
