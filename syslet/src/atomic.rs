//! The processor's atomics and the kernel's sleep, or the model checker's.

#[cfg(not(loom))]
pub use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
#[cfg(loom)]
pub use loom::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

/// A store (Release) to a word that others exchange. loom takes such a store for older than exchanges
/// that did not see it, which no processor does: so there it is one, too.
macro_rules! put {
    ($word:expr, $value:expr) => {{
        #[cfg(not(loom))]
        $word.store($value, $crate::atomic::Ordering::Release);
        #[cfg(loom)]
        $word.swap($value, $crate::atomic::Ordering::Release);
    }};
}
pub(crate) use put;

#[cfg(loom)]
pub use model::{Bell, give_way};
#[cfg(not(loom))]
pub use real::{Bell, give_way};

#[cfg(not(loom))]
mod real {
    use super::AtomicU32;
    use super::Ordering::{Acquire, Relaxed, Release};
    use crate::kernel;

    /// What one thread sleeps on until others have something for it. Zeroes are one.
    #[derive(Debug)]
    pub struct Bell(AtomicU32);

    impl Bell {
        /// Wakes the thread and gives it `what`, which is not 0.
        pub fn ring(&self, what: u32) {
            // Release pairs with the Acquire below: what was done before goes along.
            self.0.store(what, Release);
            kernel::wake(&self.0);
        }

        /// Whether it would not sleep.
        pub fn has_rung(&self) -> bool {
            self.0.load(Relaxed) != 0
        }

        /// Sleeps until somebody has rung; what was given.
        pub fn answer(&self) -> u32 {
            loop {
                match self.0.swap(0, Acquire) {
                    0 => _ = kernel::sleep_while(&self.0, 0, None),
                    what => return what,
                }
            }
        }
    }

    /// Lets others go first.
    pub fn give_way() {
        sysring_sys::call::sched_yield();
    }
}

#[cfg(loom)]
mod model {
    use loom::sync::{Condvar, Mutex};

    #[derive(Debug, Default)]
    pub struct Bell(Mutex<u32>, Condvar);

    impl Bell {
        pub fn ring(&self, what: u32) {
            let mut word = self.0.lock().unwrap();
            *word = what;
            self.1.notify_one();
        }

        pub fn has_rung(&self) -> bool {
            *self.0.lock().unwrap() != 0
        }

        pub fn answer(&self) -> u32 {
            let mut word = self.0.lock().unwrap();
            while *word == 0 {
                word = self.1.wait(word).unwrap();
            }
            std::mem::take(&mut *word)
        }
    }

    pub fn give_way() {
        loom::thread::yield_now();
    }
}
