//! Sockets: `MSG_DONTWAIT`, and for accept and connect a moment without blocking.

use sysring_sys::abi::{Iovec, Msghdr};
use sysring_sys::call::{self, Vector};
use sysring_sys::{Errno, Fd, User};

use super::transfer::total;
use super::{Attempt, Call, READABLE, Then, WRITABLE, is_nonblocking, would_block};
use crate::op::MAX_RW_COUNT;
use crate::op::moment::without_blocking_or_signals;
use crate::op::socket::{STREAM, kind, socket_error, uninterrupted};
use crate::user;

/// `SO_RCVTIMEO` and `SO_SNDTIMEO`.
pub const RECEIVE_LIMIT: i32 = 20;
pub const SEND_LIMIT: i32 = 21;

const MSG_OOB: usize = 0x1;
const MSG_PEEK: usize = 0x2;
const MSG_DONTWAIT: usize = 0x40;
const MSG_WAITALL: usize = 0x100;
const MSG_ERRQUEUE: usize = 0x2000;
const MSG_WAITFORONE: usize = 0x1_0000;

/// Whether a socket waits for so long and no longer.
pub fn has_limit(fd: Fd, name: i32) -> bool {
    const SOL_SOCKET: i32 = 1;
    let mut time = [0i64; 2];
    let mut len = size_of_val(&time) as u32;
    let (at, size) = (User::of(&raw mut time).cast(), User::of(&raw mut len));
    // SAFETY: an array of ours, and its length.
    let answer = unsafe { call::getsockopt(fd, SOL_SOCKET, name, at, size) };
    answer.is_ok() && time != [0; 2]
}

/// The call with `MSG_DONTWAIT` among the flags in argument `at`; `None`: it has it already, or never
/// blocks, and was made as it is.
fn eager(call: &Call, at: usize) -> Result<(isize, usize), Attempt> {
    let flags = call.args[at];
    if flags & (MSG_DONTWAIT | MSG_ERRQUEUE | MSG_OOB) != 0 {
        return Err(Attempt::Done(call.answer()));
    }
    Ok((call.with(at, flags | MSG_DONTWAIT).answer(), flags))
}

const AGAIN: isize = Errno::EAGAIN.to_res() as isize;

pub fn recvfrom(call: &Call, _: bool) -> Attempt {
    if call.args[3] & (MSG_WAITALL | MSG_PEEK) == MSG_WAITALL | MSG_PEEK {
        return Attempt::SLEEPER;
    }
    let (answer, flags) = match eager(call, 3) {
        Ok(answer) => answer,
        Err(done) => return done,
    };
    let (fd, len) = (call.fd(0), call.args[2].min(MAX_RW_COUNT) as isize);
    let in_part = flags & MSG_WAITALL != 0 && answer > 0 && answer < len;
    match answer {
        AGAIN => would_block(fd, READABLE, RECEIVE_LIMIT),
        _ if in_part && kind(fd) == STREAM && !is_nonblocking(fd) => {
            Attempt::Blocked { moved: answer as usize, then: Then::Ready(READABLE) }
        }
        answer => Attempt::Done(answer),
    }
}

pub fn sendto(call: &Call, _: bool) -> Attempt {
    let (answer, _) = match eager(call, 3) {
        Ok(answer) => answer,
        Err(done) => return done,
    };
    let (fd, len) = (call.fd(0), call.args[2].min(MAX_RW_COUNT) as isize);
    match answer {
        AGAIN => would_block(fd, WRITABLE, SEND_LIMIT),
        n if n > 0 && n < len && kind(fd) == STREAM && !is_nonblocking(fd) => {
            Attempt::Blocked { moved: n as usize, then: Then::Ready(WRITABLE) }
        }
        answer => Attempt::Done(answer),
    }
}

pub fn recvmsg(call: &Call, _: bool) -> Attempt {
    if call.args[2] & (MSG_WAITALL | MSG_DONTWAIT) == MSG_WAITALL {
        return Attempt::SLEEPER;
    }
    match eager(call, 2) {
        Ok((AGAIN, _)) => would_block(call.fd(0), READABLE, RECEIVE_LIMIT),
        Ok((answer, _)) => Attempt::Done(answer),
        Err(done) => done,
    }
}

pub fn sendmsg(call: &Call, _: bool) -> Attempt {
    let fd = call.fd(0);
    match eager(call, 2) {
        Ok((AGAIN, _)) => would_block(fd, WRITABLE, SEND_LIMIT),
        Ok((n, _)) if n > 0 && is_part(call, n as usize) && kind(fd) == STREAM => {
            if is_nonblocking(fd) {
                return Attempt::Done(n);
            }
            Attempt::Blocked { moved: n as usize, then: Then::Ready(WRITABLE) }
        }
        Ok((answer, _)) => Attempt::Done(answer),
        Err(done) => done,
    }
}

/// Whether a message has more bytes than this.
fn is_part(call: &Call, n: usize) -> bool {
    let header = user::read::<Msghdr>(User::new(call.args[1] as u64));
    header.is_ok_and(|header| {
        let address = User::<Iovec>::of(header.msg_iov);
        total(Vector { address, count: header.msg_iovlen }).is_ok_and(|len| n < len)
    })
}

/// Several messages are waited for one after the other, unless one is enough.
pub fn recvmmsg(call: &Call, _: bool) -> Attempt {
    let (fd, flags, time) = (call.fd(0), call.args[3], call.args[4]);
    if flags & MSG_DONTWAIT != 0 || is_nonblocking(fd) {
        return Attempt::Done(call.answer());
    }
    if flags & MSG_WAITFORONE == 0 || time != 0 {
        return Attempt::SLEEPER;
    }
    match call.with(3, flags | MSG_DONTWAIT).answer() {
        AGAIN => would_block(fd, READABLE, RECEIVE_LIMIT),
        answer => Attempt::Done(answer),
    }
}

pub fn sendmmsg(call: &Call, _: bool) -> Attempt {
    if call.args[3] & MSG_DONTWAIT != 0 || is_nonblocking(call.fd(0)) {
        return Attempt::Done(call.answer());
    }
    Attempt::SLEEPER
}

/// `accept` and `accept4`.
pub fn accept(call: &Call, _: bool) -> Attempt {
    let fd = call.fd(0);
    match without_blocking_or_signals(fd, || Errno::from_ret(call.answer())) {
        Err(Errno::EAGAIN) => would_block(fd, READABLE, RECEIVE_LIMIT),
        // It has slept: others have the listener, too.
        Err(Errno::EINTR) => Attempt::SLEEPER,
        answer => Attempt::of(answer),
    }
}

pub fn connect(call: &Call, again: bool) -> Attempt {
    let fd = call.fd(0);
    if again {
        return match call::poll_now(fd, WRITABLE as u16) {
            Ok(0) => Attempt::ready(WRITABLE),
            // Asked for, not by another attempt: that would begin anew.
            _ => Attempt::of(socket_error(fd).map(|()| 0)),
        };
    }
    if is_nonblocking(fd) {
        return Attempt::Done(call.answer());
    }
    let answer = without_blocking_or_signals(fd, || Errno::from_ret(call.answer()));
    match answer.map_err(|e| uninterrupted(fd, e)) {
        Err(Errno::EINPROGRESS) if !has_limit(fd, SEND_LIMIT) => Attempt::ready(WRITABLE),
        // Under way already, in time or not at all, or behind others in a queue: it waits there.
        Err(Errno::EINPROGRESS | Errno::EALREADY | Errno::EAGAIN) => Attempt::SLEEPER,
        answer => Attempt::of(answer),
    }
}
