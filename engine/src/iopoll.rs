//! IOPOLL: who enters looks for completions, and nobody else does.
//!
//! The device is not polled: its completions reach kernel AIO by interrupt, and are left there until
//! somebody enters to get them.

use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, call};

use crate::Caller;
use crate::locked::Locked;
use crate::wait::{self, Wait};

/// How long a look for completions takes at most: the kernel's ends whenever another thread is to
/// have the processor, and programs look again.
const LOOK: i64 = 10_000_000;

/// The file systems whose files can be polled, by the kind that `fstatfs(2)` tells: ext4, XFS,
/// Btrfs, F2FS, GFS2, zonefs.
const POLLABLE: [u64; 6] =
    [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0x0116_1970, 0x5a4f_4653];

/// Whether the completions of a file opened with `O_DIRECT` can be polled for.
#[must_use]
pub fn can_poll(fd: Fd) -> bool {
    match call::file_type(fd) {
        Ok(g::S_IFBLK) => true,
        Ok(g::S_IFREG) => call::filesystem(fd).is_ok_and(|kind| POLLABLE.contains(&kind)),
        _ => false,
    }
}

/// Looks for completions until there are `min_complete`, unless there are some already or nothing
/// is under way.
///
/// # Errors
/// `EINTR`, `ENOMEM`.
pub fn wait<'r>(
    mut locked: Locked<'r>,
    min_complete: u32,
    caller: &Caller,
) -> (Locked<'r>, Result<()>) {
    locked.progress();
    let min_complete = min_complete.min(locked.outstanding);
    if min_complete == 0 || locked.cq_ready() != 0 {
        return (locked, Ok(()));
    }
    let deadline = Some(call::now(call::CLOCK_MONOTONIC) + LOOK);
    let how = Wait { min_complete, deadline, ..Wait::default() };
    let (locked, waited) = wait::wait(locked, how, caller);
    (locked, if waited == Err(Errno::ETIME) { Ok(()) } else { waited })
}
