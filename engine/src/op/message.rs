//! Messages: headers with their vectors and names, as `sendmsg` and `recvmsg` take them.

use core::mem::offset_of;

use sysring_sys::abi::io_uring::RecvmsgOut;
use sysring_sys::abi::{IOV_MAX, Iovec, Msghdr};
use sysring_sys::call::MSG_WAITALL;
use sysring_sys::{Errno, Result, User};

use super::check_range;
use super::net::sends;
use super::send_zc::is_fixed;
use super::socket::ADDRESS_MAX;
use crate::locked::Locked;
use crate::request::{Copied, Req, flag};
use crate::user;

pub const MSG_TRUNC: u32 = 0x20;
pub const MSG_CTRUNC: u32 = 0x8;
const MSG_CMSG_COMPAT: u32 = 0x8000_0000;

/// Fields of a 32-bit program's header.
const COMPAT_NAMELEN: usize = 4;
const COMPAT_CONTROLLEN: usize = 20;
const COMPAT_FLAGS: usize = 24;

/// What is copied of a message: the header, then its vector, then a destination.
#[repr(C)]
struct Message {
    header: Msghdr,
    /// The same for one shot of several.
    shot: Msghdr,
    /// The application's header, for what `recvmsg` writes back.
    from: u64,
    has_control: bool,
}

/// Copies a message header, its vector, and (to send) its destination: none is the
/// application's to keep still after `submit`.
pub fn copy(req: Req) -> Result<()> {
    let from = User::<Msghdr>::new(req.sqe.addr);
    let header = user::read(from)?;
    if header.msg_namelen < 0 {
        return Err(Errno::EINVAL);
    }
    // A buffer of a group takes the place of the one segment there may be.
    let most = if req.has(flag::BUFFER_SELECT) { 1 } else { IOV_MAX };
    let too_many = match header.msg_iovlen {
        n if n > IOV_MAX => Some(Errno::EMSGSIZE),
        n if n > most => Some(Errno::EINVAL),
        _ => None,
    };
    copy_parts(req, header, from.address(), too_many)
}

/// Copies the vector that an entry names itself, without a header, and its destination.
pub fn copy_vector(req: Req, to: User<u8>, to_len: usize) -> Result<()> {
    copy_bare(req, to, to_len, req.sqe.len as usize)
}

/// Copies a destination, for vectors that are put beside it later.
pub fn copy_destination(req: Req, to: User<u8>, to_len: usize) -> Result<()> {
    copy_bare(req, to, to_len, 0)
}

fn copy_bare(req: Req, to: User<u8>, to_len: usize, count: usize) -> Result<()> {
    if !to.is_null() && to_len > ADDRESS_MAX {
        return Err(Errno::EINVAL);
    }
    let header = Msghdr {
        msg_name: to.address() as usize as *mut _,
        msg_namelen: if to.is_null() { 0 } else { to_len as i32 },
        msg_iov: req.sqe.addr as usize as *mut _,
        msg_iovlen: count,
        ..Msghdr::EMPTY
    };
    let too_many = if count > IOV_MAX { Some(Errno::EINVAL) } else { None };
    copy_parts(req, header, 0, too_many)
}

/// The destination first and then the vector, unless there is `too_many` of it: errors come in the
/// kernel's order.
fn copy_parts(mut req: Req, mut header: Msghdr, from: u64, too_many: Option<Errno>) -> Result<()> {
    let copies_name = sends(req) && !header.msg_name.is_null() && header.msg_namelen != 0;
    let count = if too_many.is_some() { 0 } else { header.msg_iovlen };
    let vector_len = count.max(1) * size_of::<Iovec>();
    let room = size_of::<Message>() + vector_len + if copies_name { ADDRESS_MAX } else { 0 };
    let start = req.copied.reserve(room)?.as_ptr();
    if copies_name {
        let name_len = (header.msg_namelen as usize).min(ADDRESS_MAX);
        // SAFETY: the block just reserved has this room behind the vector; bytes are bytes.
        let name = unsafe {
            let at = start.add(size_of::<Message>() + vector_len);
            core::slice::from_raw_parts_mut(at, name_len)
        };
        user::read_slice(name, User::of(header.msg_name))?;
        header.msg_name = name.as_mut_ptr();
        header.msg_namelen = name_len as i32;
    }
    if header.msg_name.is_null() && !req.has(flag::MULTISHOT) {
        // How long a name is that is not there Linux does not look at. gVisor does: EFAULT.
        header.msg_namelen = 0;
    }
    if let Some(e) = too_many {
        return Err(e);
    }
    // SAFETY: lies in the block just reserved; any bytes are iovecs.
    let vector = unsafe {
        let at = start.add(size_of::<Message>()).cast::<Iovec>();
        core::slice::from_raw_parts_mut(at, count)
    };
    user::read_slice(vector, User::of(header.msg_iov))?;
    header.msg_iov = vector.as_mut_ptr();
    let mut total = 0usize;
    for entry in &*vector {
        if (entry.iov_len as isize) < 0 {
            return Err(Errno::EINVAL);
        }
        if !is_fixed(req) {
            check_range(User::new(entry.iov_base as usize as u64), entry.iov_len as usize)?;
        }
        total = total.saturating_add(entry.iov_len as usize);
    }
    let has_control = header.msg_controllen != 0;
    let message = Message { header, shot: header, from, has_control };
    // SAFETY: the block begins with room for a `Message`.
    unsafe { start.cast::<Message>().write(message) };
    req.scratch[0] = total as u64;
    Ok(())
}

