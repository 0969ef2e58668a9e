//! Files and buffers: the register calls that fill and change their tables.

use sysring_sys::abi::io_uring::{
    FileIndexRange, FilesUpdate, RSRC_REGISTER_SPARSE, RsrcRegister, RsrcUpdate2,
};
use sysring_sys::{Errno, Result, User};

use super::{no_argument, required};
use crate::locked::Locked;
use crate::{filetable, rsrc, user};

pub fn buffers(ring: &mut Locked<'_>, arg: User<u8>, nr_args: u32) -> Result<usize> {
    rsrc::register(ring, arg.cast(), User::NULL, required(arg, nr_args)?)
}

pub fn unregister_buffers(ring: &mut Locked<'_>, arg: User<u8>, nr_args: u32) -> Result<usize> {
    no_argument(arg, nr_args)?;
    rsrc::unregister(ring)
}

pub fn files(ring: &mut Locked<'_>, arg: User<u8>, nr_args: u32) -> Result<usize> {
    filetable::register(ring, arg.cast(), User::NULL, required(arg, nr_args)?)
}

pub fn unregister_files(ring: &mut Locked<'_>, arg: User<u8>, nr_args: u32) -> Result<usize> {
    no_argument(arg, nr_args)?;
    filetable::unregister(ring)
}

pub fn files_update(ring: &mut Locked<'_>, arg: User<u8>, nr_args: u32) -> Result<usize> {
    if nr_args == 0 {
        return Err(Errno::EINVAL);
    }
    let update = user::read(arg.cast::<FilesUpdate>())?;
    if update.resv != 0 {
        return Err(Errno::EINVAL);
    }
    filetable::update(ring, update.offset, User::new(update.fds), User::NULL, nr_args)
}

pub fn files2(ring: &mut Locked<'_>, arg: User<u8>, size: u32) -> Result<usize> {
    let given = register2(arg, size)?;
    filetable::register(ring, User::new(given.data), User::new(given.tags), given.nr)
}

pub fn buffers2(ring: &mut Locked<'_>, arg: User<u8>, size: u32) -> Result<usize> {
    let given = register2(arg, size)?;
    rsrc::register(ring, User::new(given.data), User::new(given.tags), given.nr)
}

fn register2(arg: User<u8>, size: u32) -> Result<RsrcRegister> {
    if size as usize != size_of::<RsrcRegister>() {
        return Err(Errno::EINVAL);
    }
    let given = user::read(arg.cast::<RsrcRegister>())?;
    if given.nr == 0 || given.resv2 != 0 || given.flags & !RSRC_REGISTER_SPARSE != 0 {
        return Err(Errno::EINVAL);
    }
    if given.flags & RSRC_REGISTER_SPARSE != 0 && given.data != 0 {
        return Err(Errno::EINVAL);
    }
    Ok(given)
}

pub fn files_update2(ring: &mut Locked<'_>, arg: User<u8>, size: u32) -> Result<usize> {
    let given = update2(arg, size)?;
    let (data, tags) = (User::new(given.data), User::new(given.tags));
    filetable::update(ring, given.offset, data, tags, given.nr)
}

pub fn buffers_update(ring: &mut Locked<'_>, arg: User<u8>, size: u32) -> Result<usize> {
    let given = update2(arg, size)?;
    let (data, tags) = (User::new(given.data), User::new(given.tags));
    rsrc::update(ring, given.offset, data, tags, given.nr)
}

fn update2(arg: User<u8>, size: u32) -> Result<RsrcUpdate2> {
    if size as usize != size_of::<RsrcUpdate2>() {
        return Err(Errno::EINVAL);
    }
    let given = user::read(arg.cast::<RsrcUpdate2>())?;
    if given.nr == 0 || given.resv != 0 || given.resv2 != 0 {
        return Err(Errno::EINVAL);
    }
    Ok(given)
}

pub fn file_range(ring: &mut Locked<'_>, arg: User<u8>, nr_args: u32) -> Result<usize> {
    if arg.is_null() || nr_args != 0 {
        return Err(Errno::EINVAL);
    }
    let range = user::read(arg.cast::<FileIndexRange>())?;
    range.off.checked_add(range.len).ok_or(Errno::EOVERFLOW)?;
    if range.resv != 0 {
        return Err(Errno::EINVAL);
    }
    ring.files.set_range(range.off, range.len).map(|()| 0)
}
