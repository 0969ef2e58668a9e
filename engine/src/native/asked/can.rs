//! Which attributes can be honoured for which call.

use sysring_events::attr::{
    Attribute, Cache, Checksum, Credentials, Deadline, EXTENSIONS, Full, Ioprio, Path, Place,
    Retry, RwFlags, Timing, Trace,
};
use sysring_sys::abi::Iovec;
use sysring_sys::call;
use sysring_sys::raw::general as g;

use super::super::{Call, table};
use crate::nowait;

/// Whether another thread, which has other credentials, can make the call.
pub fn others(call: &Call) -> bool {
    !matches!(table::how(call.nr), table::How::Own | table::How::Refused)
}

/// What can be honoured for any call.
const ALWAYS: u64 = Timing::MASK
    | Path::MASK
    | Deadline::MASK
    | Ioprio::MASK
    | Place::MASK
    | Retry::MASK
    | Trace::MASK
    | EXTENSIONS;

/// The attributes that can be honoured for this call.
pub fn of(call: &Call) -> u64 {
    let mut mask = ALWAYS;
    if others(call) {
        mask |= Credentials::MASK;
    }
    if matches!(call.nr, g::__NR_read | g::__NR_write | g::__NR_pread64 | g::__NR_pwrite64) {
        mask |= Full::MASK | RwFlags::MASK | Checksum::MASK;
    }
    if matches!(call.nr, g::__NR_recvfrom | g::__NR_sendto) {
        mask |= Checksum::MASK;
    }
    if is_vectored(call) {
        mask |= RwFlags::MASK;
    }
    if is_open(call) || is_cached_read(call) {
        mask |= Cache::MASK;
    }
    mask
}

fn is_vectored(call: &Call) -> bool {
    let plain =
        matches!(call.nr, g::__NR_readv | g::__NR_writev | g::__NR_preadv | g::__NR_pwritev);
    plain || matches!(call.nr, g::__NR_preadv2 | g::__NR_pwritev2)
}

/// Tried with `RESOLVE_CACHED`: what answers at once was in the cache of names.
pub fn is_open(call: &Call) -> bool {
    matches!(call.nr, g::__NR_openat | g::__NR_openat2)
}

/// Tried with `RWF_NOWAIT`, of a file that has a cache: one with positions, as no pipe, socket or
/// terminal has.
fn is_cached_read(call: &Call) -> bool {
    let reads = matches!(call.nr, g::__NR_read | g::__NR_readv | g::__NR_pread64)
        || matches!(call.nr, g::__NR_preadv | g::__NR_preadv2);
    reads && nowait::is_honoured() && call::lseek(call.fd(0), 0, g::SEEK_CUR).is_ok()
}

/// Whether the fourth argument is a position in the file, which moves.
pub fn has_offset(call: &Call) -> bool {
    let positioned = matches!(call.nr, g::__NR_pread64 | g::__NR_pwrite64)
        || matches!(call.nr, g::__NR_preadv2 | g::__NR_pwritev2);
    positioned && call.args[3] as isize >= 0
}

/// Makes a transfer one that has flags. `vector` becomes the vector of one that has none.
pub fn with_flags(call: &mut Call, vector: &mut Option<Iovec>, flags: u32) {
    let [_, address, len, offset, ..] = call.args;
    let (current, positioned) = (usize::MAX, offset as isize >= 0);
    let (nr, at, flat) = match call.nr {
        g::__NR_read => (g::__NR_preadv2, current, true),
        g::__NR_write => (g::__NR_pwritev2, current, true),
        // A position below 0 is refused, and would mean something with flags.
        g::__NR_pread64 if positioned => (g::__NR_preadv2, offset, true),
        g::__NR_pwrite64 if positioned => (g::__NR_pwritev2, offset, true),
        g::__NR_readv => (g::__NR_preadv2, current, false),
        g::__NR_writev => (g::__NR_pwritev2, current, false),
        g::__NR_preadv if positioned => (g::__NR_preadv2, offset, false),
        g::__NR_pwritev if positioned => (g::__NR_pwritev2, offset, false),
        g::__NR_preadv2 | g::__NR_pwritev2 => {
            call.args[5] |= flags as usize;
            return;
        }
        _ => return,
    };
    if flat {
        *vector = Some(Iovec { iov_base: address as *mut _, iov_len: len as _ });
        call.args[2] = 1;
    }
    call.nr = nr;
    call.args[3] = at;
    call.args[5] = flags as usize;
}
