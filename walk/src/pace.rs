//! Whether threads sleep in the kernel, and leave processors idle: only then are more of use.

use std::time::{Duration, Instant};

use sysring_sys::call;
use sysring_sys::raw::general as g;

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
        Pace { at: Instant::now(), switches: call::times_waited(), cold: false }
    }

    /// Looks at the clock, which costs as much as a few cache misses; true if the thread has slept
    /// since the last look.
    pub fn slept(&mut self) -> bool {
        let now = Instant::now();
        let suspicious = now - self.at > SUSPICIOUS;
        self.at = now;
        if suspicious {
            let switches = call::times_waited();
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
        self.switches = call::times_waited();
    }
}

/// The time between two looks at how busy the processors are.
const INTERVAL: Duration = Duration::from_millis(1);

/// How busy the process keeps its processors.
pub struct Load {
    at: Instant,
    processor: Duration,
}

impl Load {
    pub fn new() -> Load {
        Load { at: Instant::now(), processor: processor_time() }
    }

    /// Whether a fifth or more of so many processors was idle since the last look; false if that was
    /// just now.
    pub fn is_below(&mut self, processors: usize) -> bool {
        let elapsed = self.at.elapsed();
        if elapsed < INTERVAL {
            return false;
        }
        let processor = processor_time();
        let used = processor.saturating_sub(self.processor);
        *self = Load { at: self.at + elapsed, processor };
        used.as_nanos() * 5 < elapsed.as_nanos() * processors as u128 * 4
    }
}

/// What all threads of the process have had.
fn processor_time() -> Duration {
    let nanoseconds = call::now(g::CLOCK_PROCESS_CPUTIME_ID);
    Duration::from_nanos(nanoseconds.unsigned_abs())
}
