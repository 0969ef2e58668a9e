//! The lock on a futex.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use crate::atomic::{Futex, RawLock};
use crate::models::explore;

struct Counter {
    lock: RawLock,
    value: UnsafeCell<u32>,
}

impl Counter {
    fn new() -> Arc<Counter> {
        Arc::new(Counter { lock: RawLock::of(Futex::new(0)), value: UnsafeCell::new(0) })
    }

    /// With the lock held: loom sees to it that nobody else is at the value.
    fn count(&self) {
        // SAFETY: the cell checks it.
        self.value.with_mut(|value| unsafe { *value += 1 });
        self.lock.unlock();
    }
}

#[test]
fn three_threads_take_turns() {
    explore(|| {
        let counter = Counter::new();
        let others = [counter.clone(), counter.clone()];
        let others = others.map(|counter| {
            thread::spawn(move || {
                counter.lock.lock();
                counter.count();
            })
        });
        counter.lock.lock();
        counter.count();
        others.into_iter().for_each(|other| other.join().unwrap());
        counter.lock.lock();
        // SAFETY: the cell checks it.
        assert_eq!(counter.value.with(|value| unsafe { *value }), 3);
    });
}

#[test]
fn who_tries_waits_for_nobody_and_sees_what_was_written() {
    explore(|| {
        let counter = Counter::new();
        let other = counter.clone();
        let other = thread::spawn(move || {
            other.lock.lock();
            other.count();
            other.lock.lock();
            other.count();
        });
        if counter.lock.try_lock() {
            counter.count();
        }
        other.join().unwrap();
    });
}

/// In a child of `fork` the holder is gone, and so is whoever slept.
#[test]
fn a_reset_lock_is_free_whoever_held_it() {
    for contended in [false, true] {
        explore(move || {
            let counter = Counter::new();
            counter.lock.lock();
            if contended {
                let other = counter.clone();
                // It sleeps in the parent until that lets go.
                let parents = thread::spawn(move || {
                    other.lock.lock();
                    other.count();
                });
                counter.lock.unlock();
                parents.join().unwrap();
                counter.lock.lock();
            }
            counter.lock.reset();
            let others = [counter.clone(), counter.clone()];
            let others = others.map(|counter| {
                thread::spawn(move || {
                    counter.lock.lock();
                    counter.count();
                })
            });
            others.into_iter().for_each(|other| other.join().unwrap());
        });
    }
}
