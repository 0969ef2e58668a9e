//! Copies of a ring's descriptor that were made without a word.
//!
//! An engine in a library hears of no `dup`. Such a number is known by what is in the epoll
//! instance behind it.

use core::ptr;
use core::sync::atomic::Ordering::{Relaxed, Release};

use sysring_sys::raw::general as g;
use sysring_sys::{Fd, call};

use super::handle::{add_handle_if_open, drop_handle};
use super::hold::{Held, each, get};
use super::table::{entry, is_internal, leads_to};
use crate::ring::{Ring, fd_of};

/// As `get`, where the application may have duplicated the descriptor without a word: the copy is
/// known by what is in it, and from here on by its number, too.
#[must_use]
pub fn find(fd: Fd) -> Option<Held> {
    get(fd).or_else(|| adopt(fd))
}

#[cold]
fn adopt(fd: Fd) -> Option<Held> {
    if !fd.is_valid() || is_internal(fd) {
        return None;
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
                forget_if_closed(ring);
            } else {
                drop_handle(ring);
            }
        }
    });
    get(fd)
}

/// Copies are made to close what was copied: of that nobody hears either.
fn forget_if_closed(ring: &Ring) {
    let (made, ours) = (fd_of(ring), ptr::from_ref(ring).cast_mut());
    if leads_to(made, ring)
        && !is_descriptor_of(ring, made)
        && let Some(entry) = entry(made)
        // Relaxed: null tells of nothing, and the ring is held.
        && entry.compare_exchange(ours, ptr::null_mut(), Relaxed, Relaxed).is_ok()
    {
        drop_handle(ring);
    }
}

/// Whether `fd` is an epoll instance with the ring's eventfd in it, which nothing else has.
fn is_descriptor_of(ring: &Ring, fd: Fd) -> bool {
    let shown = ring.lock().readiness.shown();
    shown.is_valid() && call::epoll_ctl(fd, call::EpollOp::Mod, shown, g::EPOLLIN, 0).is_ok()
}
