//! Holds: who uses a ring, and what becomes of it when nobody does.
//!
//! A ring is used by threads that no lock keeps apart from who closes it. A hold keeps it what it
//! is for as long; the last one to go takes the ring apart, wherever that happens to be.

use core::hint::spin_loop;
use core::ptr;
use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use sysring_sys::{Errno, Fd, call};

use super::handle::shut;
use super::own::let_go;
use super::table::{INTERNAL, entry};
use super::{locks, own, pool, stray};
use crate::locked::Locked;
use crate::request::Stage;
use crate::ring::Ring;
use crate::wq;

/// How many can be held. Relaxed throughout: it is only a number.
static IN_USE: AtomicUsize = AtomicUsize::new(0);

/// In `Ring::refs`: one hold.
const HOLD: u64 = 1;
/// Descriptors and the like, all handles as one hold: the ring is open.
pub(crate) const OPEN: u64 = 1 << 30;
/// The same after the last of them, where a visitor was there: the last one to go closes the ring.
const LEFT: u64 = 1 << 31;
/// One visitor.
const VISIT: u64 = 1 << 32;

/// A hold on a ring: it keeps its memory and its descriptors until this is dropped.
#[derive(Debug)]
pub struct Held(&'static Ring);

impl Held {
    /// A hold that the caller has taken already.
    ///
    /// # Safety
    /// It is counted, and nobody else's: it is let go of when this is dropped.
    #[must_use]
    pub(crate) unsafe fn adopt(ring: &'static Ring) -> Held {
        Held(ring)
    }

    /// The ring, for as long as it is held. Public for this crate's tests.
    #[doc(hidden)]
    #[must_use]
    pub fn ring(&self) -> &'static Ring {
        self.0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        put(self.0);
    }
}

/// A thread that is in a call with a ring. As a file that is in use in the kernel, the ring stays open
/// for as long: with all that is under way, wherever its descriptors go.
#[derive(Debug)]
pub(crate) struct Visit(&'static Ring);

impl Visit {
    /// A visit, unless the ring is closed, or not yet there.
    #[inline(always)]
    #[must_use]
    pub(crate) fn of(ring: &'static Ring) -> Option<Visit> {
        // Relaxed: the exchange looks again.
        let mut refs = ring.refs.load(Relaxed);
        while refs & OPEN != 0 {
            // Acquire: as in `hold`.
            match ring.refs.compare_exchange_weak(refs, refs + VISIT, Acquire, Relaxed) {
                Ok(_) => return Some(Visit(ring)),
                Err(now) => refs = now,
            }
        }
        None
    }

    #[must_use]
    pub(crate) fn ring(&self) -> &'static Ring {
        self.0
    }
}

impl Drop for Visit {
    #[inline(always)]
    fn drop(&mut self) {
        // Both halves: as in `put`, and for who closes the ring in our place.
        let refs = self.0.refs.fetch_sub(VISIT, AcqRel) - VISIT;
        if refs & OPEN == 0 {
            leave_closed(self.0, refs);
        }
    }
}

/// A visitor goes from a ring that has lost its last handle meanwhile. Nobody comes any more: that
/// nobody is left one of them finds, and shuts it.
#[cold]
fn leave_closed(ring: &Ring, refs: u64) {
    if refs < VISIT {
        debug_assert!(refs & LEFT != 0, "visitors were there when the last handle went");
        // Relaxed: it is as many as before, and we have it.
        ring.refs.fetch_sub(LEFT - HOLD, Relaxed);
        shut(ring);
        put(ring);
    }
}

/// The ring's last handle is gone: with the hold that goes with it, it is shut by whoever comes out
/// last, which may be who asks.
pub(super) fn close(ring: &Ring) {
    let closed = |refs| Some(refs - OPEN + if refs < VISIT { HOLD } else { LEFT });
    // Both halves: what was done by other names, and by visitors, comes before the end.
    if ring.refs.fetch_update(AcqRel, Relaxed, closed).is_ok_and(|refs| refs < VISIT) {
        shut(ring);
        put(ring);
    }
}

/// The ring behind a descriptor.
#[must_use]
pub fn get(fd: Fd) -> Option<Held> {
    named(fd, hold).or_else(|| stray::below(fd))
}

/// The same, for who is in a call with the ring: only where the number is known.
#[inline(always)]
#[must_use]
pub(super) fn visit(fd: Fd) -> Option<Visit> {
    named(fd, Visit::of)
}

