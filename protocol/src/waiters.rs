//! Who sleeps for a ring's completions, and for how many.
//!
//! All sleepers of a ring sleep on one epoll instance, and its bell wakes one of them: the kernel
//! chooses which. Where two wait for different counts it may not be the one that is meant. Who is
//! woken and must wait on while another's wait is over therefore rings again, and steps aside, for
//! otherwise it would take that bell, too, until somebody has come back.
//!
//! The ring's lock guards all of it but the futex.

use sysring_sys::abi::Timespec;
use sysring_sys::{Errno, Result};

use crate::atomic::Futex;
use crate::atomic::Ordering::Relaxed;

/// Sleepers that are known. There may be more: these look for themselves now and then.
const PLACES: usize = 32;

/// How long to step aside at most. A sleeper that left by a jump out of a signal's handler never
/// comes back.
const ASIDE: Timespec = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };

/// What a thread waits for.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// The CQ tail that is enough.
    pub tail: u32,
    /// How many timeouts had gone off when it came: one more ends any wait.
    pub fired: u32,
}

/// What there is.
#[derive(Clone, Copy, Debug)]
pub struct Posted {
    /// The CQ tail.
    pub tail: u32,
    /// How many timeouts have gone off.
    pub fired: u32,
    /// Something waits for room in the queue, which ends any wait.
    pub overflown: bool,
}

impl Posted {
    /// Whether a wait is over.
    #[must_use]
    pub fn fulfils(&self, wish: &Wish) -> bool {
        self.tail.wrapping_sub(wish.tail) as i32 >= 0 || self.fired != wish.fired || self.overflown
    }
}

/// What a thread that must wait does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// It sleeps, and hears the bell.
    Sleep(Place),
    /// It sleeps for a moment: there is no place, so nobody will think of it.
    Nap,
    /// It lets go of the lock, rings the bell, and steps aside ([`Waiters::step_aside`]).
    Aside(u32),
}

/// A sleeper's place, until it comes back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place(u8);

/// The sleepers of a ring.
#[derive(Debug)]
pub struct Waiters {
    wishes: [Wish; PLACES],
    /// The places that are taken, a bit each.
    taken: u32,
    /// Threads that have stepped aside.
    aside: u32,
}

impl Default for Waiters {
    fn default() -> Self {
        Self::new()
    }
}

impl Waiters {
    /// Nobody.
    #[must_use]
    pub const fn new() -> Waiters {
        Waiters { wishes: [Wish { tail: 0, fired: 0 }; PLACES], taken: 0, aside: 0 }
    }

    /// What a thread with this wish, which is not fulfilled, does next.
    pub fn turn(&mut self, wish: Wish, posted: &Posted, returns: &Futex) -> Turn {
        if self.are_to_wake(posted) {
            self.aside += 1;
            // Read under the lock, and counted under the lock: who comes back from here on wakes us.
            return Turn::Aside(returns.load(Relaxed));
        }
        let place = self.taken.trailing_ones() as usize;
        match self.wishes.get_mut(place) {
            Some(free) => {
                *free = wish;
                self.taken |= 1 << place;
                Turn::Sleep(Place(place as u8))
            }
            None => Turn::Nap,
        }
    }

    /// Whether somebody sleeps whose wait is over.
    #[must_use]
    pub fn are_to_wake(&self, posted: &Posted) -> bool {
        let mut left = self.taken;
        while left != 0 {
            if posted.fulfils(&self.wishes[left.trailing_zeros() as usize]) {
                return true;
            }
            left &= left - 1;
        }
        false
    }

    /// A sleeper comes back.
    pub fn come_back(&mut self, place: Place, returns: &Futex) {
        self.taken &= !(1 << place.0);
        returns.fetch_add(1, Relaxed);
        if self.aside != 0 {
            returns.wake(u32::MAX);
        }
    }

    /// Waits, without the lock, until a sleeper has come back since `seen`, a moment at most.
    ///
    /// # Errors
    /// `EINTR`: a signal was handled.
    pub fn step_aside(returns: &Futex, seen: u32) -> Result<()> {
        match returns.wait(seen, Some(&ASIDE)) {
            Err(Errno::EINTR) => Err(Errno::EINTR),
            _ => Ok(()),
        }
    }

    /// Who stepped aside comes back.
    pub fn step_back_in(&mut self) {
        self.aside -= 1;
    }
}
