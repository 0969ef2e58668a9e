//! Reads and writes: `RWF_NOWAIT`, or readiness where a file does not know it.

use sysring_sys::abi::{IOV_MAX, Iovec};
use sysring_sys::call::{self, Offset, RwFlags, Vector};
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, User};

use super::socket::{RECEIVE_LIMIT, SEND_LIMIT};
use super::{Attempt, Call, READABLE, Then, WRITABLE, direct, is_nonblocking, would_block};
use crate::op::MAX_RW_COUNT;
use crate::op::transfer::Direction::{self, Read as In, Write as Out};
use crate::op::transfer::PIPE_BUF;
use crate::{nowait, user};

/// What reads of cached data stop at, where the rest is not cached.
const BLOCK: i64 = 512;

/// What a call asks for, in the form of the call that has flags.
struct Transfer<'a> {
    /// As it was given.
    plain: &'a Call,
    direction: Direction,
    vector: Vector,
    at: Offset,
    flags: u32,
    /// Bytes, where that is known without a look at the vector.
    len: Option<usize>,
}

pub fn read(call: &Call, _: bool) -> Attempt {
    flat(call, In, Offset::CURRENT)
}

pub fn write(call: &Call, _: bool) -> Attempt {
    flat(call, Out, Offset::CURRENT)
}

pub fn pread(call: &Call, _: bool) -> Attempt {
    match offset(call) {
        Some(at) => flat(call, In, at),
        None => Attempt::Done(call.answer()),
    }
}

pub fn pwrite(call: &Call, _: bool) -> Attempt {
    match offset(call) {
        Some(at) => flat(call, Out, at),
        None => Attempt::Done(call.answer()),
    }
}

pub fn readv(call: &Call, _: bool) -> Attempt {
    vectored(call, In, Offset::CURRENT, 0)
}

pub fn writev(call: &Call, _: bool) -> Attempt {
    vectored(call, Out, Offset::CURRENT, 0)
}

pub fn preadv(call: &Call, _: bool) -> Attempt {
    match offset(call) {
        Some(at) => vectored(call, In, at, 0),
        None => Attempt::Done(call.answer()),
    }
}

pub fn pwritev(call: &Call, _: bool) -> Attempt {
    match offset(call) {
        Some(at) => vectored(call, Out, at, 0),
        None => Attempt::Done(call.answer()),
    }
}

pub fn preadv2(call: &Call, _: bool) -> Attempt {
    vectored(call, In, Offset(call.args[3] as i64), call.args[5] as u32)
}

pub fn pwritev2(call: &Call, _: bool) -> Attempt {
    vectored(call, Out, Offset(call.args[3] as i64), call.args[5] as u32)
}

/// The offset, unless it is one that is refused: to the calls with flags -1 means the file's own.
fn offset(call: &Call) -> Option<Offset> {
    let at = call.args[3] as i64;
    (at >= 0).then_some(Offset(at))
}

fn flat(call: &Call, direction: Direction, at: Offset) -> Attempt {
    let [_, address, len, ..] = call.args;
    let one = Iovec { iov_base: address as *mut _, iov_len: len as _ };
    let vector = Vector { address: User::of(&raw const one), count: 1 };
    let len = Some(len.min(MAX_RW_COUNT));
    Transfer { plain: call, direction, vector, at, flags: 0, len }.attempt()
}

fn vectored(call: &Call, direction: Direction, at: Offset, flags: u32) -> Attempt {
    let [_, address, count, ..] = call.args;
    let vector = Vector { address: User::new(address as u64), count };
    let given = RwFlags(flags);
    let transfer = Transfer { plain: call, direction, vector, at, flags, len: None };
    if given.and(RwFlags::NOWAIT) != given {
        return transfer.attempt();
    }
    transfer.direct().unwrap_or_else(|| Attempt::Done(call.answer()))
}

