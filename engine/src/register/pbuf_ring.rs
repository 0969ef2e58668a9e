//! Rings of provided buffers.

use sysring_sys::abi::io_uring::{BufReg, BufStatus, pbuf_ring};
use sysring_sys::{Errno, Result, User};

use crate::kbuf::Shape;
use crate::locked::Locked;
use crate::memory::{PAGE, pages};
use crate::region::Region;
use crate::{rsrc, user};

/// Head and tail are 16 bits: a full ring must not look like an empty one.
const MOST: u32 = 1 << 15;

pub fn register(ring: &mut Locked<'_>, arg: User<u8>, nr_args: u32) -> Result<usize> {
    let given = read(arg, nr_args)?;
    if given.flags & !(pbuf_ring::MMAP | pbuf_ring::INC) != 0 {
        return Err(Errno::EINVAL);
    }
    if !given.ring_entries.is_power_of_two() || given.ring_entries > MOST {
        return Err(Errno::EINVAL);
    }
    let incremental = given.flags & pbuf_ring::INC != 0;
    if given.min_left != 0 && !incremental {
        return Err(Errno::EINVAL);
    }
    let mut shape = Shape {
        at: None,
        entries: given.ring_entries,
        incremental: incremental.then_some(given.min_left.max(1)),
    };
    if given.flags & pbuf_ring::MMAP == 0 {
        let at = given.ring_addr as usize;
        if at == 0 {
            return Err(Errno::EFAULT);
        }
        if !at.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        rsrc::populate(at, pages(given.ring_entries as usize * 16))?;
        shape.at = Some(User::new(given.ring_addr));
    }
    ring.groups.register_ring(given.bgid, &shape)?;
    let memory = ring.groups.mapping(given.bgid).and_then(Region::file_to_map);
    ring.open_window(memory);
    Ok(0)
}

pub fn unregister(ring: &mut Locked<'_>, arg: User<u8>, nr_args: u32) -> Result<usize> {
    let given = read(arg, nr_args)?;
    if given.flags != 0 {
        return Err(Errno::EINVAL);
    }
    ring.groups.unregister_ring(given.bgid).map(|()| 0)
}

pub fn status(ring: &mut Locked<'_>, arg: User<u8>, nr_args: u32) -> Result<usize> {
    if arg.is_null() || nr_args != 1 {
        return Err(Errno::EINVAL);
    }
    let mut status = user::read(arg.cast::<BufStatus>())?;
    if status.resv != [0; 8] {
        return Err(Errno::EINVAL);
    }
    let group = u16::try_from(status.buf_group).map_err(|_| Errno::ENOENT)?;
    status.head = u32::from(ring.groups.head(group)?);
    user::write(arg.cast(), &status).map(|()| 0)
}

fn read(arg: User<u8>, nr_args: u32) -> Result<BufReg> {
    if arg.is_null() || nr_args != 1 {
        return Err(Errno::EINVAL);
    }
    let given = user::read(arg.cast::<BufReg>())?;
    if given.resv == [0; 5] { Ok(given) } else { Err(Errno::EINVAL) }
}
