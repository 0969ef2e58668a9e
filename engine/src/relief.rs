//! Who looks after what ends by itself and stands behind what does not, and after all else that stands
//! because no thread was to be had.
//!
//! One worker has it all, as long as it moves ([`PATIENCE`]). Whether it does is looked at by who waits for
//! the ring, by who submits next, else by the driver, which has the credentials of who left it last. Of these
//! only who has those of the workers can start another; others wake one that is idle, or leave it to who
//! comes to a ring next.

use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::Relaxed;

use sysring_protocol::{PATIENCE, Standing};
use sysring_sys::call;
use sysring_sys::vdso::monotonic;

use crate::{driver, wq};

/// How long it is at most until the next look, where nobody is to be had.
const PAUSE_AT_MOST: i64 = 100_000_000;

/// Something stands that a thread with other credentials than those who looked could see to, or that no
/// thread was to be had for.
static WANTED: AtomicBool = AtomicBool::new(false);

/// When somebody looks after it.
#[derive(Debug)]
pub struct Lookout {
    pause: i64,
    next: i64,
}

impl Lookout {
    pub const fn new() -> Lookout {
        Lookout { pause: PATIENCE, next: 0 }
    }

    /// Has another worker come to what stands; when to look again, if there is anything to look after. The
    /// caller holds no ring. Whether it `stands_in` where no thread is to be had: the driver must not be
    /// kept by a call that hangs.
    pub fn look(&mut self, stands_in: bool) -> Option<i64> {
        let now = monotonic() as i64;
        match relieve(now, stands_in) {
            Standing::None => {
                *self = Lookout::new();
                return None;
            }
            Standing::Moving => *self = Lookout { pause: PATIENCE, next: now + PATIENCE },
            // Nobody is to be had. Who comes before its time has come for something else.
            Standing::Stuck if now >= self.next => {
                self.pause = (2 * self.pause).min(PAUSE_AT_MOST);
                self.next = now + self.pause;
            }
            Standing::Stuck => {}
        }
        Some(self.next)
    }
}

/// Has another worker come to what stands, and how it all fares then.
fn relieve(now: i64, stands_in: bool) -> Standing {
    let mut all = Standing::None;
    for crew in wq::crews() {
        match crew.standing(now) {
            Standing::None => {}
            Standing::Moving => all = Standing::Moving,
            Standing::Stuck => {
                let mine = call::credentials();
                if crew.relieve(&mine, now, stands_in) {
                    all = Standing::Moving;
                    continue;
                }
                if !crew.has(&mine) {
                    WANTED.store(true, Relaxed);
                }
                if all == Standing::None {
                    all = Standing::Stuck;
                }
            }
        }
    }
    all
}

/// By who stops looking: what still waits is the driver's to look after. A ring's lock may be held.
pub fn hand_over() {
    let now = monotonic() as i64;
    let mut standing =
        wq::crews().iter().filter(|crew| crew.standing(now) != Standing::None).peekable();
    if standing.peek().is_none() {
        return;
    }
    let mine = call::credentials();
    if standing.any(|crew| crew.has(&mine)) {
        driver::renew(&mine);
    }
    leave();
}

/// By who has left something that stands, or may come to: the driver looks after it.
pub fn leave() {
    driver::come_at(monotonic() as i64 + PATIENCE);
}

/// The same where no thread was to be had. There may be none for a driver either, and it makes no calls in
/// a worker's place: who comes to a ring looks, too.
pub fn lack() {
    WANTED.store(true, Relaxed);
    leave();
}

/// Whether who waits for a ring is to look, whatever it has left to workers itself.
#[inline]
pub fn is_wanted() -> bool {
    // Relaxed: as in `come_by`.
    WANTED.load(Relaxed)
}

/// By who comes to a ring, of which it holds none: its credentials may be those that are wanted.
#[inline]
pub fn come_by() {
    // Relaxed: a hint; who looks in vain sets it again.
    if is_wanted() {
        come();
    }
}

#[cold]
fn come() {
    WANTED.store(false, Relaxed);
    if relieve(monotonic() as i64, true) != Standing::None {
        WANTED.store(true, Relaxed);
    }
}

/// In a child of `fork`.
pub fn after_fork() {
    WANTED.store(false, Relaxed);
}
