//! Which attributes can be honoured for which call.

use sysring_events::attr::{
    Attribute, Cache, Checksum, Credentials, Deadline, EXTENSIONS, Full, Ioprio, Path, Place,
    Retry, RwFlags as Flags, Timing, Trace, Wanted,
};
use sysring_sys::abi::Iovec;
use sysring_sys::call::{self, Offset, RwFlags, Vector};
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, User};

use super::super::{Call, open, table};
use crate::nowait;

/// Whether another thread, which has other credentials, can make the call.
pub fn others(call: &Call) -> bool {
    !matches!(table::how(call.nr), table::How::Own | table::How::Refused)
}

/// What can be honoured for any call.
const ALWAYS: u64 =
    Timing::MASK | Path::MASK | Ioprio::MASK | Place::MASK | Trace::MASK | EXTENSIONS;
/// What takes another thread to be honoured.
const BY_OTHERS: u64 = Deadline::MASK | Retry::MASK | Credentials::MASK;

/// The attributes that can be honoured for calls of this number: a mask. Of the cache it depends on the
/// file, and on the way that the call is made.
#[must_use]
pub fn of_number(nr: u32) -> u64 {
    let call = Call { nr, args: [0; 6] };
    if matches!(table::how(nr), table::How::Refused) {
        return 0;
    }
    let mut mask = ALWAYS;
    if others(&call) {
        mask |= BY_OTHERS;
    }
    if matches!(nr, g::__NR_read | g::__NR_write | g::__NR_pread64 | g::__NR_pwrite64) {
        mask |= Full::MASK | Flags::MASK | Checksum::MASK;
    }
    if matches!(nr, g::__NR_recvfrom | g::__NR_sendto) {
        mask |= Checksum::MASK;
    }
    if is_vectored(&call) {
        mask |= Flags::MASK;
    }
    if is_open(&call) || reads(&call) {
        mask |= Cache::MASK;
    }
    mask
}

/// Those of this call, of what is wanted.
pub fn of(call: &Call, wanted: &Wanted) -> u64 {
    let mask = of_number(call.nr) & wanted.mask();
    let has_deadline = mask & Deadline::MASK != 0;
    let cache = mask & Cache::MASK != 0 && asks_cache(call);
    // A thread that may be kept asks no cache.
    if cache && !(has_deadline && may_wait_in_place(call)) { mask } else { mask & !Cache::MASK }
}

/// Whether a call that is made where it is issued may wait there, and nothing can call it back: it is
/// for a thread, if it has a deadline.
pub fn may_wait_in_place(call: &Call) -> bool {
    match table::how(call.nr) {
        table::How::Cached => true,
        table::How::Attempt(..) if moves_data(call) => {
            call::is_file_or_disk(call.fd(0)) && !(reads(call) && takes_nowait(call.fd(0)))
        }
        table::How::Attempt(..) => opens(call),
        _ => false,
    }
}

fn moves_data(call: &Call) -> bool {
    is_vectored(call)
        || matches!(call.nr, g::__NR_read | g::__NR_write | g::__NR_pread64 | g::__NR_pwrite64)
}

fn is_vectored(call: &Call) -> bool {
    let plain =
        matches!(call.nr, g::__NR_readv | g::__NR_writev | g::__NR_preadv | g::__NR_pwritev);
    plain || matches!(call.nr, g::__NR_preadv2 | g::__NR_pwritev2)
}

fn reads(call: &Call) -> bool {
    matches!(call.nr, g::__NR_read | g::__NR_readv | g::__NR_pread64)
        || matches!(call.nr, g::__NR_preadv | g::__NR_preadv2)
}

fn opens(call: &Call) -> bool {
    #[cfg(target_arch = "x86_64")]
    if call.nr == g::__NR_open {
        return true;
    }
    is_open(call)
}

/// Opens that can tell: with a path below a directory.
pub fn is_open(call: &Call) -> bool {
    matches!(call.nr, g::__NR_openat | g::__NR_openat2)
}

/// Whether an attempt asks a cache: that of names with `RESOLVE_CACHED`, that of pages with
/// `RWF_NOWAIT`.
fn asks_cache(call: &Call) -> bool {
    if is_open(call) {
        return open::asks_cache(call);
    }
    let fd = call.fd(0);
    reads(call) && call::is_file_or_disk(fd) && takes_nowait(fd)
}

/// Whether reads of a file can be asked not to wait. It is asked where no file has anything.
fn takes_nowait(fd: Fd) -> bool {
    const NOWHERE: Offset = Offset(i64::MAX - 1);
    if !nowait::is_honoured() {
        return false;
    }
    let mut byte = 0u8;
    let one = Iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 as _ };
    let vector = Vector { address: User::of(&raw const one), count: 1 };
    // SAFETY: the byte is ours.
    let answer = unsafe { call::preadv2(fd, vector, NOWHERE, RwFlags::NOWAIT) };
    !matches!(answer, Err(Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EPERM))
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