/// Gives a message a vector of at most `count` segments; how many there are, `fill` says first.
///
/// # Errors
/// `ENOMEM`, and those of `fill`.
pub fn with_vector<T>(
    mut req: Req,
    count: usize,
    fill: impl FnOnce(&mut [Iovec]) -> Result<(usize, T)>,
) -> Result<T> {
    let mut old = req.copied;
    let vector_len = count * size_of::<Iovec>();
    let room = size_of::<Message>() + vector_len + ADDRESS_MAX;
    // SAFETY: made by `copy`.
    let mut message = unsafe { at(req).read() };
    req.copied = Copied::default();
    let start = match req.copied.reserve(room) {
        Ok(start) => start.as_ptr(),
        Err(e) => {
            req.copied = old;
            return Err(e);
        }
    };
    // SAFETY: the new block has room for a message, the vector (any bytes are iovecs) and the
    // longest name, which is no longer than that where it was copied from.
    let vector = unsafe {
        let name = start.add(size_of::<Message>() + vector_len);
        if !message.header.msg_name.is_null() {
            name.copy_from_nonoverlapping(
                message.header.msg_name,
                message.header.msg_namelen as usize,
            );
            message.header.msg_name = name;
        }
        let at = start.add(size_of::<Message>()).cast::<Iovec>();
        core::slice::from_raw_parts_mut(at, count)
    };
    old.free();
    message.header.msg_iov = vector.as_mut_ptr();
    let filled = fill(vector);
    message.header.msg_iovlen = filled.as_ref().map_or(0, |(count, _)| *count);
    // SAFETY: the block begins with room for a `Message`.
    unsafe { start.cast::<Message>().write(message) };
    filled.map(|(_, answer)| answer)
}

fn at(req: Req) -> *mut Message {
    // Prepared by `copy`, without which the request would have been refused.
    req.copied.start().map_or(core::ptr::null_mut(), |start| start.as_ptr().cast())
}

/// The vector.
#[must_use]
pub fn segments(req: &Req) -> &[Iovec] {
    // SAFETY: `copy` made header and vector, which last as long as the request does.
    unsafe {
        let header = &(*at(*req)).header;
        core::slice::from_raw_parts(header.msg_iov, header.msg_iovlen)
    }
}

/// Whether a receive has room for control messages.
#[must_use]
pub fn has_control(req: Req) -> bool {
    // SAFETY: made by `copy`; `has_control` is written there only.
    unsafe { (*at(req)).has_control }
}

/// Where the header lies, for the system call.
#[must_use]
pub fn header(req: Req) -> User<Msghdr> {
    let message = at(req);
    if req.has(flag::MULTISHOT) {
        // SAFETY: made by `copy`; only the address is taken.
        return User::of(unsafe { &raw mut (*message).shot });
    }
    User::of(message).cast()
}

/// Shortens the vector by `n` bytes that are done. What is sent beside them has gone with them.
pub fn advance(req: Req, n: usize) {
    // SAFETY: `copy` made header and vector, and `msg_iovlen` counts the latter.
    unsafe {
        let header = &mut (*at(req)).header;
        if sends(req) {
            header.msg_controllen = 0;
        }
        let mut n = n;
        while n > 0 && header.msg_iovlen > 0 {
            let entry = &mut *header.msg_iov;
            let len = entry.iov_len as usize;
            if len > n {
                entry.iov_base = entry.iov_base.wrapping_byte_add(n);
                entry.iov_len = (len - n) as _;
                break;
            }
            n -= len;
            header.msg_iov = header.msg_iov.add(1);
            header.msg_iovlen -= 1;
        }
    }
}

