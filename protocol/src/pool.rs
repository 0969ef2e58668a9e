//! What the lock of a crew guards: the queue, and the numbers that say whom it wants.
//!
//! A job that may wait for others wants a worker of its own. Such as end by themselves (bounded, as the
//! kernel calls them) want one together, who does them back to back: a second one is in its way for as
//! long as none of them sleeps.

use core::mem::take;

/// Threads counted at once: more come with the next batch, if these are not enough.
const SPAWN_AT_ONCE: u32 = if cfg!(loom) { 1 } else { 4 };

/// How long bounded jobs stand behind one that does not end, in nanoseconds, before another worker
/// comes for them.
pub const PATIENCE: i64 = 1_000_000;

/// A queue of jobs, first in, first out.
pub trait Line: Default {
    /// What is to be done.
    type Job;

    /// Puts one at the end.
    fn push(&mut self, job: Self::Job);

    /// Takes the first.
    fn pop(&mut self) -> Option<Self::Job>;

    /// Moves all of another to the end.
    fn append(&mut self, other: &mut Self);

    /// Whether a job ends by itself, whatever others do; always the same while it is in a queue.
    fn is_bounded(job: &Self::Job) -> bool;
}

/// What comes at once.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// How many jobs.
    pub count: u32,
    /// Of these, bounded ones.
    pub bounded: u32,
    /// When, in nanoseconds.
    pub now: i64,
}

/// What is left to be done for work that a crew was given, when no lock is held.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Calls {
    /// Idle workers to be woken ([`Crew::wake`](crate::Crew::wake)).
    pub wake: u32,
    /// Workers to be started, who have been counted.
    pub spawn: u32,
    /// A bounded job stands behind another: somebody has to look whether it is [`Standing::Stuck`].
    pub behind: bool,
}

impl Calls {
    pub(crate) fn new(wake: u32, spawn: u32) -> Calls {
        Calls { wake, spawn, behind: false }
    }
}

/// How bounded jobs fare, and others that a worker was not to be had for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// None waits.
    None,
    /// Some wait, and not for long.
    Moving,
    /// They stand behind such as do not end, or nobody comes.
    Stuck,
}

/// What the lock of a crew guards.
#[derive(Debug)]
pub struct Pool<L, I> {
    /// What is to be done.
    pub(crate) queue: L,
    /// How many jobs there are in the queue, and how many of them are bounded.
    pub(crate) queued: u32,
    bounded: u32,
    pub(crate) idle: u32,
    pub(crate) total: u32,
    /// Workers that were counted and have not come yet.
    pub(crate) coming: u32,
    /// One was not to be had, and unbounded jobs have been in the queue since.
    short: bool,
    /// Workers that have a bounded job, and when one was begun last.
    serving: u32,
    moved: i64,
    /// Workers whose jobs keep them perhaps for long.
    pub(crate) kept: u32,
    /// What the workers have, and who starts them.
    pub(crate) whose: I,
    /// Nothing more will come: who is idle ends after a while, the last of a personality, too.
    pub(crate) dismissed: bool,
    /// The workers share a table of descriptors that the process has no more: nothing new is for
    /// them, and who is done ends.
    pub(crate) retired: bool,
}

impl<L: Line, I: Copy + PartialEq> Pool<L, I> {
    pub(crate) const fn new(queue: L, whose: I) -> Pool<L, I> {
        Pool {
            queue,
            queued: 0,
            bounded: 0,
            idle: 0,
            total: 0,
            coming: 0,
            short: false,
            serving: 0,
            moved: 0,
            kept: 0,
            whose,
            dismissed: false,
            retired: false,
        }
    }

    /// Whether nobody is there, and nothing to do.
    pub(crate) fn is_free(&self) -> bool {
        self.total == 0 && self.queued == 0
    }

    /// Whether somebody is there for what comes.
    pub(crate) fn is_open(&self) -> bool {
        self.total != 0 && !self.retired
    }

    pub(crate) fn push(&mut self, job: L::Job) {
        self.queued += 1;
        self.bounded += u32::from(L::is_bounded(&job));
        self.queue.push(job);
    }

    fn pop(&mut self) -> Option<L::Job> {
        let job = self.queue.pop()?;
        self.count_out(&job);
        Some(job)
    }

    fn count_out(&mut self, job: &L::Job) {
        self.queued -= 1;
        self.bounded -= u32::from(L::is_bounded(job));
        self.short &= self.has_unbounded();
    }

    /// Takes one out that no worker has begun, with what finds it in the queue.
    pub fn take_back(&mut self, job: &L::Job, remove: impl FnOnce(&mut L) -> bool) -> bool {
        let there = remove(&mut self.queue);
        if there {
            self.count_out(job);
        }
        there
    }

    /// The same for all that are meant.
    pub fn take_all_back(&mut self, means: impl Fn(&L::Job) -> bool, back: &mut L) {
        let mut queue = take(&mut self.queue);
        while let Some(job) = queue.pop() {
            if means(&job) {
                self.count_out(&job);
                back.push(job);
            } else {
                self.queue.push(job);
            }
        }
    }

