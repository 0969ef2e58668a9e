//! A moment without blocking, for calls that know no `MSG_DONTWAIT`.
//!
//! The file is made non-blocking for the length of the call. `O_NONBLOCK` is the open file's, and so
//! everybody's who has it: one thread of the process at a time does this, and who asks whether a
//! file is non-blocking is told what it is between the moments.
//!
//! Other processes know nothing of that: those that accept from one listener, each with a ring, end each
//! other's moments, and any may clear the flag at any time. So no call here rests on it alone. An alarm ends
//! one that sleeps all the same, ten milliseconds later, and it is as if it had said that it would block. To
//! leave such calls to workers instead would cost every server two changes of threads for each connection; a
//! lock that processes share would be kept by one that is stopped, and does not bind who knows nothing of it.

use core::sync::atomic::Ordering::SeqCst;
use core::sync::atomic::{AtomicU32, fence};

use sysring_sys::call::{self, Quiet};
use sysring_sys::raw::general as g;
use sysring_sys::{Fd, Result};

use crate::alarm::{self, Alarm};
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
    alarm::after_fork();
}

/// Makes the open file non-blocking for the length of a call, which therefore is short. Others who
/// use the same open file directly may see `EAGAIN` in that moment; the alternative would be to
/// block here for them. `EINTR`: it has slept, for others have ended the moment.
///
/// No handler of the application's may interrupt it: one that came here, too, would wait for its own
/// thread.
pub fn without_blocking<T>(fd: Fd, act: impl FnOnce() -> Result<T>) -> Result<T> {
    let moment = MOMENT.lock();
    let flags = call::file_flags(fd)?;
    if flags & g::O_NONBLOCK != 0 {
        drop(moment);
        return briefly(act);
    }
    // SeqCst, as in `is_nonblocking`: who sees the file changed sees the count odd, or changed.
    COUNT.fetch_add(1, SeqCst);
    let changed = call::set_file_flags(fd, flags | g::O_NONBLOCK);
    let answer = changed.and_then(|()| briefly(act));
    if changed.is_ok() {
        let _ = call::set_file_flags(fd, flags);
    }
    COUNT.fetch_add(1, SeqCst);
    answer
}

/// Makes a call that must not sleep for long.
fn briefly<T>(act: impl FnOnce() -> T) -> T {
    // Where no alarm is to be had, the flag has to do.
    let _alarm = Alarm::set();
    act()
}

/// As [`without_blocking`], where nobody has blocked signals and the engine was not entered.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};
    use std::os::fd::AsRawFd;
    use sysring_sys::{Errno, User};

    /// As another process may.
    fn clear(fd: Fd) {
        let flags = call::file_flags(fd).unwrap();
        call::set_file_flags(fd, flags & !g::O_NONBLOCK).unwrap();
    }

    #[test]
    fn a_moment_that_others_end_is_short_all_the_same() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let fd = Fd::new(listener.as_raw_fd());
        for own in [false, true] {
            listener.set_nonblocking(own).unwrap();
            let answer = without_blocking(fd, || {
                clear(fd);
                // SAFETY: no address is asked for.
                unsafe { call::accept4(fd, User::NULL, User::NULL, 0) }
            });
            assert_eq!(answer, Err(Errno::EINTR));
        }
        assert!(!is_nonblocking(fd), "left as the others made it");
    }

    #[test]
    fn what_ends_in_a_moment_is_not_interrupted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let fd = Fd::new(listener.as_raw_fd());
        for _ in 0..100 {
            let answer = without_blocking(fd, || {
                // SAFETY: no address is asked for.
                unsafe { call::accept4(fd, User::NULL, User::NULL, 0) }
            });
            assert_eq!(answer, Err(Errno::EAGAIN));
        }
        // Nor what comes after it, where the file blocks.
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(std::time::Duration::from_millis(20))).unwrap();
        let error = socket.recv(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    }
}
