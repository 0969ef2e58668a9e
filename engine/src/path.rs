//! Copies of path names, as `getname` makes them when a request is prepared.

use sysring_sys::abi::PATH_MAX;
use sysring_sys::{Errno, Result, User};

use crate::request::Req;
use crate::user;

/// Room for the paths as they mostly are.
pub const SHORT: usize = 512;

/// Copies one path.
///
/// # Errors
/// `EFAULT`, `ENAMETOOLONG`, `ENOENT` for an empty one, as the kernel's.
pub fn copy(req: Req, from: User<u8>) -> Result<()> {
    copy_all(req, [Some((from, false)), None])
}

/// Copies one path that may be empty where `AT_EMPTY_PATH` is among the flags.
pub fn copy_or_empty(req: Req, from: User<u8>, flags: u32) -> Result<()> {
    let empty_ok = flags & sysring_sys::raw::general::AT_EMPTY_PATH != 0;
    copy_all(req, [Some((from, empty_ok)), None])
}

/// Copies two paths.
pub fn copy_two(req: Req, first: User<u8>, second: User<u8>) -> Result<()> {
    copy_all(req, [Some((first, false)), Some((second, false))])
}

/// Copies two paths, of which the first may be empty where `AT_EMPTY_PATH` is among the flags.
pub fn copy_two_or_empty(req: Req, first: User<u8>, second: User<u8>, flags: u32) -> Result<()> {
    let empty_ok = flags & sysring_sys::raw::general::AT_EMPTY_PATH != 0;
    copy_all(req, [Some((first, empty_ok)), Some((second, false))])
}

/// The first path's copy.
#[must_use]
pub fn first(req: Req) -> User<u8> {
    req.copied.start().map_or(User::NULL, |start| User::of(start.as_ptr()))
}

/// The second path's copy.
#[must_use]
pub fn second(req: Req) -> User<u8> {
    first(req).add(req.scratch[0] as usize)
}

fn copy_all(mut req: Req, paths: [Option<(User<u8>, bool)>; 2]) -> Result<()> {
    for room in [SHORT, 2 * PATH_MAX] {
        let start = req.copied.reserve(room)?;
        // SAFETY: the block is that large, was written when it was mapped, and is nobody else's.
        let block = unsafe { core::slice::from_raw_parts_mut(start.as_ptr(), room) };
        match copy_into(req, block, paths) {
            Err(Errno::ENAMETOOLONG) if room == SHORT => {}
            answer => return answer,
        }
    }
    Err(Errno::ENAMETOOLONG)
}

fn copy_into(mut req: Req, block: &mut [u8], paths: [Option<(User<u8>, bool)>; 2]) -> Result<()> {
    let mut used = 0;
    for (i, (from, empty_ok)) in paths.into_iter().flatten().enumerate() {
        if i == 1 {
            req.scratch[0] = used as u64;
        }
        let len = read_path(&mut block[used..], from)?;
        if len == 0 && !empty_ok {
            return Err(Errno::ENOENT);
        }
        used += len + 1;
    }
    Ok(())
}

/// Reads up to the NUL, a page's rest at a time, so that a string at the end of its mapping does
/// not fault for what lies behind it. The length without the NUL; `ENAMETOOLONG` where there is no
/// room for one.
pub fn read_path(to: &mut [u8], from: User<u8>) -> Result<usize> {
    let room = to.len().min(PATH_MAX);
    let mut len = 0;
    while len < room {
        let at = from.add(len);
        let step = (256 - (at.address() as usize % 256)).min(room - len);
        user::read_slice(&mut to[len..len + step], at)?;
        match to[len..len + step].iter().position(|&b| b == 0) {
            Some(end) => return Ok(len + end),
            None => len += step,
        }
    }
    Err(Errno::ENAMETOOLONG)
}
