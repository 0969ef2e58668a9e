//! Who has a request: what cancels it must know where to take it out, and what comes late that it has
//! gone on.

use core::sync::atomic::AtomicU8;
use core::sync::atomic::Ordering::Relaxed;

/// Where a request is on its road.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Stage {
    /// In the slab's free list.
    Free,
    /// Accepted; in a link behind another, in the drain queue, or about to be issued.
    Queued,
    /// Waits on the ring's epoll instance for its file to become ready.
    Parked,
    /// In the workers' queue.
    Punted,
    /// A worker runs it, outside the ring's lock.
    Running,
    /// Submitted to kernel AIO.
    Aio,
    /// In the timer heap or in the list of timeouts that count completions.
    Timer,
    /// Its operation keeps it and will complete it.
    Held,
    /// A sleeper waits for it, outside the ring's lock.
    Asleep,
}

impl Stage {
    const ALL: [Stage; 9] = [
        Stage::Free,
        Stage::Queued,
        Stage::Parked,
        Stage::Punted,
        Stage::Running,
        Stage::Aio,
        Stage::Timer,
        Stage::Held,
        Stage::Asleep,
    ];
}

/// The stage a request is in. A crew has it run under its own lock, while who holds the ring's looks.
#[derive(Debug)]
pub struct At(AtomicU8);

impl At {
    pub const fn new(stage: Stage) -> At {
        At(AtomicU8::new(stage as u8))
    }

    /// Relaxed: who looks and must not be wrong has withdrawn the request, or finds under the crew's
    /// lock that it cannot.
    #[must_use]
    pub fn get(&self) -> Stage {
        Stage::ALL[usize::from(self.0.load(Relaxed)).min(Stage::ALL.len() - 1)]
    }

    /// By a crew, under its lock. Relaxed: see `get`.
    pub fn set(&self, stage: Stage) {
        self.0.store(stage as u8, Relaxed);
    }
}

impl PartialEq<Stage> for At {
    #[inline(always)]
    fn eq(&self, stage: &Stage) -> bool {
        // Relaxed: see `get`.
        self.0.load(Relaxed) == *stage as u8
    }
}
