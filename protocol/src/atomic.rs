//! The processor's atomics and the kernel's futexes, or the model checker's.

#[cfg(not(loom))]
pub use core::sync::atomic::{AtomicBool, AtomicI64, AtomicPtr, AtomicU32, Ordering, fence};
#[cfg(not(loom))]
pub use sysring_sys::sync::{Futex, Guard, Mutex, RawLock};

#[cfg(loom)]
pub use loom::sync::atomic::{AtomicBool, AtomicI64, AtomicPtr, AtomicU32, Ordering, fence};
#[cfg(loom)]
pub use model::{Futex, Guard, Mutex, RawLock};

#[cfg(loom)]
#[allow(missing_docs)]
mod model {
    use loom::sync::atomic::AtomicU32;
    use loom::sync::atomic::Ordering::{self, Relaxed};
    use loom::sync::{Condvar, Mutex as LoomMutex, MutexGuard};
    use sysring_sys::abi::Timespec;
    use sysring_sys::sync::{RawLock as Lock, Word};
    use sysring_sys::{Errno, Result};

    /// A word to sleep on. The mutex makes the kernel's check and its sleep one step.
    #[derive(Debug)]
    pub struct Futex {
        word: AtomicU32,
        /// Times are up.
        late: LoomMutex<bool>,
        queue: Condvar,
    }

    impl Futex {
        pub fn new(value: u32) -> Futex {
            Futex {
                word: AtomicU32::new(value),
                late: LoomMutex::new(false),
                queue: Condvar::new(),
            }
        }

        pub fn load(&self, order: Ordering) -> u32 {
            self.word.load(order)
        }

        pub fn fetch_add(&self, more: u32, order: Ordering) -> u32 {
            self.word.fetch_add(more, order)
        }

        pub fn wait(&self, expected: u32, timeout: Option<&Timespec>) -> Result<()> {
            let late = self.late.lock().unwrap();
            if self.word.load(Relaxed) != expected {
                return Err(Errno::EAGAIN);
            }
            if timeout.is_some() && *late {
                return Err(Errno::ETIMEDOUT);
            }
            let late = self.queue.wait(late).unwrap();
            if timeout.is_some() && *late { Err(Errno::ETIMEDOUT) } else { Ok(()) }
        }

        pub fn wake(&self, count: u32) {
            let _late = self.late.lock().unwrap();
            if count == u32::MAX {
                return self.queue.notify_all();
            }
            (0..count).for_each(|_| self.queue.notify_one());
        }

        /// From here on whoever sleeps with a timeout has slept long enough.
        pub fn expire(&self) {
            *self.late.lock().unwrap() = true;
            self.queue.notify_all();
        }
    }

    impl Word for Futex {
        // A thread that spins learns nothing that one that sleeps does not.
        const SPINS: u32 = 0;

        fn load(&self, order: Ordering) -> u32 {
            self.word.load(order)
        }

        fn store(&self, value: u32, order: Ordering) {
            self.word.store(value, order);
        }

        fn swap(&self, value: u32, order: Ordering) -> u32 {
            self.word.swap(value, order)
        }

        fn replace(&self, from: u32, to: u32, order: Ordering) -> bool {
            self.word.compare_exchange(from, to, order, Relaxed).is_ok()
        }

        fn sleep(&self, expected: u32) {
            let _ = self.wait(expected, None);
        }

        fn wake_one(&self) {
            self.wake(1);
        }
    }

    /// The engine's lock, on a word of the checker's.
    pub type RawLock = Lock<Futex>;

    /// A lock that is taken for granted: the engine's has a model of its own.
    #[derive(Debug)]
    pub struct Mutex<T>(LoomMutex<T>);

    pub type Guard<'a, T> = MutexGuard<'a, T>;

    impl<T> Mutex<T> {
        pub fn new(value: T) -> Mutex<T> {
            Mutex(LoomMutex::new(value))
        }

        pub fn lock(&self) -> Guard<'_, T> {
            self.0.lock().unwrap()
        }
    }
}
