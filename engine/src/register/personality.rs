//! Credentials for requests.

use sysring_sys::{Errno, Result, User};

use super::no_argument;
use crate::locked::Locked;

pub fn register(ring: &mut Locked<'_>, arg: User<u8>, nr_args: u32) -> Result<usize> {
    no_argument(arg, nr_args)?;
    ring.personalities.register().map(usize::from)
}

pub fn unregister(ring: &mut Locked<'_>, arg: User<u8>, number: u32) -> Result<usize> {
    if !arg.is_null() {
        return Err(Errno::EINVAL);
    }
    ring.personalities.unregister(number).map(|()| 0)
}
