//! Reading and writing: plain, vectored, and in registered buffers.
//!
//! An attempt is `preadv2` or `pwritev2` with `RWF_NOWAIT`. What it answers decides the rest of
//! the road: a miss in the page cache goes to a worker, an empty pipe or socket parks, a file
//! opened with `O_DIRECT` goes to kernel AIO without an attempt (there `NOWAIT` would wait).

use sysring_sys::abi::Iovec;
use sysring_sys::abi::aio::Iocb;
use sysring_sys::abi::io_uring::setup;
use sysring_sys::call::{Offset, RwFlags};
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, User, arch, call};

use super::moment::is_nonblocking;
use super::transfer::{
    Direction, Segments, advance, copy_entries, copy_vector, entries, is_vectored, offset,
};
use super::{MAX_RW_COUNT, check_range, socket};
use crate::hints::hint;
use crate::issue::{Issued, res};
use crate::locked::Locked;
use crate::request::{Req, flag};
use crate::rsrc::Buffer;
use crate::{iopoll, user};

/// What the kernel allocates in one piece. Of these vectors it finds first that there is no room
/// for them, and then that they are too long.
const MOST_ALLOCATED: usize = 4 << 20;

/// Shots of a multishot read before others have their turn.
const SHOTS: u32 = 32;

/// READ and WRITE.
pub fn prepare(_: &mut Locked<'_>, req: Req) -> Result<()> {
    prepare_common(req)?;
    if req.has(flag::BUFFER_SELECT) {
        return Ok(());
    }
    check_range(User::new(req.sqe.addr), (req.sqe.len as usize).min(MAX_RW_COUNT))
}

