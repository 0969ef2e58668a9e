//! What is copied of a call that goes on without its submitter, and what a transfer that has moved
//! in part goes on with.

use sysring_sys::abi::{IOV_MAX, Iovec, Msghdr, PATH_MAX};
use sysring_sys::{Errno, Result, User};

use super::table::{self, Keep, Moves};
use crate::op::ADDRESS_END;
use crate::request::Req;
use crate::user;

/// Structures that are copied are no longer.
const STRUCTURE_MAX: usize = 256;

/// Copies what the submitter may reuse once the call is pending. What cannot be read now is not read
/// later either, when something else may be there: the call finds an address that nobody has, and
/// says so if it comes to look.
///
/// # Errors
/// `ENOMEM`, and others that memory could not be read for.
pub fn copy(mut req: Req) -> Result<()> {
    let Some(row) = table::row(req.call.nr) else { return Ok(()) };
    let mut sizes = [0usize; 6];
    for (size, keep) in sizes.iter_mut().zip(row.keeps) {
        *size = match size_of_copy(req, *keep) {
            Ok(size) => size.next_multiple_of(8),
            Err(e) => {
                lose(req, *keep, e)?;
                0
            }
        };
    }
    let all: usize = sizes.iter().sum();
    if all == 0 {
        return Ok(());
    }
    let mut at = req.copied.reserve(all)?.as_ptr();
    for (&size, keep) in sizes.iter().zip(row.keeps) {
        if size != 0 {
            match copy_one(req, *keep, at, size) {
                Ok(()) => req.call.args[keep.argument()] = at as usize,
                Err(e) => lose(req, *keep, e)?,
            }
        }
        // SAFETY: the block has room for all sizes, one after the other.
        at = unsafe { at.add(size) };
    }
    Ok(())
}

/// What an argument points to cannot be read.
fn lose(mut req: Req, keep: Keep, e: Errno) -> Result<()> {
    if e != Errno::EFAULT {
        return Err(e);
    }
    req.call.args[keep.argument()] = ADDRESS_END as usize;
    Ok(())
}

fn size_of_copy(req: Req, keep: Keep) -> Result<usize> {
    let args = &req.call.args;
    let given = args[keep.argument()];
    if given == 0 {
        return Ok(0);
    }
    Ok(match keep {
        Keep::Path(_) => path_len(User::new(given as u64))?,
        Keep::Structure(_, size) => size,
        Keep::Sized(_, at) if args[at] <= STRUCTURE_MAX => args[at],
        Keep::Vector(_, at) if args[at] <= IOV_MAX => args[at] * size_of::<Iovec>(),
        Keep::Message(_) => {
            let header = user::read::<Msghdr>(User::new(given as u64))?;
            if header.msg_iovlen > IOV_MAX {
                return Ok(0);
            }
            size_of::<Msghdr>() + header.msg_iovlen * size_of::<Iovec>()
        }
        Keep::Sized(..) | Keep::Vector(..) => 0,
    })
}

fn copy_one(req: Req, keep: Keep, to: *mut u8, size: usize) -> Result<()> {
    let from = User::<u8>::new(req.call.args[keep.argument()] as u64);
    let len = match keep {
        Keep::Path(_) => return copy_path(from, to, size),
        Keep::Message(_) => return copy_message(from.cast(), to, size),
        Keep::Structure(_, len) => len,
        Keep::Sized(_, at) => req.call.args[at],
        Keep::Vector(_, at) => req.call.args[at] * size_of::<Iovec>(),
    };
    read(from, to, len.min(size))
}

fn read(from: User<u8>, to: *mut u8, len: usize) -> Result<()> {
    // SAFETY: the caller gives room for that many bytes of its block, which is mapped and zeroed or
    // was written before.
    user::read_slice(unsafe { core::slice::from_raw_parts_mut(to, len) }, from)
}

