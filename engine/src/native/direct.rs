//! Files opened with `O_DIRECT`: their transfers go to kernel AIO, where `RWF_NOWAIT` would wait for
//! the device.
//!
//! Nothing but a question tells such a file from others, and to ask before each call would cost a
//! third of a cached read. So it is remembered by number. A number that has got another file shows: an
//! attempt takes as long as a device does; or, before anything waits for a device, it is asked for once
//! more: by the road that leads to AIO, and here of what a worker would do.

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::Relaxed;

use sysring_sys::abi::aio::{IOCB_CMD_FDSYNC, IOCB_CMD_FSYNC, Iocb};
use sysring_sys::call::{self, RwFlags};
use sysring_sys::raw::general as g;
use sysring_sys::{Fd, arch};

use super::request::live;
use super::{Attempt, Call, asked};
use crate::hints::hint;
use crate::issue::Issued;
use crate::locked::Locked;
use crate::op::transfer::Direction;
use crate::request::{Req, flag};

/// By number, the latest that was asked for: one more than it, and whether its file is direct. A hint:
/// no order is needed.
static SEEN: [AtomicU32; SEEN_LEN] = [const { AtomicU32::new(0) }; SEEN_LEN];
const SEEN_LEN: usize = 1024;

fn seen(fd: Fd) -> &'static AtomicU32 {
    &SEEN[fd.raw() as usize % SEEN_LEN]
}

fn word(fd: Fd, direct: bool) -> u32 {
    (fd.raw() as u32).wrapping_add(1) << 1 | u32::from(direct)
}

/// Whether a descriptor is taken to be of a direct file.
#[inline]
pub fn is(fd: Fd) -> bool {
    let word_now = seen(fd).load(Relaxed);
    word_now == word(fd, true) || word_now != word(fd, false) && look(fd)
}

/// Asks.
#[cold]
pub fn look(fd: Fd) -> bool {
    let Ok(flags) = call::file_flags(fd) else { return false };
    // Pipes have an O_DIRECT, too, which means packets.
    let direct = flags & g::O_DIRECT != 0 && call::is_file_or_disk(fd);
    seen(fd).store(word(fd, direct), Relaxed);
    direct
}

/// An attempt that took more of the counter's ticks may have waited for a device: some microseconds
/// where it counts slowest.
const LONG: u64 = if cfg!(target_arch = "x86_64") { 10_000 } else { 500 };

/// Makes an attempt on what is not taken to be direct, and asks again if it took long.
#[inline(always)]
pub fn watch<T>(fd: Fd, attempt: impl FnOnce() -> T) -> T {
    let began = arch::cycles();
    let answer = attempt();
    if arch::cycles().wrapping_sub(began) > LONG {
        look(fd);
    }
    answer
}

/// `fsync` and `fdatasync`: the kernel's own threads do it for AIO, ours for other files.
pub fn sync(call: &Call, _: bool) -> Attempt {
    if is(call.fd(0)) { Attempt::AIO } else { Attempt::WORKER }
}

/// Sends a call to kernel AIO, if its file is direct in fact. A worker makes it if not.
pub fn issue(ring: &mut Locked<'_>, mut req: Req) -> Issued {
    let fd = req.file.fd;
    if ring.look_twice(fd) & hint::DIRECT == 0 {
        seen(fd).store(0, Relaxed);
        return Issued::Work;
    }
    let Some(mut request) = request_of(&live(req)) else { return Issued::Work };
    // Should a worker have to go on with it, the memory of its vector and its descriptor may be
    // somebody else's by then.
    if let Err(e) = ring.stabilise(req) {
        return Issued::Done(e.to_res());
    }
    if request.rw_flags & RwFlags::NOWAIT.0 != 0 {
        req.set(flag::NOWAIT);
    }
    // What it answers fits into `res`; this is the rest of it.
    req.scratch[1] = 0;
    asked::hand_over(req, &mut request);
    let syncs = matches!(request.opcode, IOCB_CMD_FSYNC | IOCB_CMD_FDSYNC);
    if syncs {
        return ring.aio_queue(req, request);
    }
    ring.aio_transfer(req, request).unwrap_or_else(|e| Issued::Done(e.to_res()))
}

/// A call as kernel AIO has it, but for the file.
fn request_of(call: &Call) -> Option<Iocb> {
    use Direction::{Read, Write};
    let (opcode, rw_flags) = match call.nr {
        g::__NR_pread64 => (Read.aio_opcode(false), 0),
        g::__NR_pwrite64 => (Write.aio_opcode(false), 0),
        g::__NR_preadv => (Read.aio_opcode(true), 0),
        g::__NR_pwritev => (Write.aio_opcode(true), 0),
        g::__NR_preadv2 => (Read.aio_opcode(true), call.args[5] as u32),
        g::__NR_pwritev2 => (Write.aio_opcode(true), call.args[5] as u32),
        g::__NR_fsync => return Some(Iocb { opcode: IOCB_CMD_FSYNC, ..Iocb::default() }),
        g::__NR_fdatasync => return Some(Iocb { opcode: IOCB_CMD_FDSYNC, ..Iocb::default() }),
        _ => return None,
    };
    let [_, buf, nbytes, offset, ..] = call.args.map(|word| word as u64);
    Some(Iocb { opcode, rw_flags, buf, nbytes, offset: offset as i64, ..Iocb::default() })
}
