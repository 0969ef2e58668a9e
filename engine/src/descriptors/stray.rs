//! Copies of a ring's descriptor that were made without a word, or whose end nobody hears of.
//!
//! An engine in a library hears of no `dup`, and a filter traps no `close` of a number below the floor.
//! Such a copy is known by what is in the epoll instance behind it. At the floor or above its number is,
//! too, from then on. Below it is not: it may be another file's the next moment. A ring's copies
//! there count as one handle, and who drops the last of the others looks for them.

use core::ptr;
use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::{Relaxed, Release};

use sysring_sys::raw::general as g;
use sysring_sys::{Fd, Result, call};

use super::handle::{add_handle_if_open, drop_handle};
use super::hold::{Held, Visit, each, get, hold, visit};
use super::table::{FLOOR, entry, is_internal, leads_to};
use crate::process;
use crate::ring::{Ring, fd_of};

/// There are copies below the floor, or were.
static BELOW: AtomicBool = AtomicBool::new(false);

/// As `get`, where the application may have duplicated the descriptor without a word.
#[must_use]
pub fn find(fd: Fd) -> Option<Held> {
    get(fd).or_else(|| adopt(fd))
}

/// The same, for who is in a call with the ring.
#[inline(always)]
#[must_use]
pub(crate) fn find_to_visit(fd: Fd) -> Option<Visit> {
    visit(fd).or_else(|| Visit::of(adopt(fd)?.ring()))
}

/// As `get`, of a number that the application may use for any file: in a library, where a ring's may have
/// become another's without a word, it is looked at what is behind it.
#[must_use]
pub(crate) fn get_anew(fd: Fd) -> Option<Held> {
    get(fd).filter(|held| !process::is_unheard() || is_descriptor_of(held.ring(), fd))
}

/// Whether a descriptor is of a ring.
#[must_use]
pub(crate) fn is_of_ring(fd: Fd) -> bool {
    get_anew(fd).is_some()
}

#[cold]
fn adopt(fd: Fd) -> Option<Held> {
    if !fd.is_valid() || is_internal(fd) {
        return None;
    }
    if fd < FLOOR {
        return by_content(fd).filter(|held| is_noted(held.ring()));
    }
    each(|ring| {
        if is_descriptor_of(ring, fd)
            && (ring.adrift.swap(false, Relaxed) || add_handle_if_open(ring))
        {
            let ours = ptr::from_ref(ring).cast_mut();
            // Release pairs with the Acquire in `get`: the ring's words are there.
            let known = entry(fd).is_some_and(|entry| {
                entry.compare_exchange(ptr::null_mut(), ours, Release, Relaxed).is_ok()
            });
            if known {
                forget_first(ring);
            } else {
                drop_handle(ring);
            }
        }
    });
    get(fd)
}

/// The ring that a number below the floor is a copy of the descriptor of, at this moment. May be asked
/// by who has a ring locked.
#[inline(always)]
#[must_use]
pub(super) fn below(fd: Fd) -> Option<Held> {
    // Relaxed: who made the copy, and says so to another thread, has set it before.
    if fd < FLOOR && BELOW.load(Relaxed) { by_content(fd) } else { None }
}

#[cold]
fn by_content(fd: Fd) -> Option<Held> {
    let mut found = None;
    each(|ring| {
        if found.is_none() && is_descriptor_of(ring, fd) {
            found = hold(ring);
        }
    });
    found
}

/// A copy is there whose end nobody will hear of; the caller has added a handle for it. All of a ring's
/// count as one.
pub(super) fn note(ring: &Ring) {
    BELOW.store(true, Relaxed);
    // Relaxed: the count of handles keeps the order.
    if ring.strays.fetch_add(1, Relaxed) != 0 {
        drop_handle(ring);
    }
}

/// The same for one that was met, if the ring has not closed meanwhile.
fn is_noted(ring: &Ring) -> bool {
    // Relaxed: as in `note`.
    if ring.strays.load(Relaxed) != 0 {
        return true;
    }
    let open = ring.adrift.swap(false, Relaxed) || add_handle_if_open(ring);
    if open {
        note(ring);
    }
    open
}

/// `close(2)` of a copy below the floor by a library: `None` if it is none.
pub(super) fn close_below(fd: Fd) -> Option<Result<()>> {
    let held = below(fd)?;
    let closed = call::close(fd);
    forget_first(held.ring());
    look_after(held.ring());
    Some(closed)
}

/// Copies are made to close what was copied: of that nobody hears either.
fn forget_first(ring: &Ring) {
    // It may show something else at the moment.
    ring.lock().close_window();
    forget_if_closed(ring, fd_of(ring));
    // Relaxed: as in `lose`, which may have left it to be found here.
    if ring.adrift.swap(false, Relaxed) {
        drop_handle(ring);
    }
}

/// If copies that nobody hears of are all that is left of a ring, looks whether they are there. No ring is
/// locked.
pub(super) fn look_after(ring: &Ring) {
    // Relaxed, here and below: what is made meanwhile changes the number, and the exchange finds it.
    let noted = ring.strays.load(Relaxed);
    if noted == 0 || ring.handles.load(Relaxed) != 1 || has_copy_below(ring) {
        return;
    }
    if ring.strays.compare_exchange(noted, 0, Relaxed, Relaxed).is_ok() {
        drop_handle(ring);
    }
}

/// The same for all rings.
pub(super) fn look_after_all() {
    if BELOW.load(Relaxed) {
        each(look_after);
    }
}

#[cold]
fn has_copy_below(ring: &Ring) -> bool {
    (0..FLOOR.raw()).any(|number| is_descriptor_of(ring, Fd::new(number)))
}

/// What the table says of a number may have been true until just now.
pub(super) fn forget_if_closed(ring: &Ring, fd: Fd) {
    let ours = ptr::from_ref(ring).cast_mut();
    if leads_to(fd, ring)
        && !is_descriptor_of(ring, fd)
        && let Some(entry) = entry(fd)
        // Relaxed: null tells of nothing, and the ring is held.
        && entry.compare_exchange(ours, ptr::null_mut(), Relaxed, Relaxed).is_ok()
    {
        drop_handle(ring);
    }
}

/// Whether `fd` is an epoll instance with the ring's eventfd in it, which nothing else has.
fn is_descriptor_of(ring: &Ring, fd: Fd) -> bool {
    // Relaxed: the ring is held.
    let shown = Fd::new(ring.shown.load(Relaxed));
    shown.is_valid() && call::epoll_ctl(fd, call::EpollOp::Mod, shown, g::EPOLLIN, 0).is_ok()
}
