//! Opening and closing.

use sysring_sys::abi::PAGE;
use sysring_sys::abi::io_uring::FILE_INDEX_ALLOC;
use sysring_sys::call::{self, OpenHow, RESOLVE_CACHED};
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, User};

use super::{must_be_zero, plain_file_only};
use crate::filter::Teller;
use crate::issue::Issued;
use crate::locked::Locked;
use crate::request::{Req, flag};
use crate::{descriptors, path, user};

/// The first version of `struct open_how`.
const HOW_SIZE: usize = size_of::<OpenHow>();

pub fn prepare_openat(_: &mut Locked<'_>, req: Req) -> Result<()> {
    let how =
        OpenHow { flags: u64::from(req.sqe.op_flags), mode: u64::from(req.sqe.len), resolve: 0 };
    prepare_common(req, how)
}

pub fn prepare_openat2(_: &mut Locked<'_>, req: Req) -> Result<()> {
    let size = req.sqe.len as usize;
    if size < HOW_SIZE {
        return Err(Errno::EINVAL);
    }
    let from = User::new(req.sqe.off);
    let how = user::read::<OpenHow>(from)?;
    check_rest_is_zero(from.cast::<u8>().add(HOW_SIZE), size - HOW_SIZE)?;
    prepare_common(req, how)
}

/// Structures of kernels to come may be longer, up to a page; what we do not know must be zero.
fn check_rest_is_zero(mut at: User<u8>, mut len: usize) -> Result<()> {
    if len > PAGE {
        return Err(Errno::E2BIG);
    }
    while len > 0 {
        let mut rest = [0u8; 64];
        let step = len.min(rest.len());
        user::read_slice(&mut rest[..step], at)?;
        if rest[..step].iter().any(|&b| b != 0) {
            return Err(Errno::E2BIG);
        }
        at = at.add(step);
        len -= step;
    }
    Ok(())
}

