//! The workers: how many, and on which processors. One crew serves all rings of a process.

use sysring_sys::{Errno, Result, User};

use super::no_argument;
use crate::{user, wq_limits};

/// The largest mask of processors the engine passes on.
const MASK: usize = size_of::<wq_limits::Processors>();

/// Sets the limits that are not 0, and answers the old ones.
pub fn most(arg: User<u8>, nr_args: u32) -> Result<usize> {
    if arg.is_null() || nr_args != 2 {
        return Err(Errno::EINVAL);
    }
    let given = user::read(arg.cast::<[u32; 2]>())?;
    if given.iter().any(|&limit| limit > i32::MAX as u32) {
        return Err(Errno::EINVAL);
    }
    user::write(arg.cast(), &wq_limits::limit(given)).map(|()| 0)
}

pub fn bind(arg: User<u8>, len: u32) -> Result<usize> {
    if arg.is_null() || len == 0 {
        return Err(Errno::EINVAL);
    }
    let mut mask = [0u8; MASK];
    user::read_slice(&mut mask[..MASK.min(len as usize)], arg)?;
    let mut processors = wq_limits::Processors::default();
    for (word, bytes) in processors.iter_mut().zip(mask.chunks_exact(8)) {
        *word = bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
    }
    wq_limits::bind(Some(processors));
    Ok(0)
}

pub fn unbind(arg: User<u8>, nr_args: u32) -> Result<usize> {
    no_argument(arg, nr_args)?;
    wq_limits::bind(None);
    Ok(0)
}
