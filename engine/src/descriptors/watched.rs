//! The hook of `epoll_ctl(2)`: somebody polls a ring's descriptor, as an operation may do, too.
//!
//! Who does so is told of completions without coming to ask for them: from then on they are to
//! appear while nobody is in `enter`.

use core::sync::atomic::Ordering::Relaxed;

use sysring_sys::Fd;

use super::hold::get;
use super::stray::get_anew;
use crate::ring::Ring;
use crate::unsettled;

/// The application adds `fd` to an epoll instance: a ring that is watched must make progress
/// while nobody is in `enter`. Call before the real `epoll_ctl`, with no ring locked.
pub fn watched(fd: Fd) {
    if let Some(held) = get(fd) {
        watch(held.ring());
    }
}

/// The same for a ring, as it may be polled without a word.
pub(super) fn watch(ring: &Ring) {
    // Relaxed: the lock that is taken next brings it to who has it after us.
    ring.watched.store(true, Relaxed);
    ring.lock().leave(false);
}

/// The same, told by an operation: its own ring is locked, and may be the one that is watched.
/// Whether there was a ring to be watched.
pub(crate) fn watched_by_operation(fd: Fd) -> bool {
    let Some(held) = get_anew(fd) else { return false };
    // Relaxed: the lock brings it along, or that of the list of unsettled rings.
    held.ring().watched.store(true, Relaxed);
    match held.ring().try_lock_as_guest() {
        Some(mut locked) => locked.leave(false),
        // Whoever holds the lock may have looked at the flag, and have nothing more to post.
        None => unsettled::add(held.ring()),
    }
    true
}