/// Aims the message at the buffer that the request has taken.
pub fn aim_at_buffer(req: Req) {
    // SAFETY: `copy` made header and vector, with room for one segment at least.
    unsafe {
        let header = &mut (*at(req)).header;
        *header.msg_iov = segment(req.buffer.address, req.buffer.len as usize);
        header.msg_iovlen = 1;
    }
}

/// For a multishot receive: the buffer holds a head, the name, the control data, and then what is
/// received.
///
/// # Errors
/// `EFAULT`: the buffer has no room for the former three.
pub fn lay_out(req: Req) -> Result<()> {
    // SAFETY: made by `copy`.
    let original = unsafe { at(req).read() };
    let (name, control) = (original.header.msg_namelen as usize, original.header.msg_controllen);
    let before = size_of::<RecvmsgOut>() + name + control;
    let room = (req.buffer.len as usize).checked_sub(before).ok_or(Errno::EFAULT)?;
    let place = |offset: usize| req.buffer.address.wrapping_add(offset as u64) as usize;
    let mut shot = original.header;
    if name != 0 {
        shot.msg_name = place(size_of::<RecvmsgOut>()) as *mut _;
    }
    if control != 0 {
        shot.msg_control = place(size_of::<RecvmsgOut>() + name) as *mut _;
    }
    // SAFETY: `copy` made both headers, and a vector with room for one segment at least.
    unsafe {
        *original.header.msg_iov = segment(place(before) as u64, room);
        shot.msg_iovlen = 1;
        (*at(req)).shot = shot;
    }
    Ok(())
}

/// Writes the head in front of `n` bytes that came; what all of it is together.
pub fn write_head(req: Req, n: usize) -> Result<usize> {
    // SAFETY: made by `copy`, and `shot` by `lay_out`.
    let Message { header, shot, .. } = unsafe { at(req).read() };
    let head = RecvmsgOut {
        namelen: shot.msg_namelen as u32,
        controllen: shot.msg_controllen as u32,
        payloadlen: n as u32,
        flags: shot.msg_flags & !MSG_CMSG_COMPAT,
    };
    user::write(User::new(req.buffer.address), &head)?;
    let before = size_of::<RecvmsgOut>() + header.msg_namelen as usize + header.msg_controllen;
    // A datagram may have been longer than there was room for.
    let room = (req.buffer.len as usize).saturating_sub(before);
    Ok(before + n.min(room))
}

fn segment(address: u64, len: usize) -> Iovec {
    Iovec { iov_base: address as usize as *mut _, iov_len: len as _ }
}

/// What `recvmsg` tells through the header goes to the application's.
///
/// # Errors
/// `EFAULT`: it cannot be written there.
pub fn write_back(ring: &mut Locked<'_>, req: Req) -> Result<()> {
    // SAFETY: made by `copy`.
    let Message { header, from, .. } = unsafe { at(req).read() };
    let place = |offset: usize| from.wrapping_add(offset as u64);
    // Who says that it is a 32-bit program is answered like one.
    let compat = req.sqe.op_flags & MSG_CMSG_COMPAT != 0;
    let (name_at, flags_at) = match compat {
        true => (COMPAT_NAMELEN, COMPAT_FLAGS),
        false => (offset_of!(Msghdr, msg_namelen), offset_of!(Msghdr, msg_flags)),
    };
    if !header.msg_name.is_null() {
        user::write(User::new(place(name_at)), &(header.msg_namelen as u32))?;
    }
    user::write(User::new(place(flags_at)), &(header.msg_flags & !MSG_CMSG_COMPAT))?;
    let control = header.msg_controllen;
    if compat {
        user::write(User::new(place(COMPAT_CONTROLLEN)), &(control as u32))?;
    } else {
        let at = place(offset_of!(Msghdr, msg_controllen));
        user::write(User::new(at), &(control as u64))?;
    }
    let waited_for_all = req.sqe.op_flags & MSG_WAITALL != 0;
    if waited_for_all && header.msg_flags & (MSG_TRUNC | MSG_CTRUNC) != 0 {
        ring.fail(req);
    }
    Ok(())
}
