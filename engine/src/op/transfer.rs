//! Moving bytes: which way, from where in the file, and to or from which memory.

use core::ptr;

use sysring_sys::abi::aio;
use sysring_sys::abi::io_uring::op;
use sysring_sys::abi::{IOV_MAX, Iovec};
use sysring_sys::call::{Buffer, MSG_DONTWAIT, MSG_EOR, MSG_NOSIGNAL, Offset, RwFlags, Vector};
use sysring_sys::odds::unlikely;
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, User, call};

use super::{MAX_RW_COUNT, check_range, socket};
use crate::hints::hint;
use crate::request::{Req, flag};
use crate::user;

/// What a stream that is writable takes without blocking: not all of a longer write.
pub(crate) const PIPE_BUF: usize = g::PIPE_BUF as usize;

/// Which way the bytes go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

impl Direction {
    #[inline(always)]
    pub(super) fn of(req: Req) -> Direction {
        match req.sqe.opcode {
            op::READ | op::READV | op::READ_FIXED | op::READV_FIXED | op::READ_MULTISHOT => {
                Direction::Read
            }
            _ => Direction::Write,
        }
    }

    pub(crate) fn readiness(self) -> u32 {
        match self {
            Direction::Read => g::EPOLLIN | g::EPOLLRDNORM,
            Direction::Write => g::EPOLLOUT | g::EPOLLWRNORM,
        }
    }

    /// The hint that it cannot be asked not to wait.
    pub(crate) fn waits(self) -> u8 {
        match self {
            Direction::Read => hint::READ_WAITS,
            Direction::Write => hint::WRITE_WAITS,
        }
    }

    /// The hint that it took long.
    pub(super) fn slow(self) -> u8 {
        match self {
            Direction::Read => hint::READ_SLOW,
            Direction::Write => hint::WRITE_SLOW,
        }
    }

    /// What kernel AIO calls it, of a buffer or of a vector.
    pub(crate) fn aio_opcode(self, vectored: bool) -> u16 {
        match (self, vectored) {
            (Direction::Read, false) => aio::IOCB_CMD_PREAD,
            (Direction::Write, false) => aio::IOCB_CMD_PWRITE,
            (Direction::Read, true) => aio::IOCB_CMD_PREADV,
            (Direction::Write, true) => aio::IOCB_CMD_PWRITEV,
        }
    }

    #[inline(always)]
    pub(super) fn transfer(self, fd: Fd, vec: Vector, at: Offset, flags: RwFlags) -> Result<usize> {
        let answer = match self {
            // SAFETY: the buffers are the application's, which asked for it.
            Direction::Read => unsafe { call::preadv2(fd, vec, at, flags) },
            Direction::Write => call::pwritev2(fd, vec, at, flags),
        };
        match answer {
            Err(Errno::ENOSYS) => self.transfer_plainly(fd, vec, at, flags),
            answer => answer,
        }
    }

    /// No bytes at all, of which some files make something: an empty datagram, an error. The calls
    /// that take a vector then ask neither the file nor what the flags are; the kernel does.
    #[cold]
    fn nothing(self, fd: Fd, flags: RwFlags) -> Result<usize> {
        if flags.0 & !RwFlags::KNOWN.0 != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        let none = Buffer { address: User::NULL, len: 0 };
        // One that tells of events, and how many bytes of them there are, is not asked by the kernel
        // either; a plain read would wait for one.
        let tells_of_events = || call::file_type(fd) == Ok(0) && socket::at_hand(fd).is_some();
        match (self, socket::kind(fd)) {
            (Direction::Read, _) if tells_of_events() => Ok(0),
            // SAFETY: there are no bytes to write.
            (Direction::Read, _) => unsafe { call::read(fd, none) },
            (Direction::Write, 0) => Ok(0),
            (Direction::Write, kind) => {
                let ends = if kind == socket::SEQPACKET { MSG_EOR } else { 0 };
                call::sendto(fd, none, ends | of_message(flags), User::NULL, 0)
            }
        }
    }

    /// Where there is no call that takes flags: as if no file knew any.
    #[cold]
    fn transfer_plainly(self, fd: Fd, vec: Vector, at: Offset, flags: RwFlags) -> Result<usize> {
        let plain = |vec| match self {
            // SAFETY: the buffers are the application's, which asked for it.
            Direction::Read => unsafe { call::preadv(fd, vec, at) },
            Direction::Write => call::pwritev(fd, vec, at),
        };
        if flags == RwFlags::NONE {
            return plain(vec);
        }
        // What is wrong with the file or the offset comes first. QEMU's user mode, which has no such
        // call, does not look at the file if there is no entry at all.
        let empty = Iovec { iov_base: ptr::null_mut(), iov_len: 0 };
        plain(Vector { address: User::of(&raw const empty), count: 1 }).and(Err(Errno::EOPNOTSUPP))
    }
}

/// What a message has of the flags of a write.
fn of_message(flags: RwFlags) -> u32 {
    [(RwFlags::NOWAIT, MSG_DONTWAIT), (RwFlags::NOSIGNAL, MSG_NOSIGNAL)]
        .iter()
        .filter(|(asked, _)| flags.0 & asked.0 != 0)
        .fold(0, |all, (_, message)| all | message)
}

