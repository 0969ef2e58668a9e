//! Filters for the operations of a ring, or of all rings to come.

use sysring_sys::abi::io_uring::{Bpf, bpf, op};
use sysring_sys::{Errno, Result, User};

use crate::cbpf::Program;
use crate::filter::{Filters, SILENT};
use crate::locked::Locked;
use crate::op::table;
use crate::user;

pub fn register(ring: &mut Locked<'_>, arg: User<u8>, nr_args: u32) -> Result<usize> {
    if nr_args != 1 {
        return Err(Errno::EINVAL);
    }
    add(&mut ring.filters, arg.cast()).map(|()| 0)
}

/// Adds the filter that `at` describes.
pub fn add(filters: &mut Filters, at: User<Bpf>) -> Result<()> {
    let mut given = user::read(at)?;
    let wrong = given.cmd_type != bpf::CMD_FILTER
        || given.cmd_flags != 0
        || given.resv != 0
        || given.opcode as usize >= op::COUNT
        || given.flags & !(bpf::DENY_REST | bpf::SZ_STRICT) != 0
        || given.filter_resv != [0; 3]
        || given.resv2 != [0; 5]
        || given.filter_len == 0;
    if wrong {
        return Err(Errno::EINVAL);
    }
    let opcode = given.opcode as u8;
    let size = table::row(opcode).map_or(SILENT.size, |row| row.teller.size);
    let strict = given.flags & bpf::SZ_STRICT != 0;
    // A program that expects more than there is would read what means nothing.
    let fits = given.pdu_size == size || given.pdu_size < size && !strict;
    given.pdu_size = size;
    user::write(at, &given)?;
    if !fits {
        return Err(Errno::EMSGSIZE);
    }
    let program = Program::read(User::new(given.filter_ptr), given.filter_len)?;
    filters.add(opcode, program, given.flags & bpf::DENY_REST != 0)
}
