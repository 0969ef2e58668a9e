//! A moment without blocking, for calls that know no `MSG_DONTWAIT`.
//!
//! The file is made non-blocking for the length of the call. `O_NONBLOCK` is the open file's, and so
//! everybody's who has it: one thread of the process at a time does this, and who asks whether a
//! file is non-blocking is told what it is between the moments.

use core::sync::atomic::Ordering::SeqCst;
use core::sync::atomic::{AtomicU32, fence};

use sysring_sys::call::{self, Quiet};
use sysring_sys::raw::general as g;
use sysring_sys::{Fd, Result};

use crate::process;
use crate::sync::Mutex;

/// Held for a moment: of two with the same file, as threads that accept from one listener have it,
/// the first to end would leave the other one to block.
static MOMENT: Mutex<()> = Mutex::new(());

/// Counts beginnings and ends: odd while a moment lasts.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// In a child of `fork`: who was at it is the parent's.
pub fn after_fork() {
    MOMENT.reset();
    COUNT.store(0, SeqCst);
}

/// Makes the open file non-blocking for the length of a call, which therefore is short. Others who
/// use the same open file directly may see `EAGAIN` in that moment; the alternative would be to
/// block here for them. Other processes that do as we do may end the moment too soon.
///
/// No handler of the application's may interrupt it: one that came here, too, would wait for its own
/// thread.
pub fn without_blocking<T>(fd: Fd, act: impl FnOnce() -> Result<T>) -> Result<T> {
    if seems_nonblocking(fd) == Some(true) {
        return act();
    }
    let _moment = MOMENT.lock();
    let flags = call::file_flags(fd)?;
    if flags & g::O_NONBLOCK != 0 {
        return act();
    }
    // SeqCst, as in `is_nonblocking`: who sees the file changed sees the count odd, or changed.
    COUNT.fetch_add(1, SeqCst);
    let changed = call::set_file_flags(fd, flags | g::O_NONBLOCK);
    let answer = changed.and_then(|()| act());
    if changed.is_ok() {
        let _ = call::set_file_flags(fd, flags);
    }
    COUNT.fetch_add(1, SeqCst);
    answer
}

/// The same, where nobody has blocked signals and the engine was not entered.
pub fn without_blocking_or_signals<T>(fd: Fd, act: impl FnOnce() -> Result<T>) -> Result<T> {
    process::enter()?;
    let _quiet = Quiet::new();
    without_blocking(fd, act)
}

/// Whether the application has made an open file non-blocking.
#[must_use]
pub fn is_nonblocking(fd: Fd) -> bool {
    if let Some(is) = seems_nonblocking(fd) {
        return is;
    }
    let _ = process::enter();
    let _quiet = Quiet::new();
    let _moment = MOMENT.lock();
    has_flag(fd)
}

/// The same, without waiting for anybody. `None`: it may be so for a moment only.
fn seems_nonblocking(fd: Fd) -> Option<bool> {
    let before = COUNT.load(SeqCst);
    if !has_flag(fd) {
        return Some(false);
    }
    fence(SeqCst);
    (before.is_multiple_of(2) && COUNT.load(SeqCst) == before).then_some(true)
}

fn has_flag(fd: Fd) -> bool {
    call::file_flags(fd).is_ok_and(|flags| flags & g::O_NONBLOCK != 0)
}
