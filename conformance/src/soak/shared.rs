//! What needs a ring of its own: more completions than it holds, and a child that inherits it.

use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use sysring_sys::abi::io_uring::{self as uring, Params, Sqe, op};

use super::data::{self, Bytes};
use crate::random::Random;
use crate::raw::{Backend, Ring};

const LIMIT: Duration = Duration::from_secs(20);

fn ring(backend: &dyn Backend, entries: u32) -> Result<Ring<'_>, String> {
    Ring::new(backend, entries, Params::default()).map_err(|e| format!("no ring: {e}"))
}

/// Completions that find no room wait for it, in their order.
pub fn overflow(backend: &dyn Backend, random: &mut Random) -> Result<u64, String> {
    let mut ring = ring(backend, 8)?;
    let total = 8 * (4 + random.below(20));
    for first in (0..total).step_by(8) {
        for user_data in first..first + 8 {
            ring.push(Sqe { opcode: op::NOP, user_data, ..Sqe::default() }, None);
        }
        ring.publish();
        let taken = ring.enter(8, 0, 0);
        if taken != 8 {
            return Err(format!("overflow: {taken} of 8 are taken"));
        }
    }
    let start = Instant::now();
    let mut next = 0;
    while next < total {
        if ring.ready() == 0 {
            ring.enter(0, 0, uring::enter::GETEVENTS);
        }
        while let Some(cqe) = ring.take() {
            if cqe.user_data != next || cqe.res != 0 {
                return Err(format!("overflow: {cqe:?} where {next} was to come"));
            }
            next += 1;
        }
        if start.elapsed() > LIMIT {
            return Err(format!("overflow: {next} of {total} completions"));
        }
    }
    ring.enter(0, 0, uring::enter::GETEVENTS);
    match ring.take() {
        Some(cqe) => Err(format!("overflow: {cqe:?} behind the last")),
        None => Ok(total),
    }
}

/// What the child leaves behind, by its user data.
const WRITE: u64 = 1;
const NOTHING: u64 = 2;
const FOR_EVER: u64 = 3;

/// A child writes through the ring that it inherited, and exits with a read under way: that ends as
/// cancelled. The ring goes on to serve its parent.
pub fn fork(backend: &dyn Backend, random: &mut Random) -> Result<u64, String> {
    let mut ring = ring(backend, 8)?;
    let (reader, writer) = data::pipe();
    let (silent, waker) = data::pipe();
    let sent = Bytes::random(1 + random.below(4096) as usize, random);
    let into = Bytes::zeroed(16);
    // SAFETY: this process has one thread of its own; the child ends by `_exit`.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let right = in_child(&mut ring, &writer, &sent, &silent, &into);
        // SAFETY: ends the child, without the parent's exit handlers.
        unsafe { libc::_exit(i32::from(!right)) };
    }
    let mut status = -1;
    // SAFETY: `status` is an int.
    if child < 0 || unsafe { libc::waitpid(child, &raw mut status, 0) } != child || status != 0 {
        return Err(format!("fork: child {child} ended with status {status:#x}"));
    }
    let got = data::drain(&reader, sent.len());
    let bytes = data::same("fork", &got, sent.get())?;
    // The kernel cancels it when there is something to read, the engine when the child exits.
    data::feed(&waker, b"x");
    expect(&mut ring, FOR_EVER, -libc::ECANCELED)?;
    // The child moved the tail.
    ring.take_back();
    ring.push(Sqe { opcode: op::NOP, user_data: NOTHING, ..Sqe::default() }, None);
    ring.publish();
    ring.enter(1, 0, 0);
    expect(&mut ring, NOTHING, 0)?;
    match ring.take() {
        Some(cqe) => Err(format!("fork: {cqe:?} behind the last")),
        None => Ok(bytes),
    }
}

/// Waits for a completion: this one.
fn expect(ring: &mut Ring<'_>, user_data: u64, res: i32) -> Result<(), String> {
    let start = Instant::now();
    while ring.ready() == 0 && start.elapsed() < LIMIT {
        ring.wait(1, 100_000_000);
    }
    match ring.take() {
        Some(cqe) if cqe.user_data == user_data && cqe.res == res => Ok(()),
        other => Err(format!("fork: {other:?} where {user_data} was to end with {res}")),
    }
}

fn in_child(
    ring: &mut Ring<'_>,
    writer: &OwnedFd,
    sent: &Bytes,
    silent: &OwnedFd,
    into: &Bytes,
) -> bool {
    let bytes = |opcode, fd: &OwnedFd, bytes: &Bytes, user_data| Sqe {
        opcode,
        fd: fd.as_raw_fd(),
        addr: bytes.address(),
        len: bytes.len() as u32,
        user_data,
        ..Sqe::default()
    };
    ring.push(bytes(op::WRITE, writer, sent, WRITE), None);
    ring.push(Sqe { opcode: op::NOP, user_data: NOTHING, ..Sqe::default() }, None);
    ring.push(bytes(op::READ, silent, into, FOR_EVER), None);
    ring.publish();
    if ring.enter(3, 2, uring::enter::GETEVENTS) != 3 {
        return false;
    }
    let mut seen = 0;
    while let Some(cqe) = ring.take() {
        let right = match cqe.user_data {
            WRITE => cqe.res == sent.len() as i32,
            NOTHING => cqe.res == 0,
            _ => false,
        };
        if !right {
            return false;
        }
        seen += 1;
    }
    seen == 2
}
