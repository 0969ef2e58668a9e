//! The other threads of this process, whose signal masks only they can change.
//!
//! The kernel kills a process in which a thread makes a trapped call with SIGSYS blocked. From the
//! filter on the handler keeps SIGSYS out of every mask; what a thread had blocked before stays
//! blocked. C libraries block all signals for a moment when they start a thread.

use core::ffi::CStr;

use sysring_sys::abi::NSEC_PER_MSEC;
use sysring_sys::abi::signal::SIGSYS;
use sysring_sys::raw::general as g;
use sysring_sys::{Fd, Result, User, call};

use crate::maps::Text;

/// Milliseconds to wait for a thread that blocks SIGSYS.
const PATIENCE: u32 = 1000;

/// Waits for the other threads to let SIGSYS through; whether they do. Where `/proc` cannot be
/// read they count as willing.
#[must_use]
pub fn let_sigsys_through() -> bool {
    for _ in 0..PATIENCE {
        if !any_blocks() {
            return true;
        }
        call::nanosleep(NSEC_PER_MSEC);
    }
    false
}

fn any_blocks() -> bool {
    any_task(blocks_sigsys).unwrap_or(false)
}

/// Whether `tells` is true of the id of a thread, in digits. (Not all names are.)
fn any_task(tells: impl Fn(&[u8]) -> bool) -> Result<bool> {
    let path = User::of(c"/proc/self/task".as_ptr().cast());
    let flags = g::O_RDONLY | g::O_DIRECTORY | g::O_CLOEXEC;
    let tasks = call::openat(Fd::CWD, path, flags, 0)?;
    let any = any_entry(tasks, tells);
    let _ = call::close(tasks);
    any
}

/// Whether the calling thread is the only one. Where `/proc` cannot be read nobody knows.
#[cfg(target_arch = "x86_64")]
pub fn is_alone() -> bool {
    let me = call::gettid();
    let is_another = |id: &[u8]| {
        let number = core::str::from_utf8(id).ok().and_then(|id| id.parse::<i32>().ok());
        number.is_some_and(|id| id != me)
    };
    any_task(is_another) == Ok(false)
}

/// Whether `tells` is true of the name of one of a folder's entries.
fn any_entry(folder: Fd, tells: impl Fn(&[u8]) -> bool) -> Result<bool> {
    /// `d_reclen` and `d_name` of `struct linux_dirent64`.
    const LENGTH: usize = 16;
    const NAME: usize = 19;
    let mut entries = [0u8; 1024];
    loop {
        let args = [folder.raw() as usize, entries.as_mut_ptr() as usize, entries.len(), 0, 0, 0];
        // SAFETY: the buffer is ours, and as long as said.
        let n = unsafe { call::raw(g::__NR_getdents64, args) }?;
        if n == 0 {
            return Ok(false);
        }
        let mut rest = &entries[..n];
        while rest.len() > NAME {
            let len = usize::from(u16::from_ne_bytes([rest[LENGTH], rest[LENGTH + 1]]));
            let name = rest.get(NAME..len).and_then(|name| CStr::from_bytes_until_nul(name).ok());
            if name.is_some_and(|name| tells(name.to_bytes())) {
                return Ok(true);
            }
            rest = rest.get(len.max(1)..).unwrap_or(&[]);
        }
    }
}

/// Whether the thread with this id, in digits, blocks SIGSYS.
fn blocks_sigsys(id: &[u8]) -> bool {
    const BEFORE: &[u8] = b"/proc/self/task/";
    const BEHIND: &[u8] = b"/status\0";
    let mut path = [0u8; 48];
    let len = BEFORE.len() + id.len() + BEHIND.len();
    if id.first() == Some(&b'.') || len > path.len() {
        return false;
    }
    path[..BEFORE.len()].copy_from_slice(BEFORE);
    path[BEFORE.len()..][..id.len()].copy_from_slice(id);
    path[BEFORE.len() + id.len()..len].copy_from_slice(BEHIND);
    let Ok(path) = CStr::from_bytes_until_nul(&path) else { return false };
    // A thread that has ended meanwhile blocks nothing.
    Text::read(path).is_ok_and(|status| blocked(status.bytes()).is_some_and(has_sigsys))
}

/// The set behind `SigBlk:`.
fn blocked(status: &[u8]) -> Option<u64> {
    let line = status.split(|&b| b == b'\n').find_map(|line| line.strip_prefix(b"SigBlk:"))?;
    u64::from_str_radix(core::str::from_utf8(line).ok()?.trim(), 16).ok()
}

fn has_sigsys(set: u64) -> bool {
    set & 1 << (SIGSYS - 1) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_blocked_signals_are_read() {
        let status =
            b"Name:\tx\nSigPnd:\t0000000040000000\nSigBlk:\t0000000040000001\nSigIgn:\t0\n";
        assert_eq!(blocked(status), Some(0x4000_0001));
        assert!(has_sigsys(0x4000_0001));
        assert!(!has_sigsys(!0x4000_0000));
        assert_eq!(blocked(b"Name:\tx\n"), None);
    }

    #[test]
    fn threads_that_block_nothing_are_passed() {
        if std::env::var_os("QEMU_LD_PREFIX").is_some() {
            println!("skipped: QEMU has a thread of its own here, which blocks all signals");
            return;
        }
        assert!(let_sigsys_through());
    }
}
