//! What a scope changes about its caller's thread, and puts back.

use core::cell::Cell;

use sysring_sys::abi::signal::{SIG_SETMASK, SIGSYS, SigSet};
use sysring_sys::{call, raw::general as g};

use crate::kernel::{self, Processors, SignalStack};
use crate::rseq::{self, Announced, Area};
use crate::support::Unavailable;

/// The thread as it was, in the context from the beginning of a scope to its end.
#[derive(Debug)]
pub struct Before {
    mask: Cell<SigSet>,
    processors: Cell<Option<Processors>>,
    area: Cell<Option<Area>>,
    signal_stack: Cell<Option<SignalStack>>,
    identity: Cell<[u32; 6]>,
    /// The processor that the scope is bound to.
    pub processor: Cell<Option<u32>>,
}

/// Signals that a thread raises by what it does: they reach their handlers, with the context's own
/// storage in place.
const FAULTS: [u32; 5] = [g::SIGSEGV, g::SIGBUS, g::SIGILL, g::SIGFPE, g::SIGTRAP];

/// Signals that C libraries send their threads to make each change its credentials or end (glibc: 32
/// and 33, musl: 33 and 34). They are for the thread itself, so they wait until it is itself.
const OF_LIBRARIES: [i32; 3] = [32, 33, 34];

impl Before {
    /// Changes the calling thread for the time of a scope.
    ///
    /// # Errors
    /// Why the thread can not be changed; then it is as it was.
    pub fn change(&self, thread_pointer: usize) -> Result<(), Unavailable> {
        let area = match rseq::call_off(thread_pointer) {
            Announced::Nothing => None,
            Announced::Glibc(area) => Some(area),
            Announced::Unknown => return Err(Unavailable::RestartableSequences),
        };
        self.area.set(area);
        self.identity.set(call::identity());
        self.signal_stack.set(kernel::signal_stack().ok());
        // Of the three that may be refused, none is vital: on several processors the detector is
        // wrong more often, and the exchange is a locked one. But who cannot be given back what it had
        // is not bound.
        self.processors.set(kernel::affinity().ok());
        let here = self.processors.get().and_then(|_| kernel::processor().ok());
        self.processor.set(here.filter(|&cpu| kernel::bind(cpu).is_ok()));
        Ok(())
    }

    /// Holds signals back, before anything else is done: a handler must not see half a scope.
    pub fn hold_signals(&self) {
        self.mask.set(block_signals());
    }

    /// Which signals the caller held back itself.
    pub fn mask(&self) -> SigSet {
        self.mask.get()
    }

    /// Whether the signal that calls a thread back reaches the scope's threads.
    pub fn lets_kicks_through(&self) -> bool {
        self.mask.get() == self.mask.get().without(SIGSYS)
    }

    /// Lets them through again.
    pub fn release_signals(&self) {
        let _ = call::sigprocmask(SIG_SETMASK, Some(self.mask.get()));
    }

    /// Where the caller's thread may run outside of the scope, if that is known.
    pub fn processors(&self) -> Option<Processors> {
        self.processors.get()
    }

    /// Makes the calling thread what it was, but for its signals.
    pub fn restore(&self) {
        if let (Some(_), Some(processors)) = (self.processor.get(), self.processors.get()) {
            let _ = call::sched_setaffinity(0, &processors);
        }
        if let Some(area) = self.area.get() {
            rseq::announce(area);
        }
    }

    /// The calling thread is a child's copy of one that the scope made: in its place.
    pub fn succeed(&self) {
        if let Some(stack) = self.signal_stack.get() {
            // SAFETY: it was the caller's, and the caller is this thread now.
            let _ = unsafe { kernel::set_signal_stack(&stack) };
        }
    }

    /// Whether the calling thread has the user and group ids that the scope began with.
    pub fn is_same_person(&self) -> bool {
        call::identity() == self.identity.get()
    }

    /// Lets signals through while `sleep` sleeps; the thread runs the context.
    pub fn hearing<T>(&self, sleep: impl FnOnce() -> T) -> T {
        let mask = OF_LIBRARIES.iter().fold(self.mask.get(), |mask, &signal| mask.with(signal));
        let during = call::sigprocmask(SIG_SETMASK, Some(mask));
        let slept = sleep();
        if let Ok(during) = during {
            let _ = call::sigprocmask(SIG_SETMASK, Some(during));
        }
        slept
    }
}

/// Blocks every signal that could come from outside; the mask as it was.
fn block_signals() -> SigSet {
    let open = FAULTS.iter().fold(SigSet::ALL, |mask, &signal| mask.without(signal as i32));
    let block = open.without(SIGSYS);
    call::sigprocmask(sysring_sys::abi::signal::SIG_BLOCK, Some(block)).unwrap_or_default()
}
