//! Queues of another size, with what is in them.

use sysring_sys::abi::io_uring::{CqOffsets, Params, SqOffsets, setup};
use sysring_sys::{Errno, Result, User};

use crate::locked::Locked;
use crate::queues::Queues;
use crate::shape::Shape;
use crate::user;

/// What may be asked for anew, and what stays as the ring was made.
const ASKED: u32 = setup::CQSIZE | setup::CLAMP;
const KEPT: u32 = setup::NO_SQARRAY
    | setup::SQE128
    | setup::CQE32
    | setup::NO_MMAP
    | setup::CQE_MIXED
    | setup::SQE_MIXED;

pub fn resize(ring: &mut Locked<'_>, arg: User<u8>, nr_args: u32) -> Result<usize> {
    let made = ring.ring.shape();
    if arg.is_null() || nr_args != 1 || !made.has(setup::DEFER_TASKRUN) {
        return Err(Errno::EINVAL);
    }
    let mut given = user::read(arg.cast::<Params>())?;
    if given.flags & !ASKED != 0 {
        return Err(Errno::EINVAL);
    }
    given.flags |= made.flags & KEPT;
    let sizes = crate::setup::shape(given.sq_entries, &given)?;
    let shape = Shape { flags: made.flags, ..sizes };
    let queues = Queues::new(shape, &given)?;
    (given.sq_entries, given.cq_entries) = (shape.sq_entries, shape.cq_entries);
    let lent_at = |address| if made.has(setup::NO_MMAP) { address } else { 0 };
    given.sq_off = SqOffsets { user_addr: lent_at(given.sq_off.user_addr), ..shape.sq_offsets() };
    given.cq_off = CqOffsets { user_addr: lent_at(given.cq_off.user_addr), ..shape.cq_offsets() };
    user::write(arg.cast(), &given)?;
    ring.move_queues(shape, queues).map(|()| 0)
}
