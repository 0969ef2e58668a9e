//! Sleepers of one ring, and the bell that wakes one of them.

use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use crate::atomic::Futex;
use crate::models::explore;
use crate::waiters::{Posted, Turn, Waiters, Wish};

/// The ring, as far as it is waited for.
struct Ring {
    state: Mutex<State>,
    returns: Futex,
    set: Set,
}

struct State {
    waiters: Waiters,
    posted: Posted,
}

/// The epoll instance with the bell in it: one ring wakes one sleeper, and is kept where there is
/// none. Which one is not said.
struct Set {
    rung: Mutex<bool>,
    queue: Condvar,
}

impl Set {
    fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.queue.notify_one();
    }

    fn sleep(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.queue.wait(rung).unwrap();
        }
        *rung = false;
    }
}

impl Ring {
    fn new() -> Arc<Ring> {
        // The counts go round.
        let posted = Posted { tail: u32::MAX, fired: 0, overflown: false };
        Arc::new(Ring {
            state: Mutex::new(State { waiters: Waiters::new(), posted }),
            returns: Futex::new(0),
            set: Set { rung: Mutex::new(false), queue: Condvar::new() },
        })
    }

    /// Waits as `enter` does.
    fn wait(&self, count: u32) {
        let mut state = self.state.lock().unwrap();
        let wish = Wish { tail: u32::MAX.wrapping_add(count), fired: 0 };
        loop {
            let State { waiters, posted } = &mut *state;
            if posted.fulfils(&wish) {
                break;
            }
            match waiters.turn(wish, posted, &self.returns) {
                Turn::Sleep(place) => {
                    drop(state);
                    self.set.sleep();
                    state = self.state.lock().unwrap();
                    state.waiters.come_back(place, &self.returns);
                }
                Turn::Aside(seen) => {
                    drop(state);
                    self.set.ring();
                    Waiters::step_aside(&self.returns, seen).unwrap();
                    state = self.state.lock().unwrap();
                    state.waiters.step_back_in();
                }
                Turn::Nap => unreachable!(),
            }
        }
        drop(state);
        // Whoever leaves passes the bell on.
        self.set.ring();
    }

    /// Posts as `commit` and `unlock` do.
    fn post(&self, change: impl FnOnce(&mut Posted)) {
        let mut state = self.state.lock().unwrap();
        let State { waiters, posted } = &mut *state;
        change(posted);
        let wake = waiters.are_to_wake(posted);
        drop(state);
        if wake {
            self.set.ring();
        }
    }

    fn complete(&self) {
        self.post(|posted| posted.tail = posted.tail.wrapping_add(1));
    }
}

/// Threads that wait for these counts, while others do what `act` does, all come back.
fn all_come_back<const N: usize>(counts: [u32; N], act: impl Fn(&Ring)) {
    let ring = Ring::new();
    let sleepers = counts.map(|count| {
        let ring = ring.clone();
        thread::spawn(move || ring.wait(count))
    });
    act(&ring);
    sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap());
}

#[test]
fn a_sleeper_is_woken_by_the_last_of_what_it_waits_for() {
    explore(|| {
        all_come_back([2], |ring| {
            ring.complete();
            ring.complete();
        });
    });
}

/// The first leaves with what it waits for before the rest comes: nothing else would wake it.
#[test]
fn of_two_sleepers_the_one_that_is_meant_leaves_first() {
    explore(|| {
        let ring = Ring::new();
        let [one, many] = [1, 2].map(|count| {
            let ring = ring.clone();
            thread::spawn(move || ring.wait(count))
        });
        ring.complete();
        one.join().unwrap();
        ring.complete();
        many.join().unwrap();
    });
}

#[test]
fn two_who_post_and_two_who_sleep() {
    explore(|| {
        let ring = Ring::new();
        let sleepers = [1, 2].map(|count| {
            let ring = ring.clone();
            thread::spawn(move || ring.wait(count))
        });
        let other = ring.clone();
        let poster = thread::spawn(move || other.complete());
        ring.complete();
        sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap());
        poster.join().unwrap();
    });
}

#[test]
fn overflow_and_timeouts_end_every_wait() {
    explore(|| all_come_back([2, 3], |ring| ring.post(|posted| posted.overflown = true)));
    explore(|| all_come_back([2, 3], |ring| ring.post(|posted| posted.fired += 1)));
}
