//! What there is to be had, without trying.

use core::mem::size_of;

use sysring_sys::abi::io_uring::{QueryHead, QueryOpcodes, op, register, sqe_flags};
use sysring_sys::{Errno, Result, User};

use crate::user;

/// Queries a chain may hold: it may be a circle.
const MOST: u32 = 1000;

/// What is operations, register calls, features and flags.
const OPCODES: u32 = 0;
/// All queries there are.
const KNOWN: [u32; 1] = [OPCODES];

/// Answers a chain of queries, each in its own head.
pub fn query(arg: User<u8>, nr_args: u32) -> Result<usize> {
    if nr_args != 0 {
        return Err(Errno::EINVAL);
    }
    let mut at = arg.cast::<QueryHead>();
    for _ in 0..MOST {
        if at.is_null() {
            return Ok(0);
        }
        at = answer(at)?;
    }
    Err(Errno::ERANGE)
}

/// One of them; where the next lies.
fn answer(at: User<QueryHead>) -> Result<User<QueryHead>> {
    let mut head = user::read(at)?;
    let (to, room) = (User::<u8>::new(head.query_data), head.size as usize);
    let mut known = 0;
    if !KNOWN.contains(&head.query_op) {
        head.result = Errno::EOPNOTSUPP.to_res();
    } else if head.resv != [0; 3] || head.result != 0 || room == 0 {
        head.result = Errno::EINVAL.to_res();
    } else {
        user::readable(to, room.min(size_of::<QueryOpcodes>()))?;
        known = size_of::<QueryOpcodes>();
    }
    head.size = room.min(known) as u32;
    user::write_slice(to, &bytes(&opcodes())[..head.size as usize])?;
    zero(to.add(head.size as usize), room - head.size as usize)?;
    user::write(at, &head)?;
    Ok(User::new(head.next_entry))
}

fn opcodes() -> QueryOpcodes {
    QueryOpcodes {
        nr_request_opcodes: op::COUNT as u32,
        nr_register_opcodes: register::COUNT as u32,
        feature_flags: crate::FEATURES.into(),
        ring_setup_flags: crate::SETUP_FLAGS.into(),
        enter_flags: crate::ENTER_FLAGS.into(),
        sqe_flags: sqe_flags::ALL.into(),
        nr_query_opcodes: KNOWN.len() as u32,
        pad: 0,
    }
}

fn bytes(answer: &QueryOpcodes) -> &[u8; size_of::<QueryOpcodes>()] {
    // SAFETY: integers without padding are bytes.
    unsafe { &*core::ptr::from_ref(answer).cast() }
}

/// What an application knows of that we do not is zero.
fn zero(to: User<u8>, len: usize) -> Result<()> {
    let zeroes = [0u8; 64];
    for from in (0..len).step_by(zeroes.len()) {
        user::write_slice(to.add(from), &zeroes[..zeroes.len().min(len - from)])?;
    }
    Ok(())
}