/// Copies a path. One that changes meanwhile is cut where it ended first; one longer than `PATH_MAX` is
/// copied without its end, so that the call answers `ENAMETOOLONG`.
fn copy_path(from: User<u8>, to: *mut u8, size: usize) -> Result<()> {
    let len = path_len(from)?.min(size);
    read(from, to, len)?;
    if len < PATH_MAX {
        // SAFETY: the last byte of what was just written.
        unsafe { to.add(len - 1).write(0) };
    }
    Ok(())
}

/// The length of a path with its NUL, read up to the end of a page at a time; `PATH_MAX` also of
/// one that is longer.
fn path_len(from: User<u8>) -> Result<usize> {
    let mut len = 0;
    while len < PATH_MAX {
        let mut some = [0u8; 256];
        let at = from.add(len);
        let step = (some.len() - at.address() as usize % some.len()).min(PATH_MAX - len);
        user::read_slice(&mut some[..step], at)?;
        match some[..step].iter().position(|&byte| byte == 0) {
            Some(end) => return Ok(len + end + 1),
            None => len += step,
        }
    }
    Ok(PATH_MAX)
}

/// A message's header and its vector. What they point to stays the submitter's.
fn copy_message(from: User<Msghdr>, to: *mut u8, size: usize) -> Result<()> {
    let mut header = user::read(from)?;
    let len = header.msg_iovlen.saturating_mul(size_of::<Iovec>());
    if len > size - size_of::<Msghdr>() {
        return Err(Errno::EINVAL);
    }
    // SAFETY: the block has room for the header and, behind it, the vector.
    let vector = unsafe { to.add(size_of::<Msghdr>()) };
    read(User::of(header.msg_iov).cast(), vector, len)?;
    header.msg_iov = vector.cast();
    // SAFETY: the block has room for the header, and is aligned to 64.
    unsafe { to.cast::<Msghdr>().write(header) };
    Ok(())
}

/// Goes on behind `n` bytes that a transfer has moved; whether it can. A vector must have been
/// copied for that: the application's is not ours to change.
#[must_use]
pub fn advance(mut req: Req, n: usize) -> bool {
    let Some(row) = table::row(req.call.nr) else { return false };
    let moves = row.moves;
    let needs_copy = matches!(moves, Moves::Vector | Moves::VectorAt | Moves::Message);
    if needs_copy && !req.copied.holds(req.call.args[1]) {
        return false;
    }
    let args = &mut req.call.args;
    match moves {
        Moves::Nothing => {}
        Moves::Flat => {
            args[1] = args[1].wrapping_add(n);
            args[2] = args[2].saturating_sub(n);
        }
        Moves::FlatAt => {
            args[1] = args[1].wrapping_add(n);
            args[2] = args[2].saturating_sub(n);
            args[3] = args[3].wrapping_add(n);
        }
        Moves::Vector => (args[1], args[2]) = behind(args[1], args[2], n),
        Moves::VectorAt => {
            (args[1], args[2]) = behind(args[1], args[2], n);
            // -1 is the file's own position, which has moved by itself.
            if args[3] as isize >= 0 {
                args[3] = args[3].wrapping_add(n);
            }
        }
        Moves::Message => {
            // SAFETY: in the request's block, where `copy_message` has put a header and its vector.
            let header = unsafe { &mut *(args[1] as *mut Msghdr) };
            let (vector, count) = behind(header.msg_iov as usize, header.msg_iovlen, n);
            (header.msg_iov, header.msg_iovlen) = (vector as *mut Iovec, count);
            // What goes along with the data has gone with its first byte.
            (header.msg_control, header.msg_controllen) = (core::ptr::null_mut(), 0);
        }
    }
    true
}

/// What is left of a copied vector behind `n` bytes.
fn behind(mut vector: usize, mut count: usize, mut n: usize) -> (usize, usize) {
    while count != 0 && n != 0 {
        // SAFETY: the copy of the vector is the request's, and has `count` members left.
        let member = unsafe { &mut *(vector as *mut Iovec) };
        let len = member.iov_len as usize;
        if n < len {
            member.iov_base = member.iov_base.cast::<u8>().wrapping_add(n).cast();
            member.iov_len = (len - n) as _;
            break;
        }
        n -= len;
        vector += size_of::<Iovec>();
        count -= 1;
    }
    (vector, count)
}
