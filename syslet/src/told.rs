//! Attributes of calls: what can be told of one without doing anything about it.

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

use sysring_events::attr::{Answers, Attribute, Path, Place, Timing, Trace, Wanted};
use sysring_sys::{Result, call, vdso};

/// What a scope tells of a call.
const TOLD: u64 = Timing::MASK | Path::MASK | Place::MASK | Trace::MASK;

/// What is asked of a call, and what is known before it is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Told {
    mask: u64,
    begun: u64,
    trace: u64,
}

impl Told {
    pub const NOTHING: Told = Told { mask: 0, begun: 0, trace: 0 };

    /// Before the call.
    ///
    /// # Errors
    /// `EOPNOTSUPP`: something else is required.
    pub fn begin(wanted: &Wanted) -> Result<Told> {
        let mask = wanted.agree(TOLD)?;
        let begun = if mask & Timing::MASK != 0 { vdso::monotonic() } else { 0 };
        Ok(Told { mask, begun, trace: wanted.trace() })
    }

    pub const fn mask(&self) -> u64 {
        self.mask
    }

    pub const fn asks_for<A: Attribute>(&self) -> bool {
        self.mask & A::MASK != 0
    }

    /// What a child of `fork` knows of a call that is its parent's.
    #[must_use]
    pub const fn of_another_process(mut self) -> Told {
        self.mask &= Trace::MASK;
        self
    }

    /// The values, after the call.
    pub fn answer(&self, noted: &Noted, path: Path, answers: &mut Answers<'_>) {
        answers.clear();
        if self.asks_for::<Timing>() {
            let (begun, completed) = (self.begun, noted.completed.load(Relaxed));
            answers.set(&Timing { queued: begun, issued: begun, completed });
        }
        if self.asks_for::<Path>() {
            answers.set(&path);
        }
        if self.asks_for::<Place>()
            && let Some(place) = Place::read(&[noted.place.load(Relaxed)])
        {
            answers.set(&place);
        }
        if self.asks_for::<Trace>() {
            answers.set(&Trace(self.trace));
        }
    }
}

/// What is seen when the call has ended, by the thread that made it. Zeroes are one.
#[derive(Debug, Default)]
pub struct Noted {
    completed: AtomicU64,
    place: AtomicU64,
}

impl Noted {
    /// Right behind the call.
    pub fn note(&self, mask: u64) {
        if mask & Timing::MASK != 0 {
            self.completed.store(vdso::monotonic(), Relaxed);
        }
        if mask & Place::MASK != 0 {
            let mut word = [0];
            Place { cpu: vdso::processor(), thread: call::gettid() as u32 }.write(&mut word);
            self.place.store(word[0], Relaxed);
        }
    }
}
