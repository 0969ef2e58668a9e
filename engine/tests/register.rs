//! Register calls, on the engine directly.

mod client;

use client::{Client, sqe};
use sysring_sys::abi::io_uring::{
    Restriction, Sqe, TaskRestriction, op, register, restriction, setup, sqe_flags,
};
use sysring_sys::{Errno, User};

fn call<T: ?Sized>(ring: &Client, number: u32, arg: &T, count: u32) -> Result<usize, Errno> {
    let arg = User::of(core::ptr::from_ref(arg).cast::<u8>());
    sysring_engine::register(ring.fd.raw() as u32, number, arg, count)
}

fn plain(ring: &Client, number: u32) -> Result<usize, Errno> {
    sysring_engine::register(ring.fd.raw() as u32, number, User::NULL, 0)
}

/// Submits one request; its result.
fn one(ring: &mut Client, sqe: Sqe) -> i32 {
    ring.push(sqe);
    assert_eq!(ring.enter(1, 1), Ok(1));
    ring.reap()[0].res
}

fn allow(opcode: u16, what: u8) -> Restriction {
    Restriction { opcode, what, ..Restriction::default() }
}

#[test]
fn a_restricted_ring_takes_what_it_was_told_of() {
    let mut ring = Client::new(8, setup::R_DISABLED);
    let list = [
        allow(restriction::SQE_OP, op::NOP),
        allow(restriction::SQE_FLAGS_ALLOWED, sqe_flags::IO_DRAIN),
        allow(restriction::REGISTER_OP, register::ENABLE_RINGS as u8),
    ];
    let unknown = [allow(restriction::SQE_OP, 200)];
    assert_eq!(call(&ring, register::RESTRICTIONS, &unknown, 1), Err(Errno::EINVAL));
    assert_eq!(call(&ring, register::RESTRICTIONS, &list, 3), Ok(0));
    assert_eq!(call(&ring, register::RESTRICTIONS, &list, 3), Err(Errno::EBUSY));
    // Until it is enabled it takes every call.
    assert_eq!(plain(&ring, register::PERSONALITY), Ok(1));
    assert_eq!(plain(&ring, register::ENABLE_RINGS), Ok(0));
    assert_eq!(plain(&ring, register::PERSONALITY), Err(Errno::EACCES));
    assert_eq!(plain(&ring, register::ENABLE_RINGS), Err(Errno::EBADFD));
    assert_eq!(one(&mut ring, sqe(op::NOP, -1, 1)), 0);
    assert_eq!(one(&mut ring, sqe(op::CLOSE, -1, 1)), Errno::EACCES.to_res());
    for (flags, res) in [(sqe_flags::IO_DRAIN, 0), (sqe_flags::ASYNC, Errno::EACCES.to_res())] {
        assert_eq!(one(&mut ring, Sqe { flags, ..sqe(op::NOP, -1, 1) }), res);
    }
}

#[test]
fn only_a_disabled_ring_can_be_restricted() {
    let ring = Client::new(8, 0);
    let list = [allow(restriction::SQE_OP, op::NOP)];
    assert_eq!(call(&ring, register::RESTRICTIONS, &list, 1), Err(Errno::EBADFD));
    let ring = Client::new(8, setup::R_DISABLED);
    assert_eq!(plain(&ring, register::ENABLE_RINGS), Ok(0));
    assert_eq!(call(&ring, register::RESTRICTIONS, &list, 1), Err(Errno::EBADFD));
}

/// In a child, as what is restricted stays so.
#[test]
fn a_restricted_process_makes_restricted_rings() {
    #[repr(C)]
    struct Task {
        head: TaskRestriction,
        list: [Restriction; 1],
    }
    // SAFETY: the child uses nothing that another thread may have locked, and leaves without
    // running anything of the test harness.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let task = Task {
            head: TaskRestriction { nr_res: 1, ..TaskRestriction::default() },
            list: [allow(restriction::SQE_OP, op::NOP)],
        };
        let arg = User::of((&raw const task).cast::<u8>());
        // SAFETY: only takes privileges away.
        unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
        let restrict = || sysring_engine::register(u32::MAX, register::RESTRICTIONS, arg, 1);
        let answers = [restrict(), restrict()];
        let mut ring = Client::new(8, 0);
        let results = [one(&mut ring, sqe(op::NOP, -1, 1)), one(&mut ring, sqe(op::CLOSE, -1, 1))];
        let right = answers == [Ok(0), Err(Errno::EPERM)]
            && results == [0, Errno::EACCES.to_res()]
            // Register calls were not spoken of.
            && plain(&ring, register::PERSONALITY) == Ok(1);
        // SAFETY: ends the child.
        unsafe { libc::_exit(i32::from(!right)) };
    }
    let mut status = 0;
    // SAFETY: our child, and room for its status.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(status, 0);
}