    pub(crate) fn add(&mut self, jobs: &mut L, load: Load, most: Most) -> Calls {
        self.queue.append(jobs);
        self.queued += load.count;
        self.bounded += load.bounded;
        let mut wanted = self.wanted();
        // Where nobody serves, one is among those wanted.
        let stuck = self.bounded != 0 && self.serving != 0 && !self.is_moving(load.now);
        if stuck && self.may_serve(most.serving) {
            wanted += 1;
            self.moved = load.now;
        }
        let (wake, spawn) = (self.idle.min(wanted), self.count_lacking(wanted, most.all));
        let behind = self.bounded > u32::from(self.serving == 0);
        Calls { behind, ..Calls::new(wake, spawn) }
    }

    /// How many workers the queue wants.
    pub(crate) fn wanted(&self) -> u32 {
        self.queued - self.bounded + u32::from(self.bounded != 0 && self.serving == 0)
    }

    /// Counts as many new workers as are wanted, who are to be started.
    pub(crate) fn count_lacking(&mut self, wanted: u32, most: u32) -> u32 {
        let room = most.saturating_sub(self.total);
        let lacking = wanted.saturating_sub(self.idle + self.coming).min(SPAWN_AT_ONCE).min(room);
        self.count(lacking);
        lacking
    }

    fn count(&mut self, more: u32) {
        self.total += more;
        self.coming += more;
    }

    /// Whether there is one job in the queue.
    pub(crate) fn has_one(&self) -> bool {
        self.queued == 1
    }

    /// How the bounded jobs in the queue fare, and others that a worker was not to be had for.
    pub(crate) fn standing(&self, now: i64) -> Standing {
        if self.bounded == 0 && !self.short {
            return Standing::None;
        }
        // Where nobody serves, somebody is on the way, or was not to be had.
        let comes = self.serving == 0 && self.idle + self.coming != 0;
        if comes || self.is_moving(now) { Standing::Moving } else { Standing::Stuck }
    }

    fn is_moving(&self, now: i64) -> bool {
        now - self.moved < PATIENCE
    }

    fn has_unbounded(&self) -> bool {
        self.queued != self.bounded
    }

    /// One who was counted is not to be had. Nobody else could start one of those who `stay`.
    pub(crate) fn lack(&mut self, stay: bool) {
        self.coming -= 1;
        self.short = !stay && self.has_unbounded();
    }

    /// One more for what stands, if there may be.
    pub(crate) fn relieve(&mut self, now: i64, most: Most) -> Option<Calls> {
        if self.idle != 0 {
            self.moved = now;
            return Some(Calls::new(1, 0));
        }
        let full = !self.short && !self.may_serve(most.serving);
        if self.total >= most.all || full {
            return None;
        }
        self.moved = now;
        self.count(1);
        Some(Calls::new(0, 1))
    }

    /// Whether one more may do bounded jobs, of whom there may be so many.
    fn may_serve(&self, most: u32) -> bool {
        self.serving + self.coming < most
    }

    /// A worker looks for its next job, `having` done one.
    pub(crate) fn next(&mut self, having: Done, most: Most, now: i64) -> Option<Next<L::Job>> {
        self.serving -= u32::from(having.bounded);
        let job = self.pop()?;
        let bounded = L::is_bounded(&job);
        let beside = bounded && !having.bounded && self.serving != 0;
        if bounded {
            self.serving += 1;
            self.moved = now;
        }
        let helps = having.slept && self.bounded != 0 && self.may_serve(most.serving);
        let strays = beside && self.queued != self.bounded;
        Some(Next { job, bounded, mixed: bounded || self.bounded != 0, helps, strays })
    }

    /// Counts one more where a worker finds too few; whether it is to be started, or an idle one to be
    /// woken.
    pub(crate) fn reinforce(&mut self, wanted: u32, most: u32) -> Calls {
        let lacking = wanted > self.idle + self.coming && self.total < most;
        self.count(u32::from(lacking));
        Calls::new(0, u32::from(lacking))
    }

    /// Whether one of a personality must stay: only its own kind could start another, and those that
    /// are in a call do not.
    pub(crate) fn needs_one(&self, stays: bool) -> bool {
        stays && self.idle == 0 && !self.dismissed
    }
}

/// What a worker has done last.
#[derive(Clone, Copy, Default)]
pub(crate) struct Done {
    /// It was bounded.
    pub bounded: bool,
    /// And slept long enough for another worker to have been of use.
    pub slept: bool,
}

/// What a worker does next.
pub(crate) struct Next<J> {
    pub job: J,
    pub bounded: bool,
    /// Bounded jobs are about: who came for one kind may have taken the other.
    pub mixed: bool,
    /// Another may help with the bounded ones that are left.
    pub helps: bool,
    /// It is a bounded one that nobody was called for, and another, which somebody was called for, is
    /// left.
    pub strays: bool,
}

/// How many workers there may be.
#[derive(Clone, Copy, Debug)]
pub struct Most {
    /// In all, where some are kept for long.
    pub all: u32,
    /// With bounded jobs.
    pub serving: u32,
}

impl Most {
    /// None.
    pub const NONE: Most = Most { all: 0, serving: 0 };
}
