//! Tasks that wait: timers, polls, and what is cancelled.

use std::os::fd::AsRawFd;

use sysring_sys::abi::io_uring::{Sqe, op, poll, sqe_flags};

use super::data::{self, Bytes};
use super::round::{Expect, Round};
use crate::random::Random;

const CANCELED: Expect = Expect::Is(-libc::ECANCELED);
/// What cancels finds it waiting, or just at work.
const FOUND: Expect = Expect::Either(0, -libc::EALREADY);

fn timer(opcode: u8, time: &[i64; 2]) -> Sqe {
    Sqe { opcode, fd: -1, addr: time.as_ptr() as u64, len: 1, ..Sqe::default() }
}

/// One that runs out, one that is removed, and one that ends what it is linked to.
pub fn timers(round: &mut Round, random: &mut Random) {
    let soon = Box::new([0, 1 + random.below(5_000_000) as i64]);
    let late = Box::new([1000, 0]);
    let (reader, writer) = data::pipe();
    let byte = Bytes::zeroed(1);
    round.add("timeout", Expect::Is(-libc::ETIME), timer(op::TIMEOUT, &soon));
    let waits = round.add("late timeout", CANCELED, timer(op::TIMEOUT, &late));
    let addr = round.user_data(waits);
    let remove = Sqe { opcode: op::TIMEOUT_REMOVE, fd: -1, addr, ..Sqe::default() };
    round.add("remove timeout", Expect::Is(0), remove);
    let flags = sqe_flags::IO_LINK;
    round.add("read in time", CANCELED, Sqe { flags, ..read(&reader, &byte) });
    round.add("link timeout", Expect::Is(-libc::ETIME), timer(op::LINK_TIMEOUT, &soon));
    round.check(move |_| {
        drop((soon, late, reader, writer, byte));
        Ok(0)
    });
}

fn read(fd: &impl AsRawFd, into: &Bytes) -> Sqe {
    let (addr, len) = (into.address(), into.len() as u32);
    Sqe { opcode: op::READ, fd: fd.as_raw_fd(), addr, len, ..Sqe::default() }
}

fn cancel(round: &Round, index: usize) -> Sqe {
    let addr = round.user_data(index);
    Sqe { opcode: op::ASYNC_CANCEL, fd: -1, addr, ..Sqe::default() }
}

/// One that waits for what comes after the submission, and one that tells many times until it is
/// cancelled.
pub fn polls(round: &mut Round) {
    let (quiet, ready) = (data::eventfd(0), data::eventfd(1));
    let input = libc::POLLIN as u32;
    let sqe = |fd: &std::os::fd::OwnedFd| Sqe {
        opcode: op::POLL_ADD,
        fd: fd.as_raw_fd(),
        op_flags: input,
        ..Sqe::default()
    };
    round.add("poll", Expect::Is(input as i32), sqe(&quiet));
    let multi = Sqe { len: poll::ADD_MULTI, ..sqe(&ready) };
    let several = round.add("multishot poll", CANCELED, multi);
    let ends = cancel(round, several);
    round.add("cancel a poll", FOUND, ends);
    let waker = quiet.try_clone().expect("a descriptor");
    round.then(move || data::feed(&waker, &1_u64.to_ne_bytes()));
    round.check(move |_| {
        drop((quiet, ready));
        Ok(0)
    });
}

/// A read and a receive that nothing ever comes for.
pub fn cancels(round: &mut Round) {
    let ((reader, writer), (peer, receiver)) = (data::pipe(), data::pair());
    let (here, there) = (Bytes::zeroed(16), Bytes::zeroed(16));
    let reads = round.add("read for ever", CANCELED, read(&reader, &here));
    let receive = Sqe { opcode: op::RECV, ..read(&receiver, &there) };
    let receives = round.add("receive for ever", CANCELED, receive);
    for index in [receives, reads] {
        let ends = cancel(round, index);
        round.add("cancel", FOUND, ends);
    }
    round.check(move |_| {
        drop((reader, writer, peer, receiver, here, there));
        Ok(0)
    });
}