/// `how` lies behind the path in the request's copy.
fn prepare_common(mut req: Req, how: OpenHow) -> Result<()> {
    must_be_zero!(req, buf_index);
    plain_file_only(req)?;
    path::copy(req, User::new(req.sqe.addr))?;
    if req.sqe.file_index != 0 && how.flags & u64::from(g::O_CLOEXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    req.sqe.op_flags = how.flags as u32;
    req.scratch = [how.flags, how.mode];
    req.sqe.addr3 = how.resolve;
    Ok(())
}

fn how(req: Req) -> OpenHow {
    let mode = req.scratch[1];
    OpenHow { flags: req.scratch[0], mode, resolve: req.sqe.addr3 }
}

/// Filters see flags, mode and how the path is resolved, 64 bits each.
pub static TELLER: Teller = Teller {
    size: 24,
    tell: |req, told| {
        let mut how = how(req);
        if !is_openat2(req) {
            how = forgiving(how);
        }
        if how.flags & u64::from(g::O_PATH) == 0 {
            how.flags |= LARGE;
        }
        for (pair, word) in told.chunks_exact_mut(2).zip([how.flags, how.mode, how.resolve]) {
            let bytes = word.to_ne_bytes();
            pair[0] = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            pair[1] = u32::from_ne_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
        }
    },
};

/// What the kernel adds for programs of 64 bits.
const LARGE: u64 = 0o100000;

fn is_openat2(req: Req) -> bool {
    req.sqe.opcode == sysring_sys::abi::io_uring::op::OPENAT2
}

/// By the call that the operation is named for: that is the one which filters refuse.
fn open(req: Req, how: OpenHow) -> Result<Fd> {
    let plain =
        || call::openat(Fd::new(req.sqe.fd), path::first(req), how.flags as u32, how.mode as u32);
    if !is_openat2(req) {
        return plain();
    }
    match extended(req, how) {
        // Absent, before Linux 5.6. What a filter refuses no other call may do instead.
        Err(Errno::ENOSYS) if how.resolve == 0 => plain(),
        answer => answer,
    }
}

fn extended(req: Req, how: OpenHow) -> Result<Fd> {
    call::openat2(Fd::new(req.sqe.fd), path::first(req), User::of(&raw const how), HOW_SIZE)
}

pub fn issue(ring: &mut Locked<'_>, mut req: Req) -> Issued {
    let mut how = how(req);
    if !is_openat2(req) {
        // openat(2) ignores what openat2(2) refuses.
        how = forgiving(how);
        req.scratch = [how.flags, how.mode];
    }
    let creates = u64::from(g::O_CREAT | g::O_TRUNC) | u64::from(g::__O_TMPFILE);
    if req.has(flag::ASYNC) || how.flags & creates != 0 || how.resolve & RESOLVE_CACHED != 0 {
        return Issued::Work;
    }
    let cached = OpenHow { resolve: how.resolve | RESOLVE_CACHED, flags: how.flags, ..how };
    let probe = OpenHow {
        flags: u64::from(g::O_PATH)
            | how.flags & u64::from(g::O_NOFOLLOW | g::O_DIRECTORY | g::O_CLOEXEC),
        mode: 0,
        resolve: cached.resolve,
    };
    // Opening a FIFO or a device may wait for its other side, which RESOLVE_CACHED says nothing
    // of; O_NONBLOCK does, but would stay with the file.
    let may_wait = how.flags & u64::from(g::O_NONBLOCK | g::O_PATH | g::O_DIRECTORY) == 0;
    // openat(2) cannot be told to stay with what is cached: the probe has to.
    if may_wait || !is_openat2(req) {
        match extended(req, probe) {
            Ok(fd) => {
                let plain = !may_wait || call::is_file_or_disk(fd);
                let _ = call::close(fd);
                if !plain {
                    return Issued::Work;
                }
            }
            Err(_) => return Issued::Work,
        }
    }
    match open(req, cached) {
        Err(Errno::EAGAIN | Errno::EINVAL | Errno::ENOSYS) if is_openat2(req) => Issued::Work,
        answer => install(ring, req, answer),
    }
}

/// What `build_open_how` makes of old flags.
pub fn forgiving(how: OpenHow) -> OpenHow {
    let known = u64::from(
        g::O_ACCMODE
            | g::O_CREAT
            | g::O_EXCL
            | g::O_NOCTTY
            | g::O_TRUNC
            | g::O_APPEND
            | g::O_NONBLOCK
            | g::O_SYNC
            | g::O_DSYNC
            | g::FASYNC
            | g::O_DIRECT
            | g::O_LARGEFILE
            | g::O_DIRECTORY
            | g::O_NOFOLLOW
            | g::O_NOATIME
            | g::O_CLOEXEC
            | g::O_PATH
            | g::__O_TMPFILE,
    );
    let mut flags = how.flags & known;
    if flags & u64::from(g::O_PATH) != 0 {
        flags &= u64::from(g::O_DIRECTORY | g::O_NOFOLLOW | g::O_PATH | g::O_CLOEXEC);
    }
    let creates = flags & u64::from(g::O_CREAT | g::__O_TMPFILE) != 0;
    let mode = if creates { how.mode & 0o7777 } else { 0 };
    OpenHow { flags, mode, resolve: 0 }
}

pub fn work(req: Req) -> i32 {
    crate::issue::res(open(req, how(req)))
}

pub fn finish(ring: &mut Locked<'_>, req: Req) -> Issued {
    let answer = match Errno::from_raw(-req.res) {
        Some(e) => Err(e),
        None => Ok(Fd::new(req.res)),
    };
    install(ring, req, answer)
}

/// A new descriptor for a request: as it is, or into the slot it asked for.
pub fn install(ring: &mut Locked<'_>, req: Req, answer: Result<Fd>) -> Issued {
    let slot = req.sqe.file_index;
    match answer {
        Err(e) => Issued::Done(e.to_res()),
        Ok(fd) if slot == 0 => Issued::Done(fd.raw()),
        Ok(fd) => Issued::of(ring.install_file(slot, fd).map(|index| {
            // The slot's number only where the engine chose it.
            if slot == FILE_INDEX_ALLOC { Fd::new(index as i32) } else { Fd::new(0) }
        })),
    }
}

pub fn prepare_close(_: &mut Locked<'_>, req: Req) -> Result<()> {
    must_be_zero!(req, off, addr, len, op_flags, buf_index);
    plain_file_only(req)?;
    if req.sqe.file_index != 0 && req.sqe.fd != 0 {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

pub fn issue_close(ring: &mut Locked<'_>, req: Req) -> Issued {
    if req.sqe.file_index != 0 {
        return Issued::of(ring.remove_file(req.sqe.file_index - 1));
    }
    let fd = Fd::new(req.sqe.fd);
    // The kernel does not let a ring close a ring.
    if descriptors::is_of_ring(fd) || descriptors::is_internal(fd) {
        return Issued::Done(Errno::EBADF.to_res());
    }
    if req.has(flag::ASYNC) {
        return Issued::Work;
    }
    // The number may be another file's before this submission ends.
    ring.hints.end_submission();
    Issued::of(call::close(fd))
}

pub fn work_close(req: Req) -> i32 {
    crate::issue::res(call::close(Fd::new(req.sqe.fd)))
}

/// `IORING_FIXED_FD_NO_CLOEXEC`.
const NO_CLOEXEC: u32 = 1;

pub fn prepare_install(_: &mut Locked<'_>, req: Req) -> Result<()> {
    must_be_zero!(req, off, addr, len, buf_index, file_index, addr3);
    if !req.has(flag::FIXED_FILE) {
        return Err(Errno::EBADF);
    }
    if req.sqe.op_flags & !NO_CLOEXEC != 0 {
        return Err(Errno::EINVAL);
    }
    if req.creds.is_some() {
        return Err(Errno::EPERM);
    }
    Ok(())
}

/// A registered file gets an ordinary descriptor too.
pub fn issue_install(_: &mut Locked<'_>, req: Req) -> Issued {
    let keep = req.sqe.op_flags & NO_CLOEXEC != 0;
    let command = if keep { g::F_DUPFD } else { g::F_DUPFD_CLOEXEC };
    Issued::of(call::fcntl(req.file.fd, command, 0))
}

pub fn prepare_pipe(_: &mut Locked<'_>, req: Req) -> Result<()> {
    must_be_zero!(req, fd, off, addr3);
    // What makes a pipe of notifications (`O_NOTIFICATION_PIPE`) is `O_EXCL` by another name.
    const KNOWN: u32 = g::O_CLOEXEC | g::O_NONBLOCK | g::O_DIRECT | g::O_EXCL;
    if req.sqe.op_flags & !KNOWN != 0 {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

pub fn issue_pipe(ring: &mut Locked<'_>, req: Req) -> Issued {
    let to = User::<[i32; 2]>::new(req.sqe.addr);
    Issued::of(match req.sqe.file_index {
        // SAFETY: the application's memory, which asked for it.
        0 => unsafe { call::pipe2(to, req.sqe.op_flags) },
        slot => pipe_into_slots(ring, slot, req.sqe.op_flags, to),
    })
}

/// Both ends into slots: two of the engine's choosing, or the one named and the next.
fn pipe_into_slots(ring: &mut Locked<'_>, slot: u32, flags: u32, to: User<[i32; 2]>) -> Result<()> {
    let [reader, writer] = call::pipe(flags)?;
    if flags & g::O_CLOEXEC != 0 {
        let _ = call::close(reader);
        let _ = call::close(writer);
        return Err(Errno::EINVAL);
    }
    let first = ring.install_file(slot, reader).inspect_err(|_| {
        let _ = call::close(writer);
    })?;
    let next = if slot == FILE_INDEX_ALLOC { slot } else { slot + 1 };
    let second = ring.install_file(next, writer).inspect_err(|_| {
        let _ = ring.remove_file(first);
    })?;
    user::write(to, &[first as i32, second as i32]).inspect_err(|_| {
        let _ = ring.remove_file(first);
        let _ = ring.remove_file(second);
    })
}