/// READV and WRITEV: the vector is copied now, as the kernel does it.
pub fn prepare_vectored(_: &mut Locked<'_>, mut req: Req) -> Result<()> {
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

/// READV_FIXED and WRITEV_FIXED: the vector is copied now, and held against the buffer when the
/// request is issued.
pub fn prepare_vectored_fixed(_: &mut Locked<'_>, mut req: Req) -> Result<()> {
    prepare_common(req)?;
    if req.sqe.len as usize > MOST_ALLOCATED / size_of::<Iovec>() {
        return Err(Errno::ENOMEM);
    }
    copy_entries(&mut req).map(drop)
}

/// READ_MULTISHOT: into buffers of a group, for as long as something comes.
pub fn prepare_multishot(_: &mut Locked<'_>, mut req: Req) -> Result<()> {
    prepare_common(req)?;
    if !req.has(flag::BUFFER_SELECT) || req.sqe.addr != 0 || req.sqe.len != 0 {
        return Err(Errno::EINVAL);
    }
    req.set(flag::MULTISHOT);
    Ok(())
}

pub fn issue_multishot(ring: &mut Locked<'_>, mut req: Req) -> Issued {
    if is_regular(req.file.fd) {
        // Nothing to wait for.
        return failed(ring, req, Errno::EBADFD);
    }
    for _ in 0..SHOTS {
        req.done = 0;
        let issued = issue(ring, req);
        if issued != Issued::Set || req.res <= 0 {
            return issued;
        }
        if !ring.post_more(req.sqe.user_data, req.res, req.cflags) {
            return issued;
        }
    }
    Issued::Wait(Direction::Read.readiness())
}

/// READ_FIXED and WRITE_FIXED: the buffer is looked up when the request is issued.
pub fn prepare_fixed(_: &mut Locked<'_>, req: Req) -> Result<()> {
    prepare_common(req)
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

/// Refuses a request for polled completion on a ring that does not poll.
#[inline(always)]
fn refuse_polling(ring: &mut Locked<'_>, req: Req) -> Option<Issued> {
    let refused = req.sqe.op_flags & RwFlags::HIPRI.0 != 0 && !ring.ring.shape.has(setup::IOPOLL);
    if refused { Some(fail_unpolled(ring, req)) } else { None }
}

#[cold]
fn fail_unpolled(ring: &mut Locked<'_>, req: Req) -> Issued {
    failed(ring, req, not_polled(req))
}

/// The buffer a request has found is its own until it ends.
#[inline(always)]
pub fn keep_buffer(ring: &mut Locked<'_>, mut req: Req, buffer: Buffer) {
    req.set(flag::BUFFER_FOUND);
    ring.use_tag(req, buffer.tag);
}

/// READ_FIXED and WRITE_FIXED: in a registered buffer.
pub fn issue_fixed(ring: &mut Locked<'_>, req: Req) -> Issued {
    if let Some(refused) = refuse_polling(ring, req) {
        return refused;
    }
    // What it found once it keeps, whatever has become of the slot.
    if !req.has(flag::BUFFER_FOUND) {
        match ring.buffers.find(req.sqe.buf_index, req.sqe.addr, u64::from(req.sqe.len)) {
            Ok(buffer) => keep_buffer(ring, req, buffer),
            Err(e) => return Issued::Done(e.to_res()),
        }
    }
    attempt_on(ring, req, Segments::of_one)
}

/// READV_FIXED and WRITEV_FIXED.
pub fn issue_vectored_fixed(ring: &mut Locked<'_>, mut req: Req) -> Issued {
    if let Some(refused) = refuse_polling(ring, req) {
        return refused;
    }
    // Of a second attempt the vector is what is left of one that was in order.
    if !req.has(flag::BUFFER_FOUND) && req.done == 0 {
        match ring.buffers.check_vector(req.sqe.buf_index, entries(&mut req)) {
            Ok(buffer) => keep_buffer(ring, req, buffer),
            Err(e) => return Issued::Done(e.to_res()),
        }
    }
    attempt(ring, req)
}

/// READ and WRITE.
pub fn issue(ring: &mut Locked<'_>, req: Req) -> Issued {
    if req.has(flag::BUFFER_SELECT) {
        return issue_with_taken(ring, req);
    }
    attempt_on(ring, req, Segments::of_one)
}

/// READV and WRITEV.
pub fn issue_vectored(ring: &mut Locked<'_>, req: Req) -> Issued {
    if req.has(flag::BUFFER_SELECT) { issue_with_taken(ring, req) } else { attempt(ring, req) }
}

/// What a request takes from its group goes back to it while it waits.
#[inline(never)]
fn issue_with_taken(ring: &mut Locked<'_>, req: Req) -> Issued {
    if let Err(e) = ring.take_buffer(req, req.sqe.len as usize) {
        let e = if e == Errno::ENOENT { Errno::ENOBUFS } else { e };
        return failed(ring, req, super::first_error(req, e));
    }
    if req.has(flag::BUFFER_TAKEN) && !req.has(flag::MULTISHOT) && !super::not_open(req) {
        ring.claim_buffer(req, !is_regular(req.file.fd));
    }
    let issued = attempt(ring, req);
    match issued {
        // One that waits has no buffer; one that is given away keeps it.
        Issued::Wait(_) if req.done == 0 => ring.give_back(req),
        Issued::Wait(_) | Issued::Work | Issued::Aio => ring.keep_buffer(req),
        _ => {}
    }
    issued
}

fn attempt(ring: &mut Locked<'_>, req: Req) -> Issued {
    attempt_on(ring, req, Segments::of)
}

/// What is there at once is the whole transfer, as a rule. All else is out of the way.
#[inline(always)]
fn attempt_on(ring: &mut Locked<'_>, req: Req, memory: impl Fn(Req) -> Segments) -> Issued {
    let mut hint = ring.hints.look(req.file.fd);
    if (hint & (hint::DIRECT | hint::WAITS) != 0
        || req.has(flag::ASYNC)
        || req.sqe.op_flags & RwFlags::HIPRI.0 != 0
        || ring.ring.shape.has(setup::IOPOLL))
        && let Some(issued) = another_way(ring, req, &mut hint)
    {
        return issued;
    }
    let segments = memory(req);
    match ask(req, &segments, hint) {
        Ok(n) if n == segments.total && n != 0 && !req.has(flag::BUFFER_TAKEN) => whole(req, n),
        answer => weigh(ring, req, hint, segments.total, answer),
    }
}

/// The way of what is not simply attempted, if it has one of its own.
#[inline(never)]
fn another_way(ring: &mut Locked<'_>, mut req: Req, known: &mut u8) -> Option<Issued> {
    if let Some(refused) = refuse_polling(ring, req) {
        return Some(refused);
    }
    let direction = Direction::of(req);
    if *known & hint::DIRECT != 0 {
        *known = ring.hints.look_twice(req.file.fd);
    }
    let hint = *known;
    if ring.ring.shape.has(setup::IOPOLL) {
        if hint & hint::POLLS == 0
            && let Err(e) = check_polled(req)
        {
            return Some(failed(ring, req, e));
        }
        // All of them are polled for: here, not in the call.
        req.sqe.op_flags &= !RwFlags::HIPRI.0;
    }
    // A vector of nothing needs no disk, only to be looked at.
    let nothing = is_vectored(req) && req.sqe.len == 0;
    let by_aio = req.sqe.off != u64::MAX && !req.has(flag::UNPOLLABLE) && !nothing;
    if hint & hint::DIRECT != 0 && by_aio {
        return Some(direct(ring, req, direction));
    }
    // A stream that has got the number of a file would keep a worker.
    if req.has(flag::ASYNC) && hint & hint::REGULAR != 0 && is_regular(req.file.fd) {
        return Some(Issued::Work);
    }
    if hint & (hint::WAITS | hint::REGULAR) == hint::WAITS {
        return Some(without_nowait(ring, req, direction));
    }
    None
}

/// Asks for a transfer that does not wait.
#[inline(always)]
fn ask(req: Req, segments: &Segments, hint: u8) -> Result<usize> {
    let at = offset(req);
    // A flag that not all files take may be refused for another reason first: that is asked for.
    if hint & hint::WAITS != 0
        && at != Offset::CURRENT
        && req.sqe.op_flags & !RwFlags::EVERYWHERE.0 == 0
    {
        return Err(Errno::EOPNOTSUPP);
    }
    segments.transfer(req, at, RwFlags::NOWAIT)
}

/// What follows from an answer that is not the whole transfer, of `total` bytes.
#[inline(never)]
fn weigh(
    ring: &mut Locked<'_>,
    req: Req,
    hint: u8,
    mut total: usize,
    mut answer: Result<usize>,
) -> Issued {
    let direction = Direction::of(req);
    loop {
        let at = offset(req);
        let mut stream = false;
        if answer == Err(Errno::ESPIPE) {
            if (req.sqe.off as i64).checked_add(total as i64).is_none() {
                return failed(ring, req, Errno::EINVAL);
            }
            if req.sqe.off != 0 && socket::kind(req.file.fd) != 0 {
                // Other streams do not mind.
                return failed(ring, req, Errno::ESPIPE);
            }
            // A stream takes no offset; io_uring ignores the one given.
            stream = true;
            answer = Segments::of(req).transfer(req, Offset::CURRENT, RwFlags::NOWAIT);
        }
        match answer {
            Ok(_) if total == 0 && hint & hint::REGULAR == 0 => {
                return match direction.nothing(req.file.fd) {
                    Ok(n) => done(ring, req, n, 0),
                    Err(e) => failed(ring, req, e),
                };
            }
            Ok(n) => {
                let whole = n == total || n == 0;
                if whole || stream || (at == Offset::CURRENT && !is_regular(req.file.fd)) {
                    return done(ring, req, n, total);
                }
                // Part of a file was at hand. What follows is either its end or a wait.
                advance(req, n);
            }
            Err(Errno::EAGAIN) if req.has(flag::NOWAIT) => return failed(ring, req, Errno::EAGAIN),
            Err(Errno::EAGAIN) if stream || at == Offset::CURRENT => {
                return would_block(req, direction);
            }
            Err(Errno::EAGAIN) => return Issued::Work,
            Err(Errno::EOPNOTSUPP) if req.has(flag::NOWAIT) => {
                // The kernel promises NOWAIT for eventfds, and then finds that it cannot.
                let promised = call::is_eventfd(req.file.fd) == Ok(true);
                let errno = if promised { Errno::EAGAIN } else { Errno::EOPNOTSUPP };
                return failed(ring, req, errno);
            }
            Err(Errno::EOPNOTSUPP) if req.sqe.op_flags & !RwFlags::EVERYWHERE.0 != 0 => {
                return failed(ring, req, Errno::EOPNOTSUPP);
            }
            Err(Errno::EOPNOTSUPP) => {
                if stream || at == Offset::CURRENT {
                    return without_nowait(ring, req, direction);
                }
                if !ring.hints.is_regular(req.file.fd)
                    && call::file_type(req.file.fd) == Ok(g::S_IFCHR)
                {
                    // A device that takes an offset, and may make us wait all the same.
                    return when_ready(req, direction);
                }
                ring.hints.mark(req.file.fd, hint::WAITS);
                return at_once(ring, req);
            }
            Err(e) => {
                let mut req = req;
                req.clear(flag::UNPOLLABLE);
                return failed(ring, req, e);
            }
        }
        let left = Segments::of(req);
        total = left.total;
        answer = ask(req, &left, hint);
    }
}

/// Why a request for polled completion fails, on a ring that does not poll: for another reason
/// first, if there is one.
fn not_polled(req: Req) -> Errno {
    match call::file_flags(req.file.fd) {
        Ok(_) if goes_the_wrong_way(req) => Errno::EBADF,
        Ok(_) if req.sqe.op_flags & !RwFlags::KNOWN.0 != 0 => Errno::EOPNOTSUPP,
        Ok(_) => Errno::EINVAL,
        Err(e) => e,
    }
}

/// A ring that polls takes files that are opened with `O_DIRECT` and can be polled, no others.
fn check_polled(req: Req) -> Result<()> {
    let flags = call::file_flags(req.file.fd)?;
    if goes_the_wrong_way(req) {
        return Err(Errno::EBADF);
    }
    let known = req.sqe.op_flags & !RwFlags::KNOWN.0 == 0;
    match known && flags & g::O_DIRECT != 0 && iopoll::can_poll(req.file.fd) {
        true => Ok(()),
        false => Err(Errno::EOPNOTSUPP),
    }
}

/// Whether the file was opened for the other direction only, which the kernel looks at first.
fn goes_the_wrong_way(req: Req) -> bool {
    let wrong_way = match Direction::of(req) {
        Direction::Read => g::O_WRONLY,
        Direction::Write => g::O_RDONLY,
    };
    call::file_flags(req.file.fd).is_ok_and(|flags| flags & g::O_ACCMODE == wrong_way)
}

/// A stream with nothing to give now. `O_NONBLOCK` changes nothing: a ring waits all the same,
/// and only `RWF_NOWAIT` asks it not to.
fn would_block(req: Req, direction: Direction) -> Issued {
    if req.has(flag::UNPOLLABLE) { Issued::Work } else { Issued::Wait(direction.readiness()) }
}

/// A stream whose driver knows no `RWF_NOWAIT`: readiness says when a worker will not wait long.
fn without_nowait(ring: &mut Locked<'_>, req: Req, direction: Direction) -> Issued {
    let nonblocking = is_nonblocking(req.file.fd);
    let segments = Segments::of(req);
    // A pipe that was spliced knows it no more. Who takes a buffer takes what there is, as the kernel
    // does: it is used by as much as comes.
    let readable = || call::poll_now(req.file.fd, direction.readiness() as u16) != Ok(0);
    if nonblocking || is_regular(req.file.fd) || req.has(flag::BUFFER_SELECT) && readable() {
        // A file may have got the number of a stream.
        let at = if is_regular(req.file.fd) { offset(req) } else { Offset::CURRENT };
        return match segments.transfer(req, at, RwFlags::NONE) {
            Ok(n) => done(ring, req, n, segments.total),
            Err(Errno::EAGAIN) if !req.has(flag::UNPOLLABLE) => would_block(req, direction),
            Err(e) => failed(ring, req, e),
        };
    }
    match when_ready(req, direction) {
        Issued::Wait(_) if req.has(flag::NOWAIT) => failed(ring, req, Errno::EAGAIN),
        issued => issued,
    }
}

/// To a worker, once it will not wait long.
fn when_ready(req: Req, direction: Direction) -> Issued {
    match call::poll_now(req.file.fd, direction.readiness() as u16) {
        Ok(0) if !req.has(flag::UNPOLLABLE) => Issued::Wait(direction.readiness()),
        _ => Issued::Work,
    }
}

/// A call that takes longer than this was worth a worker: about a millisecond of the slowest
/// counter in use, less on faster ones.
const LONG: u64 = 2_000_000;

/// A file that cannot be asked not to wait (tmpfs, buffered writes on ext4). It mostly does not:
/// a plain call costs less than handing it over. One that took long sends the next to a worker.
#[inline(never)]
fn at_once(ring: &mut Locked<'_>, req: Req) -> Issued {
    if ring.hints.look(req.file.fd) & hint::SLOW != 0 {
        return Issued::Work;
    }
    let before = arch::cycles();
    let segments = Segments::of(req);
    let answer = segments.transfer(req, offset(req), RwFlags::NONE);
    if arch::cycles().wrapping_sub(before) > LONG {
        ring.hints.mark(req.file.fd, hint::SLOW);
    }
    match answer {
        Ok(n) => done(ring, req, n, segments.total),
        Err(Errno::ESPIPE) => {
            // Another file has the number.
            ring.hints.forget(req.file.fd);
            attempt(ring, req)
        }
        Err(e) => failed(ring, req, e),
    }
}

/// `O_DIRECT`: through kernel AIO.
fn direct(ring: &mut Locked<'_>, req: Req, direction: Direction) -> Issued {
    let vectored = is_vectored(req);
    let segments = Segments::of(req);
    let (buf, nbytes) = match segments.many {
        Some(many) => (many as usize as u64, segments.count as u64),
        None => (segments.one.iov_base as usize as u64, segments.total as u64),
    };
    let (opcode, offset) = (direction.aio_opcode(vectored), offset(req).0);
    let rw_flags = req.sqe.op_flags;
    ring.aio_transfer(req, Iocb { rw_flags, opcode, buf, nbytes, offset, ..Iocb::default() })
}

/// On a worker: the call as it is, for as long as it takes.
pub fn work(req: Req) -> i32 {
    let segments = Segments::of(req);
    let mut answer = segments.transfer(req, offset(req), RwFlags::NONE);
    if answer == Err(Errno::ESPIPE) {
        answer = segments.transfer(req, Offset::CURRENT, RwFlags::NONE);
    }
    res(answer)
}

/// After the worker or kernel AIO: a file's short transfer goes on until it is whole or at the
/// end.
pub fn finish(ring: &mut Locked<'_>, req: Req) -> Issued {
    let n = req.res;
    if n < 0 {
        return match Errno::from_raw(-n) {
            Some(Errno::EAGAIN) if !req.has(flag::UNPOLLABLE) => {
                would_block(req, Direction::of(req))
            }
            Some(e) if keeps_link(ring) && comes_from_file(req, e) => answered(ring, req, e),
            Some(e) => failed(ring, req, e),
            None => Issued::Done(n),
        };
    }
    let segments = Segments::of(req);
    if n == 0 || n as usize >= segments.total || !is_regular(req.file.fd) {
        return done(ring, req, n as usize, segments.total);
    }
    advance(req, n as usize);
    Issued::Work
}

/// What a file that is polled answers is told, and never breaks a link: the kernel, which finds it
/// when it polls, does not look at it.
fn keeps_link(ring: &Locked<'_>) -> bool {
    ring.ring.shape.has(setup::IOPOLL)
}

/// Whether an error is the file's answer: flags that it does not know and places that no file has
/// are refused before it is asked.
fn comes_from_file(req: Req, e: Errno) -> bool {
    let ends = (req.sqe.off as i64).checked_add(Segments::of(req).total as i64);
    e != Errno::EOPNOTSUPP && req.sqe.off as i64 >= 0 && ends.is_some()
}

/// The last `n` bytes are in, and nothing is missing.
#[inline(always)]
fn whole(mut req: Req, n: usize) -> Issued {
    (req.res, req.cflags) = (req.done as i32 + n as i32, 0);
    Issued::Set
}

/// The last `n` bytes of the `left` that were asked for are in: the request succeeds, or is short
/// and fails its link.
fn done(ring: &mut Locked<'_>, mut req: Req, n: usize, left: usize) -> Issued {
    let all = req.done as usize + n;
    req.res = all as i32;
    if req.has(flag::MULTISHOT) && all == 0 {
        ring.give_back(req);
    }
    req.cflags = ring.used_buffer(req, all);
    // Less than the buffer holds is no failure of one that goes on.
    if n != left && !req.has(flag::MULTISHOT) && !keeps_link(ring) {
        ring.fail(req);
    }
    Issued::Set
}

/// An error; what earlier attempts did is what counts if there is any.
fn failed(ring: &mut Locked<'_>, req: Req, e: Errno) -> Issued {
    let bad_offset = e == Errno::EINVAL && (req.sqe.off as i64) < -1;
    let no_file = || super::not_open(req) || goes_the_wrong_way(req);
    let e = if bad_offset && no_file() { Errno::EBADF } else { e };
    ring.fail(req);
    answered(ring, req, e)
}

/// What is told of an error.
fn answered(ring: &mut Locked<'_>, mut req: Req, e: Errno) -> Issued {
    req.cflags = 0;
    if req.done != 0 {
        req.res = req.done as i32;
        req.cflags = ring.used_buffer(req, req.done as usize);
    } else {
        req.res = e.to_res();
        ring.give_back(req);
        req.cflags = ring.kept_buffer(req);
    }
    Issued::Set
}

fn is_regular(fd: Fd) -> bool {
    call::is_file_or_disk(fd)
}
