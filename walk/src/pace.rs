//! Whether a thread sleeps in the kernel: only then is another one of use.

use std::time::{Duration, Instant};

use sysring_sys::call;

/// No few calls take as long on what is cached. Longer ones have slept, or had their processor
/// taken away; which of the two, the kernel is asked.
const SUSPICIOUS: Duration = Duration::from_micros(40);

/// One thread's account of itself.
pub struct Pace {
    at: Instant,
    switches: u64,
    cold: bool,
}

impl Pace {
    pub fn new() -> Pace {
        Pace { at: Instant::now(), switches: call::voluntary_switches(), cold: false }
    }

    /// Looks at the clock, which costs as much as a few cache misses; true if the thread has slept
    /// since the last look.
    pub fn slept(&mut self) -> bool {
        let now = Instant::now();
        let suspicious = now - self.at > SUSPICIOUS;
        self.at = now;
        if suspicious {
            let switches = call::voluntary_switches();
            self.cold = switches != self.switches;
            self.switches = switches;
            return self.cold;
        }
        false
    }

    /// Whether the thread slept when it last had reason to ask: what it looks at next will have to
    /// come from the disk, too.
    pub fn is_cold(&self) -> bool {
        self.cold
    }

    /// The thread had nothing to do, and that sleep is not to be counted.
    pub fn rested(&mut self) {
        self.at = Instant::now();
        self.switches = call::voluntary_switches();
    }
}
