//! `REGISTER_PROBE`: what the table says.

use sysring_sys::abi::io_uring::{OP_SUPPORTED, Probe, ProbeOp, op};
use sysring_sys::{Errno, Result, User};

use crate::op::table;
use crate::user;

pub fn probe(arg: User<u8>, nr_args: u32) -> Result<usize> {
    if arg.is_null() || nr_args > 256 {
        return Err(Errno::EINVAL);
    }
    let count = nr_args.min(op::COUNT as u32);
    let head = user::read(arg.cast::<Probe>())?;
    if head.last_op != 0 || head.ops_len != 0 || head.resv != 0 || head.resv2 != [0; 3] {
        return Err(Errno::EINVAL);
    }
    let ops = arg.add(size_of::<Probe>()).cast::<ProbeOp>();
    for i in 0..count as usize {
        let given = user::read(ops.add(i))?;
        if given.op != 0 || given.resv != 0 || given.flags != 0 || given.resv2 != 0 {
            return Err(Errno::EINVAL);
        }
    }
    for i in 0..count {
        let supported = table::row(i as u8).is_some();
        let flags = if supported { OP_SUPPORTED } else { 0 };
        user::write(ops.add(i as usize), &ProbeOp { op: i as u8, flags, ..ProbeOp::default() })?;
    }
    let head = Probe { last_op: op::COUNT as u8 - 1, ops_len: count as u8, ..Probe::default() };
    user::write(arg.cast(), &head).map(|()| 0)
}
