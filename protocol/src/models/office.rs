//! The driver: a timer or a ring that nobody looks at is a deadlock.

use loom::cell::UnsafeCell;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use crate::models::explore;
use crate::office::Office;

/// A process with a ring and a driver, or two.
struct World {
    office: Office,
    set: Mutex<Set>,
    woken: Condvar,
    ring: Mutex<Ring>,
}

/// The driver's epoll instance: what happens wakes one, and is told to one.
#[derive(Default)]
struct Set {
    bell: bool,
    ready: bool,
}

struct Ring {
    /// When timers are due.
    timers: Vec<i64>,
    /// Something is ready, and has been looked at.
    ready: bool,
    /// What must have been seen to before the drivers may end.
    awaited: u32,
}

impl World {
    fn new(awaited: u32) -> Arc<World> {
        Arc::new(World {
            office: Office::new(),
            set: Mutex::new(Set::default()),
            woken: Condvar::new(),
            ring: Mutex::new(Ring { timers: Vec::new(), ready: false, awaited }),
        })
    }

    fn ring_bell(&self) {
        self.set.lock().unwrap().bell = true;
        self.woken.notify_one();
    }

    /// Something becomes ready, which the instance tells once.
    fn make_ready(&self) {
        self.ring.lock().unwrap().ready = true;
        self.set.lock().unwrap().ready = true;
        self.woken.notify_one();
    }

    /// Who holds the ring sets a timer, and sees that the driver knows.
    fn set_timer(&self, due: i64) {
        let mut ring = self.ring.lock().unwrap();
        ring.timers.push(due);
        if self.office.must_hear_of(due) {
            self.ring_bell();
        }
    }

    /// As the driver does.
    fn drive(&self, term: u32) {
        let (mut now, mut told) = (0, false);
        while !self.office.is_over(term) {
            let due = {
                let mut ring = self.ring.lock().unwrap();
                if (told || self.office.inherits()) && ring.ready {
                    ring.ready = false;
                    ring.awaited -= 1;
                }
                let before = ring.timers.len();
                ring.timers.retain(|due| *due > now);
                ring.awaited -= (before - ring.timers.len()) as u32;
                if ring.awaited == 0 {
                    // All is done: the other driver may end, too.
                    self.ring_bell();
                    return;
                }
                ring.timers.iter().copied().min()
            };
            self.office.sleeps_until(due);
            told = false;
            let mut set = self.set.lock().unwrap();
            // With a time to wake, that may come at once.
            while !set.bell && !set.ready && due.is_none() {
                set = self.woken.wait(set).unwrap();
            }
            if !set.bell && !set.ready {
                now = due.unwrap();
            }
            told |= std::mem::take(&mut set.ready);
            set.bell = false;
            drop(set);
            self.office.note_awake();
        }
        self.office.leave(told);
        self.ring_bell();
    }
}

#[test]
fn no_timer_is_forgotten() {
    explore(|| {
        let world = World::new(2);
        let driver = world.clone();
        let driver = thread::spawn(move || driver.drive(0));
        let other = world.clone();
        let other = thread::spawn(move || other.set_timer(5));
        world.set_timer(6);
        other.join().unwrap();
        driver.join().unwrap();
    });
}

/// `setuid`: for a while there are two drivers, and one of them goes.
fn replace(awaited: u32, act: impl FnOnce(&World)) {
    let world = World::new(awaited);
    let [old, new] = [world.clone(), world.clone()];
    let old = thread::spawn(move || old.drive(0));
    let new = thread::spawn(move || new.drive(1));
    world.office.appoint(1);
    world.ring_bell();
    act(&world);
    old.join().unwrap();
    new.join().unwrap();
}

#[test]
fn no_timer_is_forgotten_when_the_driver_is_replaced() {
    explore(|| {
        replace(2, |world| {
            world.set_timer(5);
            world.set_timer(6);
        });
    });
}

#[test]
fn no_ring_is_forgotten_when_the_driver_is_replaced() {
    explore(|| replace(1, World::make_ready));
}

/// `exec`: who has closed the office and finds it quiet has every lock to itself.
#[test]
fn no_driver_works_when_the_process_ends() {
    explore(|| {
        let office = Arc::new(Office::new());
        let lock = Arc::new(UnsafeCell::new(()));
        let drivers = [(office.clone(), lock.clone()), (office.clone(), lock.clone())];
        let drivers = drivers.map(|(office, lock)| {
            thread::spawn(move || {
                if office.begin() {
                    lock.with(|_| ());
                    office.end();
                }
            })
        });
        office.close();
        if office.is_quiet() {
            // The cell sees to it that no driver is, or comes, there.
            lock.with_mut(|_| ());
        }
        drivers.into_iter().for_each(|driver| driver.join().unwrap());
    });
}
