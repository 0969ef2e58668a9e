//! The command that tells when what was sent left: a completion for each time that comes, from the
//! socket's queue of errors.
//!
//! The kernel takes only times from there; `recvmsg` takes whatever comes first, so what else waits
//! in that queue is gone.

use sysring_sys::abi::Msghdr;
use sysring_sys::abi::io_uring::{cqe_flags, setup};
use sysring_sys::call::{self, MSG_DONTWAIT};
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, User};

use crate::issue::Issued;
use crate::locked::Locked;
use crate::poll::Armed;
use crate::request::{At, Req, Stage, flag};

const MSG_ERRQUEUE: u32 = 0x2000;

/// Flags of such a completion: taken by the network card, and above it what was timed.
const HARDWARE: u32 = 1 << 16;
const KIND_SHIFT: u32 = 17;

/// When something was sent.
struct Time {
    /// Which of the things that were sent.
    key: u32,
    /// Which stage of its way.
    kind: u32,
    hardware: bool,
    seconds: u64,
    nanoseconds: u64,
}

/// First issue, and again whenever epoll has something to tell.
pub fn issue(ring: &mut Locked<'_>, mut req: Req) -> Issued {
    let shape = ring.ring.shape();
    if !shape.has(setup::CQE32 | setup::CQE_MIXED) {
        return Issued::Done(Errno::EINVAL.to_res());
    }
    if !req.has(flag::ARMED) {
        req.set(flag::MULTISHOT);
        if ring.arm(req, g::EPOLLERR | g::EPOLLET) != Armed::Yes {
            return Issued::Done(Errno::ECANCELED.to_res());
        }
        // Times that are there already are an event, too.
        ring.readiness.armed_edge = true;
        return Issued::Held;
    }
    let wide = if shape.has(setup::CQE_MIXED) { cqe_flags::CQE32 } else { 0 };
    // Where there is no room the times stay where they are, until the next comes.
    while ring.has_room(wide) {
        match take(req.file.fd) {
            Ok(Some(time)) => {
                let hardware = if time.hardware { HARDWARE } else { 0 };
                let flags = cqe_flags::MORE | wide | hardware | time.kind << KIND_SHIFT;
                let extra = [time.seconds, time.nanoseconds];
                ring.post_wide(req.sqe.user_data, time.key as i32, flags, extra);
            }
            Ok(None) => {}
            Err(_) => break,
        }
    }
    req.stage = At::new(Stage::Parked);
    Issued::Held
}

/// Takes what comes first in the queue of errors; `None` is no time.
fn take(fd: Fd) -> Result<Option<Time>> {
    let mut control = [0u64; 32];
    let mut header = Msghdr {
        msg_control: control.as_mut_ptr().cast(),
        msg_controllen: size_of_val(&control),
        ..Msghdr::EMPTY
    };
    // SAFETY: the header is ours, and so is what it names.
    unsafe { call::recvmsg(fd, User::of(&raw mut header), MSG_ERRQUEUE | MSG_DONTWAIT) }?;
    let len = header.msg_controllen.min(size_of_val(&control));
    Ok(find_time(&control[..len.div_ceil(size_of::<u64>())]))
}

/// Control messages are made of words: length, level and type, then what they tell.
fn find_time(control: &[u64]) -> Option<Time> {
    /// `SO_TIMESTAMPING`, and as programs with long times know it; of sockets in general.
    const TIMES: [(u32, u32); 2] = [(1, 37), (1, 65)];
    /// `IP_RECVERR`, `IPV6_RECVERR`, `PACKET_TX_TIMESTAMP`.
    const REASONS: [(u32, u32); 3] = [(0, 11), (41, 25), (263, 16)];
    /// `SO_EE_ORIGIN_TIMESTAMPING`.
    const OF_A_TIME: u8 = 4;
    let (mut times, mut reason) = (None, None);
    let mut rest = control;
    while let [len, what, told @ ..] = rest {
        let words = (*len as usize).div_ceil(size_of::<u64>());
        if words < 2 || words > rest.len() {
            break;
        }
        let what = (*what as u32, (*what >> 32) as u32);
        match told {
            [seconds, nanoseconds, _, _, raw_seconds, raw_nanoseconds, ..]
                if TIMES.contains(&what) =>
            {
                times = Some(match *seconds | *nanoseconds {
                    0 => (true, *raw_seconds, *raw_nanoseconds),
                    _ => (false, *seconds, *nanoseconds),
                });
            }
            // An error number and four bytes, the first of which is the origin; kind and key.
            [origin, kind_and_key, ..]
                if REASONS.contains(&what) && (*origin >> 32) as u8 == OF_A_TIME =>
            {
                reason = Some((*kind_and_key as u32, (*kind_and_key >> 32) as u32));
            }
            _ => {}
        }
        rest = &rest[words..];
    }
    let ((hardware, seconds, nanoseconds), (kind, key)) = (times?, reason?);
    let any = seconds | nanoseconds != 0;
    any.then_some(Time { key, kind, hardware, seconds, nanoseconds })
}