/// The ring that the table has for a descriptor, taken in one way or the other.
#[inline(always)]
fn named<H>(fd: Fd, take: impl Fn(&'static Ring) -> Option<H>) -> Option<H> {
    let entry = entry(fd)?;
    loop {
        // Acquire pairs with the Release that named the ring here: its words are there.
        let ring = entry.load(Acquire);
        if ring.is_null() || ring == INTERNAL {
            return None;
        }
        // SAFETY: rings are never unmapped; `take` touches nothing but `refs` while that is 0.
        let held = take(unsafe { &*ring });
        // Still the descriptor's ring, now that it cannot go away? The pointer may have been stale, and
        // the ring be in use anew: it was whole when `hold` found it so.
        if let Some(held) = held
            // Relaxed: only compared. It does not come before the hold, whose Acquire is before it.
            && entry.load(Relaxed) == ring
        {
            return Some(held);
        }
    }
}

/// Takes a hold, unless the ring is on its way out, or not yet there: of such a one nothing but the
/// count is looked at.
#[must_use]
pub(crate) fn hold(ring: &'static Ring) -> Option<Held> {
    // Relaxed: the exchange looks again.
    let mut refs = ring.refs.load(Relaxed);
    while refs != 0 {
        // Acquire pairs with the Release in `hold_first`, directly or through the exchanges since, which
        // continue it: the ring is seen as it was made.
        match ring.refs.compare_exchange_weak(refs, refs + HOLD, Acquire, Relaxed) {
            Ok(_) => return Some(Held(ring)),
            Err(now) => refs = now,
        }
    }
    None
}

/// One more for who has one, or a handle: to be let go of with [`put`].
pub(super) fn take_another(ring: &Ring) {
    // Relaxed: the ring is there, and seen.
    ring.refs.fetch_add(HOLD, Relaxed);
}

/// The hold that a ring begins with: from here on others can be taken.
pub(super) fn hold_first(ring: &Ring) {
    IN_USE.fetch_add(1, Relaxed);
    // Release pairs with the Acquire in `hold`: all that `renew` wrote is there for who finds the count
    // other than 0, by whatever pointer. `get` is right only because of that.
    ring.refs.store(OPEN, Release);
}

/// Takes that one back, of a ring that nobody has been told of. Who goes through all rings ([`each`]) may
/// hold it for a moment.
pub(super) fn revoke(ring: &Ring) {
    /// Who holds it may wait for the processor.
    const SPINS: u32 = 100;
    let mut spins = 0;
    // Acquire pairs with the Release in `put` of such a one.
    while ring.refs.compare_exchange_weak(OPEN, 0, Acquire, Relaxed).is_err() {
        spins += 1;
        if spins % SPINS == 0 {
            call::sched_yield();
        } else {
            spin_loop();
        }
    }
    IN_USE.fetch_sub(1, Relaxed);
}

/// Lets go of a hold; the last one takes the ring apart.
pub(crate) fn put(ring: &Ring) {
    // The Release half of each pairs with the Acquire half of the last one: all use of the ring comes
    // before it is taken apart.
    if ring.refs.fetch_sub(HOLD, AcqRel) != HOLD {
        return;
    }
    // What is left is told that it is over, and starts nothing: another ring may be held.
    let mut locked = ring.lock_to_settle();
    // Nobody will hear of it, so it counts as told, and what was kept for it goes.
    locked.tell_untold();
    locked.aio.close();
    end_aio(&mut locked);
    locked.files.clear();
    locked.buffers.clear();
    locked.groups.clear();
    locked.personalities.clear();
    if let Some(eventfd) = locked.eventfd.take() {
        let_go(eventfd.fd);
    }
    locked.timers.free();
    locked.readiness.close();
    ring.sqpoll.close();
    drop(locked);
    locks::look_at_all();
    // SAFETY: the count is zero: nobody else has the ring.
    unsafe { ring.retire() };
    pool::give_back(ptr::from_ref(ring).cast_mut());
    // Nothing comes to idle workers any more, and a process that wants to be rid of its threads (to be
    // frozen, say) has closed its rings for that. Relaxed, for it is only a number: what a ring that
    // begins right now finds retiring, it leaves to others.
    if IN_USE.fetch_sub(1, Relaxed) == 1 {
        wq::retire();
    }
}

/// Disks are not asked to stop. They are done now, and nobody hears with what: only what the
/// requests have is given back.
fn end_aio(locked: &mut Locked<'_>) {
    while let Some(req) = locked.find(|req| req.stage == Stage::Aio) {
        locked.complete(req, Errno::ECANCELED.to_res(), 0);
    }
    locked.run_tasks();
}

/// Calls `act` for every ring in use.
pub(crate) fn each(mut act: impl FnMut(&'static Ring)) {
    let mut at = pool::first();
    while !at.is_null() {
        // SAFETY: rings are never unmapped; `hold` touches nothing but `refs` while that is 0.
        let ring: &'static Ring = unsafe { &*at };
        if let Some(held) = hold(ring) {
            act(held.ring());
        }
        // Acquire pairs with the Release in `pool::take`, which lists a ring whose `next_ring` is set.
        at = ring.next_ring.load(Acquire);
    }
}

/// After `fork`, in the child, before anything else.
pub(crate) fn after_fork() {
    pool::after_fork();
    own::after_fork();
    locks::after_fork();
    let mut in_use = 0;
    let mut at = pool::first();
    while !at.is_null() {
        // SAFETY: rings are never unmapped, and this is the child's only thread.
        unsafe {
            if (*at).refs.load(Relaxed) != 0 {
                (*at).after_fork();
                in_use += 1;
            }
            // Relaxed, here and above: this is the only thread.
            at = (*at).next_ring.load(Relaxed);
        }
    }
    IN_USE.store(in_use, Relaxed);
}
