//! Handles: the ways by which the application may still come to a ring. With the last it closes.
//!
//! Descriptors, registered indexes and native contexts count alike. What a ring that closes has
//! under way is cancelled here; it is taken apart when nobody is in it any more (`hold`).

use core::sync::atomic::Ordering::{AcqRel, Relaxed};

use sysring_sys::abi::io_uring::op;

use super::{hold, stray};
use crate::cancel::Match;
use crate::locked::Locked;
use crate::request::{Req, Stage};
use crate::ring::Ring;
use crate::{sqpoll, wait, wq};

/// Another way to name the ring is there, or will be: if it has not closed meanwhile.
#[must_use]
pub(crate) fn add_handle_if_open(ring: &Ring) -> bool {
    // Relaxed: whether it is open is all that is asked; the hold brings the rest.
    ring.handles.fetch_update(Relaxed, Relaxed, |n| if n == 0 { None } else { Some(n + 1) }).is_ok()
}

/// A way to name the ring is gone; with the last the ring closes.
pub(crate) fn drop_handle(ring: &Ring) {
    // The Release half of each pairs with the Acquire half of the last one: what was done by other names
    // comes before the end.
    // Relaxed: as in `stray`. Who has a handle may take a hold, and needs it to look at the ring after that.
    let looks = ring.strays.load(Relaxed) != 0;
    if looks {
        hold::take_another(ring);
    }
    if ring.handles.fetch_sub(1, AcqRel) == 1 {
        hold::close(ring);
    }
    if looks {
        stray::look_after(ring);
        hold::put(ring);
    }
}

/// The last descriptor is gone, and nobody is in a call: what is under way is cancelled, and nothing
/// new begins.
pub(super) fn shut(ring: &Ring) {
    let mut locked = ring.lock();
    locked.closing = true;
    // Under the lock: who is about to start the thread anew finds that the ring closes, or we find
    // the thread.
    sqpoll::stop(ring);
    cancel_all(&mut locked);
    if let Some(queues) = &locked.queues {
        queues.give_back();
    }
    locked.params = None;
    drop(locked);
    wait::wake_next(ring);
}

/// Cancels what this process has under way in a ring, wherever it stands.
pub(super) fn cancel_all(locked: &mut Locked<'_>) {
    let mut queued = core::mem::take(&mut locked.punted);
    locked.punted_count = 0;
    queued.append(&mut wq::withdraw_all(locked.ring));
    while let Some(req) = queued.pop() {
        locked.take_down(req);
    }
    let _ = locked.cancel(&Match::everything());
    use Stage::{Aio, Asleep, Punted, Running};
    // A linked timeout ends with what it watches, and must not end twice.
    let ends_here = |req: Req| {
        !matches!(req.stage.get(), Running | Aio | Punted | Asleep)
            && req.sqe.opcode != op::LINK_TIMEOUT
    };
    while let Some(req) = locked.find(ends_here) {
        let _ = locked.cancel_one(req);
    }
    locked.run_tasks();
}
