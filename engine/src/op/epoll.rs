//! EPOLL_CTL and EPOLL_WAIT.

use sysring_sys::{Errno, Fd, Result, User, call};

use super::must_be_zero;
use crate::descriptors;
use crate::issue::Issued;
use crate::locked::Locked;
use crate::request::{Req, flag};
use crate::user;

pub fn prepare(_: &mut Locked<'_>, mut req: Req) -> Result<()> {
    must_be_zero!(req, buf_index, file_index);
    const DEL: u32 = call::EpollOp::Del as u32;
    if req.sqe.len != DEL {
        // Read now, as the kernel does: 12 packed bytes on x86-64, 16 elsewhere.
        let event = user::read(User::<sysring_sys::abi::EpollEvent>::new(req.sqe.addr))?;
        let start = req.copied.reserve(size_of_val(&event))?;
        // SAFETY: the block is large enough and nobody else's.
        unsafe { start.as_ptr().cast::<sysring_sys::abi::EpollEvent>().write_unaligned(event) };
    }
    Ok(())
}

pub fn issue(_: &mut Locked<'_>, req: Req) -> Issued {
    let target = Fd::new(req.sqe.off as u32 as i32);
    descriptors::watched_by_operation(target);
    let event = req.copied.start().map_or(User::NULL, |start| User::of(start.as_ptr()));
    Issued::of(call::epoll_ctl_raw(Fd::new(req.sqe.fd), req.sqe.len, target, event.cast()))
}

pub fn prepare_wait(_: &mut Locked<'_>, req: Req) -> Result<()> {
    must_be_zero!(req, off, op_flags, buf_index, file_index);
    Ok(())
}

pub fn issue_wait(ring: &mut Locked<'_>, req: Req) -> Issued {
    ring.readiness.polls = true;
    let events = User::new(req.sqe.addr);
    // SAFETY: the array is the application's, which asked for it.
    match unsafe { call::epoll_take_raw(req.file.fd, events, req.sqe.len as i32) } {
        Ok(0) if req.has(flag::LEFT_OPEN) => Issued::Done(Errno::EAGAIN.to_res()),
        Ok(0) => Issued::Wait(sysring_sys::raw::general::EPOLLIN),
        answer => Issued::of(answer),
    }
}
