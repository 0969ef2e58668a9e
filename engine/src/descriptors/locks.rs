//! Record locks of the application (`fcntl(2)`, `F_SETLK`): whoever closes a descriptor of a file takes
//! back all that the process has on it, whichever descriptor they were set by.
//!
//! The engine's duplicates are not the application's to close. One of a file with such locks stays open, and
//! is what the next request on the same open file gets in place of a new one, until the locks are
//! gone.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use sysring_sys::raw::general::{F_SETFD, FD_CLOEXEC};
use sysring_sys::{Errno, Fd, Result, call};

use super::own::{duplicate, keep, let_go, mark_internal};
use crate::sync::Mutex;

/// What must not be closed now.
static KEPT: Mutex<Kept> = Mutex::new(Kept { files: [Fd::NONE; ROOM], next: 0 });

/// How many these are. Relaxed: who finds none has no use for what comes at the same time.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// There is one for each of the requests that have been under way at once, at most.
const ROOM: usize = 64;

struct Kept {
    files: [Fd; ROOM],
    /// Which is looked at next, whether its locks are gone.
    next: usize,
}

impl Kept {
    fn set(&mut self, at: usize, file: Fd) {
        let before = core::mem::replace(&mut self.files[at], file);
        match (before.is_valid(), file.is_valid()) {
            (false, true) => COUNT.fetch_add(1, Relaxed),
            (true, false) => COUNT.fetch_sub(1, Relaxed),
            _ => 0,
        };
    }

    /// Closes one whose locks are gone, if it is its turn.
    fn look_at_next(&mut self) {
        self.next = (self.next + 1) % ROOM;
        let file = self.files[self.next];
        if file.is_valid() && !has_locks(file) {
            self.set(self.next, Fd::NONE);
            let_go(file);
        }
    }
}

/// As [`keep`], for a new descriptor of a file of the application's. If the process has locks on that, it
/// stays where it is: to close it would take them back.
///
/// # Errors
/// `EMFILE`: it is closed then.
pub(crate) fn keep_file(fd: Fd) -> Result<Fd> {
    if has_locks(fd) {
        mark_internal(fd);
        let _ = call::fcntl(fd, F_SETFD, FD_CLOEXEC as usize);
        return Ok(fd);
    }
    keep(fd)
}

/// As [`duplicate`], for a file of the application's: one that was kept, or a new one.
///
/// # Errors
/// As those. `EMFILE`, too, if there are locks on the file, and nobody can tell here whether two descriptors
/// lead to the same open file: a duplicate could not be closed, and not be found again.
pub(crate) fn duplicate_file(fd: Fd) -> Result<Fd> {
    match take(fd)? {
        Some(kept) => Ok(kept),
        None => duplicate(fd),
    }
}

/// One of this open file that was kept.
fn take(fd: Fd) -> Result<Option<Fd>> {
    if COUNT.load(Relaxed) == 0 {
        return Ok(None);
    }
    let mut kept = KEPT.lock();
    for at in 0..ROOM {
        let file = kept.files[at];
        if !file.is_valid() {
            continue;
        }
        match call::same_file(fd, file) {
            Ok(true) => {
                kept.set(at, Fd::NONE);
                return Ok(Some(file));
            }
            Ok(false) | Err(Errno::EBADF) => {}
            Err(_) if has_locks(fd) => return Err(Errno::EMFILE),
            Err(_) => return Ok(None),
        }
    }
    Ok(None)
}

/// Closes a descriptor of the engine's that leads to a file of the application's, or keeps it for the
/// locks on that. Where all places are taken they are lost.
pub(crate) fn let_go_of_file(fd: Fd) {
    if COUNT.load(Relaxed) != 0 {
        KEPT.lock().look_at_next();
    }
    if has_locks(fd) {
        let mut kept = KEPT.lock();
        if let Some(at) = kept.files.iter().position(|file| !file.is_valid()) {
            return kept.set(at, fd);
        }
    }
    let_go(fd);
}

/// When a ring is closed: those of them whose locks are gone.
pub(super) fn look_at_all() {
    if COUNT.load(Relaxed) != 0 {
        let mut kept = KEPT.lock();
        (0..ROOM).for_each(|_| kept.look_at_next());
    }
}

/// Where that cannot be asked there are none.
fn has_locks(fd: Fd) -> bool {
    call::has_record_locks(fd) == Ok(true)
}

/// In a child of `fork`, to which the locks do not come: these are closed by and by.
pub(super) fn after_fork() {
    KEPT.reset();
}