impl Transfer<'_> {
    #[inline(always)]
    fn attempt(&self) -> Attempt {
        let fd = self.plain.fd(0);
        if let Some(attempt) = self.direct() {
            return attempt;
        }
        if !nowait::is_honoured() {
            return self.by_readiness();
        }
        let flags = RwFlags(self.flags).and(RwFlags::NOWAIT);
        let answer = direct::watch(fd, || match self.direction {
            // SAFETY: the buffers are the application's, which asked for it.
            In => unsafe { call::preadv2(fd, self.vector, self.at, flags) },
            Out => call::pwritev2(fd, self.vector, self.at, flags),
        });
        match answer {
            Ok(n) if n == 0 || self.len == Some(n) => Attempt::Done(n as isize),
            Ok(n) => self.short(n),
            Err(Errno::EAGAIN) => self.blocked(),
            // The file, the kernel, or a filter does not know the flag.
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EPERM) => self.by_readiness(),
            Err(e) => Attempt::failed(e),
        }
    }

    /// The way of a direct file, if it is one.
    #[inline(always)]
    fn direct(&self) -> Option<Attempt> {
        if direct::is(self.plain.fd(0)) { self.past_the_cache() } else { None }
    }

    /// Past the page cache there is a device to be waited for. AIO does not know the file's own
    /// position; and of a flag that it refuses it does not say that it was this one.
    #[inline(never)]
    fn past_the_cache(&self) -> Option<Attempt> {
        let empty = self.len == Some(0);
        let by_aio = self.at != Offset::CURRENT && self.flags & !RwFlags::KNOWN.0 == 0;
        if by_aio && !empty {
            return Some(Attempt::AIO);
        }
        // The number may have become a stream's, in which a worker would wait for ever.
        if !direct::look(self.plain.fd(0)) {
            return None;
        }
        Some(if empty { Attempt::Done(self.plain.answer()) } else { Attempt::WORKER })
    }

    fn blocked(&self) -> Attempt {
        let (events, limit) = match self.direction {
            In => (READABLE, RECEIVE_LIMIT),
            Out => (WRITABLE, SEND_LIMIT),
        };
        would_block(self.plain.fd(0), events, limit)
    }

    /// Fewer bytes than there may be: all there are, or all that could be had without waiting.
    fn short(&self, n: usize) -> Attempt {
        let fd = self.plain.fd(0);
        let whole = match self.len {
            Some(len) => n >= len,
            None => total(self.vector).is_ok_and(|len| n >= len),
        };
        let rest_follows = !whole
            && match self.direction {
                In => !self.is_all_there_is(fd, n),
                Out => !is_nonblocking(fd) || call::is_file_or_disk(fd),
            };
        match (rest_follows, self.direction) {
            (false, _) => Attempt::Done(n as isize),
            (true, In) => Attempt::Blocked { moved: n, then: Then::Worker },
            (true, Out) => Attempt::Blocked { moved: n, then: Then::Ready(WRITABLE) },
        }
    }

    /// Whether a short read would have been as short had it waited. Of a stream it would. Of a file
    /// it would at its end, and what is cached ends with a block.
    fn is_all_there_is(&self, fd: Fd, n: usize) -> bool {
        let end = match self.at {
            Offset::CURRENT => position(fd),
            Offset(at) => Ok(at.saturating_add(n as i64)),
        };
        end.map_or(true, |end| end % BLOCK != 0 || call::file_size(fd).is_ok_and(|len| end >= len))
    }

    /// Asks whether it would block, and makes the plain call if not.
    #[cold]
    fn by_readiness(&self) -> Attempt {
        let fd = self.plain.fd(0);
        let plain = || Attempt::Done(self.plain.answer());
        if is_nonblocking(fd) {
            return plain();
        }
        let events = if self.direction == In { READABLE } else { WRITABLE };
        match call::poll_now(fd, events as u16) {
            Ok(0) => self.blocked(),
            Ok(_) if self.direction == Out && self.is_long() && position(fd).is_err() => {
                Attempt::SLEEPER
            }
            _ => plain(),
        }
    }

    fn is_long(&self) -> bool {
        self.len.unwrap_or_else(|| total(self.vector).unwrap_or(0)) > PIPE_BUF
    }
}

/// Where a file is; an error of what has no position.
fn position(fd: Fd) -> Result<i64> {
    call::lseek(fd, 0, g::SEEK_CUR)
}

/// The bytes of a vector.
///
/// # Errors
/// `EFAULT`; `EINVAL` of more members than there can be.
pub fn total(vector: Vector) -> Result<usize> {
    const SOME: usize = 16;
    if vector.count > IOV_MAX {
        return Err(Errno::EINVAL);
    }
    let mut total = 0usize;
    for first in (0..vector.count).step_by(SOME) {
        let mut some = [const { Iovec { iov_base: core::ptr::null_mut(), iov_len: 0 } }; SOME];
        let some = &mut some[..SOME.min(vector.count - first)];
        user::read_slice(some, vector.address.add(first))?;
        for member in some {
            total = total.saturating_add(member.iov_len as usize);
        }
    }
    Ok(total.min(MAX_RW_COUNT))
}
