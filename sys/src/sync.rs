//! A lock that lives in shared memory and needs nothing but a word and a futex.

use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::{arch, call};

const FREE: u32 = 0;
const HELD: u32 = 1;
const CONTENDED: u32 = 2;

/// How often to look again before sleeping: about the length of a short critical section.
const SPINS: u32 = 100;

/// A mutual exclusion word: 0 free, 1 held, 2 held with sleepers. All zero is a free lock.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct RawLock(AtomicU32);

impl RawLock {
    /// A free lock.
    #[must_use]
    pub const fn new() -> RawLock {
        RawLock(AtomicU32::new(FREE))
    }

    /// Takes the lock if it is free; whether it was.
    #[inline]
    #[must_use]
    pub fn try_lock(&self) -> bool {
        // Acquire pairs with the Release in `unlock`: what the last holder wrote is seen here.
        self.0.compare_exchange(FREE, HELD, Acquire, Relaxed).is_ok()
    }

    /// Takes the lock, when it is free.
    #[inline]
    pub fn lock(&self) {
        if !self.try_lock() {
            self.lock_slowly();
        }
    }

    #[cold]
    fn lock_slowly(&self) {
        for _ in 0..SPINS {
            if self.0.load(Relaxed) == FREE && self.try_lock() {
                return;
            }
            arch::relax();
        }
        // From here on the word says that somebody may sleep; whoever unlocks will wake one.
        while self.0.swap(CONTENDED, Acquire) != FREE {
            let _ = call::futex_wait(&self.0, CONTENDED, None);
        }
    }

    /// Gives the lock back, which the caller holds.
    #[inline]
    pub fn unlock(&self) {
        if self.0.swap(FREE, Release) == CONTENDED {
            call::futex_wake(&self.0, 1);
        }
    }

    /// Makes the lock free whoever held it: for a child of `fork`, whose copy of a private lock
    /// may have been held by a thread that does not exist there.
    pub fn reset(&self) {
        self.0.store(FREE, Relaxed);
    }
}

/// A value behind a [`RawLock`].
#[derive(Debug)]
pub struct Mutex<T> {
    lock: RawLock,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached only through a guard, and the lock admits one guard at a time.
unsafe impl<T: Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    /// A value behind a free lock.
    pub const fn new(value: T) -> Mutex<T> {
        Mutex { lock: RawLock::new(), value: UnsafeCell::new(value) }
    }

    /// Waits for the right to the value.
    pub fn lock(&self) -> Guard<'_, T> {
        self.lock.lock();
        Guard { mutex: self }
    }

    /// See [`RawLock::reset`].
    pub fn reset(&self) {
        self.lock.reset();
    }
}

/// The right to the value; unlocks when dropped.
pub struct Guard<'a, T> {
    mutex: &'a Mutex<T>,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: a guard exists only while its lock is held.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: a guard exists only while its lock is held, and there is one.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        self.mutex.lock.unlock();
    }
}
