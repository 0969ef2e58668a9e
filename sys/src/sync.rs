//! A lock that lives in shared memory and needs nothing but a word and a futex.

use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{self, Acquire, Relaxed, Release};

use crate::abi::Timespec;
use crate::{Result, arch, call};

const FREE: u32 = 0;
const HELD: u32 = 1;
const CONTENDED: u32 = 2;

/// What a lock needs of its word: the kernel's futex, or the model checker's.
pub trait Word {
    /// How often to look again before sleeping.
    const SPINS: u32;

    /// Reads it.
    fn load(&self, order: Ordering) -> u32;

    /// Writes it.
    fn store(&self, value: u32, order: Ordering);

    /// Writes it; what was there.
    fn swap(&self, value: u32, order: Ordering) -> u32;

    /// Writes `to` where `from` stands; whether it did.
    fn replace(&self, from: u32, to: u32, order: Ordering) -> bool;

    /// Sleeps while the word is `expected`.
    fn sleep(&self, expected: u32);

    /// Wakes one who sleeps.
    fn wake_one(&self);
}

/// A word that threads sleep on.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct Futex(AtomicU32);

impl Futex {
    /// A word that holds `value`.
    #[must_use]
    pub const fn new(value: u32) -> Futex {
        Futex(AtomicU32::new(value))
    }

    /// Reads it.
    #[inline]
    #[must_use]
    pub fn load(&self, order: Ordering) -> u32 {
        self.0.load(order)
    }

    /// Adds to it; what was there.
    #[inline]
    pub fn fetch_add(&self, more: u32, order: Ordering) -> u32 {
        self.0.fetch_add(more, order)
    }

    /// Sleeps while the word is `expected`, for `timeout` at most.
    ///
    /// # Errors
    /// `EAGAIN`: it is another already. `ETIMEDOUT`. `EINTR`: a signal was handled.
    pub fn wait(&self, expected: u32, timeout: Option<&Timespec>) -> Result<()> {
        call::futex_wait(&self.0, expected, timeout)
    }

    /// Wakes up to `count` sleepers.
    pub fn wake(&self, count: u32) {
        call::futex_wake(&self.0, count);
    }
}

impl Word for Futex {
    /// About the length of a short critical section.
    const SPINS: u32 = 100;

    #[inline(always)]
    fn load(&self, order: Ordering) -> u32 {
        self.0.load(order)
    }

    #[inline(always)]
    fn store(&self, value: u32, order: Ordering) {
        self.0.store(value, order);
    }

    #[inline(always)]
    fn swap(&self, value: u32, order: Ordering) -> u32 {
        self.0.swap(value, order)
    }

    #[inline(always)]
    fn replace(&self, from: u32, to: u32, order: Ordering) -> bool {
        self.0.compare_exchange(from, to, order, Relaxed).is_ok()
    }

    fn sleep(&self, expected: u32) {
        let _ = self.wait(expected, None);
    }

    fn wake_one(&self) {
        self.wake(1);
    }
}

/// A mutual exclusion word: 0 free, 1 held, 2 held with sleepers. All zero is a free lock.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct RawLock<W = Futex>(W);

impl RawLock {
    /// A free lock.
    #[must_use]
    pub const fn new() -> RawLock {
        RawLock(Futex::new(FREE))
    }
}

impl<W: Word> RawLock<W> {
    /// A lock in a word that is 0.
    #[must_use]
    pub const fn of(word: W) -> RawLock<W> {
        RawLock(word)
    }

    /// Takes the lock if it is free; whether it was.
    #[inline]
    #[must_use]
    pub fn try_lock(&self) -> bool {
        // Acquire pairs with the Release in `unlock`: what the last holder wrote is seen here.
        self.0.replace(FREE, HELD, Acquire)
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
        for _ in 0..W::SPINS {
            if self.0.load(Relaxed) == FREE && self.try_lock() {
                return;
            }
            arch::relax();
        }
        // From here on the word says that somebody may sleep; whoever unlocks will wake one.
        while self.0.swap(CONTENDED, Acquire) != FREE {
            self.0.sleep(CONTENDED);
        }
    }

    /// Gives the lock back, which the caller holds.
    #[inline]
    pub fn unlock(&self) {
        // Release pairs with the Acquire of who takes the lock next.
        if self.0.swap(FREE, Release) == CONTENDED {
            self.0.wake_one();
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