/// Copies the iovec array behind `addr` and checks it as `import_iovec` does.
pub fn copy_vector(mut req: Req) -> Result<()> {
    let mut total = 0usize;
    for entry in copy_entries(&mut req)? {
        check_range(User::new(entry.iov_base as usize as u64), entry.iov_len as usize)?;
        let room = MAX_RW_COUNT - total;
        entry.iov_len = (entry.iov_len as usize).min(room) as _;
        total += entry.iov_len as usize;
    }
    Ok(())
}

/// Copies the array itself. No entry is as long as half of all addresses.
pub(super) fn copy_entries(req: &mut Req) -> Result<&mut [Iovec]> {
    let count = req.sqe.len;
    if count as usize > IOV_MAX {
        return Err(Errno::EINVAL);
    }
    if count == 0 {
        return Ok(&mut []);
    }
    let len = count as usize * size_of::<Iovec>();
    let start = req.copied.reserve(len)?.cast::<Iovec>();
    // SAFETY: the memory was just allocated with room for `count` entries; any bytes are iovecs.
    let vector = unsafe { core::slice::from_raw_parts_mut(start.as_ptr(), count as usize) };
    user::read_slice(vector, User::new(req.sqe.addr))?;
    match vector.iter().any(|entry| (entry.iov_len as isize) < 0) {
        true => Err(Errno::EINVAL),
        false => Ok(vector),
    }
}

/// The entries of a copied vector, as far as they are not used up.
pub(super) fn entries(req: &mut Req) -> &mut [Iovec] {
    match req.copied.start() {
        // SAFETY: `copy_entries` filled as many as the SQE says; the request owns them.
        Some(start) => unsafe {
            core::slice::from_raw_parts_mut(start.cast().as_ptr(), req.sqe.len as usize)
        },
        None => &mut [],
    }
}

/// Whether `addr` is a vector, of which the request has a copy.
#[inline(always)]
pub(super) fn is_vectored(req: Req) -> bool {
    match req.sqe.opcode {
        op::READV | op::WRITEV => !req.has(flag::BUFFER_SELECT),
        op::READV_FIXED | op::WRITEV_FIXED => true,
        _ => false,
    }
}

/// The memory of a request, less what is done: a single segment, or the copied vector.
pub(super) struct Segments {
    pub(super) one: Iovec,
    pub(super) many: Option<*const Iovec>,
    pub(super) count: usize,
    pub(super) total: usize,
}

impl Segments {
    #[inline(always)]
    pub(super) fn of(req: Req) -> Segments {
        if is_vectored(req) { Segments::of_vector(req) } else { Segments::of_one(req) }
    }

    #[inline(never)]
    fn of_vector(mut req: Req) -> Segments {
        let one = Iovec { iov_base: core::ptr::null_mut(), iov_len: 0 };
        let all = entries(&mut req);
        let done = skip(all, &mut 0);
        let left = &all[done..];
        let total = left.iter().map(|e| e.iov_len as usize).sum();
        let many = (!all.is_empty()).then_some(left.as_ptr());
        Segments { one, many, count: left.len(), total }
    }

    #[inline(always)]
    pub(super) fn of_one(req: Req) -> Segments {
        match req.has(flag::BUFFER_TAKEN) {
            true => Segments::left_of(req, req.buffer.address, req.buffer.len),
            false => Segments::named(req),
        }
    }

    /// Of a request that takes its memory from no group: what its SQE names.
    #[inline(always)]
    pub(super) fn named(req: Req) -> Segments {
        Segments::left_of(req, req.sqe.addr, req.sqe.len)
    }

    #[inline(always)]
    fn left_of(req: Req, address: u64, len: u32) -> Segments {
        let done = req.done as usize;
        let total = (len as usize).min(MAX_RW_COUNT) - done;
        let base = address.wrapping_add(done as u64) as usize as *mut _;
        let one = Iovec { iov_base: base, iov_len: total as _ };
        Segments { one, many: None, count: 1, total }
    }

    /// The transfer.
    #[inline(always)]
    pub(super) fn transfer(&self, req: Req, at: Offset, more: RwFlags) -> Result<usize> {
        let flags = RwFlags(req.sqe.op_flags).and(more);
        let direction = Direction::of(req);
        match direction.transfer(req.file.fd, self.vector(), at, flags) {
            Ok(_) if unlikely(self.total == 0) => direction.nothing(req.file.fd, flags),
            answer => answer,
        }
    }

    #[inline(always)]
    fn vector(&self) -> Vector {
        match self.many {
            Some(many) => Vector { address: User::of(many), count: self.count },
            None => Vector { address: User::of(&raw const self.one), count: self.count },
        }
    }
}

/// How many leading entries are used up after `done` bytes; the first of the rest is shortened.
fn skip(vector: &mut [Iovec], done: &mut usize) -> usize {
    let mut used = 0;
    for entry in vector {
        let len = entry.iov_len as usize;
        if len > *done {
            entry.iov_len = (len - *done) as _;
            entry.iov_base = entry.iov_base.wrapping_byte_add(*done);
            *done = 0;
            break;
        }
        *done -= len;
        entry.iov_len = 0 as _;
        used += 1;
    }
    used
}

/// Takes `n` more bytes as done.
pub(super) fn advance(mut req: Req, n: usize) {
    req.done += n as u32;
    if is_vectored(req) {
        skip(entries(&mut req), &mut { n });
    }
}

/// Where the next attempt starts.
#[inline(always)]
pub(super) fn offset(req: Req) -> Offset {
    match req.sqe.off as i64 {
        -1 => Offset::CURRENT,
        at => Offset(at.wrapping_add(i64::from(req.done))),
    }
}
