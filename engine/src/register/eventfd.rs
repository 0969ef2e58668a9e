//! The eventfd that is told of completions.

use sysring_sys::{Errno, Fd, Result, User, call};

use super::no_argument;
use crate::complete::Eventfd;
use crate::locked::Locked;
use crate::{descriptors, user};

pub fn eventfd(ring: &mut Locked<'_>, arg: User<u8>, nr_args: u32) -> Result<usize> {
    tell_eventfd(ring, arg, nr_args, false)
}

pub fn eventfd_async(ring: &mut Locked<'_>, arg: User<u8>, nr_args: u32) -> Result<usize> {
    tell_eventfd(ring, arg, nr_args, true)
}

pub fn unregister_eventfd(ring: &mut Locked<'_>, arg: User<u8>, nr_args: u32) -> Result<usize> {
    no_argument(arg, nr_args)?;
    let old = ring.eventfd.take().ok_or(Errno::ENXIO)?;
    descriptors::let_go(old.fd);
    Ok(0)
}

fn tell_eventfd(
    ring: &mut Locked<'_>,
    arg: User<u8>,
    nr_args: u32,
    only_async: bool,
) -> Result<usize> {
    if nr_args != 1 {
        return Err(Errno::EINVAL);
    }
    if ring.eventfd.is_some() {
        return Err(Errno::EBUSY);
    }
    let fd = Fd::new(user::read(arg.cast::<i32>())?);
    if !call::is_eventfd(fd)? {
        return Err(Errno::EINVAL);
    }
    let fd = descriptors::duplicate(fd)?;
    ring.eventfd = Some(Eventfd { fd, only_async });
    Ok(0)
}
