//! The threads of a walk and what they have to do.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Builder, Scope};

use crate::handle::{Allowance, Handle};
use crate::node::Node;
use crate::order::Order;
use crate::pace::Load;
use crate::read::Reader;
use crate::survey::Survey;
use crate::{Options, Progress};

/// What disks and their queues have use for; more threads gain nothing there.
const IN_FLIGHT: usize = 48;
/// So much has to wait before a thread is started for another processor.
const WORTH_A_THREAD: usize = 8;
/// Parts of directories are left to others while no more than this waits.
const PARTS: usize = 16;
/// A thread holds its buffers on the heap.
const STACK: usize = 256 << 10;

/// One thing to do.
pub enum Job<R> {
    /// A directory, and its parent if that is still open.
    Directory(Arc<Node<R>>, Option<Arc<Handle>>),
    /// A part of a large one: records that were read, the first of them with this index.
    Part(Arc<Node<R>>, Arc<Handle>, Box<[u8]>, u32),
}

pub type Jobs<R> = Vec<Job<R>>;

pub struct Crew<'w, 'f, S: Survey> {
    pub survey: &'w S,
    pub options: &'w Options,
    pub order: &'w Order<'f, S::Report>,
    pub progress: &'w Progress,
    pub allowance: Allowance,
    processors: usize,
    most: usize,
    state: Mutex<State<S::Report>>,
    /// There is something to do, or nothing any more.
    changed: Condvar,
}

struct State<R> {
    /// The last comes first: what was found deep in the tree is done before what is beside it, so
    /// that little waits.
    jobs: Jobs<R>,
    threads: usize,
    working: usize,
    asleep: usize,
    load: Load,
}

impl<'w, 'f, S: Survey> Crew<'w, 'f, S> {
    pub fn new(
        survey: &'w S,
        options: &'w Options,
        order: &'w Order<'f, S::Report>,
        progress: &'w Progress,
    ) -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let wanted = options.threads.unwrap_or(IN_FLIGHT.max(processors));
        let most = wanted.min(Allowance::threads()).max(1);
        let state =
            State { jobs: Vec::new(), threads: 1, working: 0, asleep: 0, load: Load::new() };
        Crew {
            survey,
            options,
            order,
            progress,
            allowance: Allowance::new(most),
            processors: processors.min(most),
            most,
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    /// Does everything that follows from the roots; how many threads it took.
    pub fn run(&self, roots: Vec<Arc<Node<S::Report>>>) -> usize {
        let jobs = roots.into_iter().rev().map(|root| Job::Directory(root, None));
        self.lock().jobs.extend(jobs);
        thread::scope(|scope| self.work(scope));
        self.lock().threads
    }

    fn lock(&self) -> MutexGuard<'_, State<S::Report>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What every thread does, the caller's and the helpers.
    fn work<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) {
        let more = || self.overlap(scope);
        let leave = |jobs: &mut Vec<_>| self.leave(scope, jobs);
        let mut reader = Reader::new(self, &more, &leave);
        let mut found = Vec::new();
        let mut state = self.lock();
        loop {
            if self.order.is_over() {
                state.jobs.clear();
            }
            let Some(job) = state.jobs.pop() else {
                reader.seen.tell(self.progress);
                if state.working == 0 {
                    self.changed.notify_all();
                    return;
                }
                state.asleep += 1;
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.asleep -= 1;
                reader.pace.rested();
                continue;
            };
            state.working += 1;
            let (waiting, asleep, threads) = (state.jobs.len(), state.asleep, state.threads);
            drop(state);
            if waiting > 0 && asleep > 0 {
                self.changed.notify_one();
            } else if waiting > WORTH_A_THREAD && threads < self.processors {
                self.start(scope, |state| usize::from(state.threads < self.processors));
            }
            reader.run(job, &mut found);
            state = match self.state.try_lock() {
                Ok(state) => state,
                Err(_) => {
                    let state = self.lock();
                    // Sleep that came from the lock is not to be counted.
                    reader.pace.rested();
                    state
                }
            };
            state.working -= 1;
            state.jobs.append(&mut found);
        }
    }

    /// Whether a directory that is being read should be shared out: as long as others keep up.
    pub fn has_use_for_parts(&self) -> bool {
        self.most > 1 && self.lock().jobs.len() < PARTS
    }

    /// Queues jobs at once, for whoever is there first.
    fn leave<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, jobs: &mut Jobs<S::Report>) {
        let mut state = self.lock();
        state.jobs.append(jobs);
        let asleep = state.asleep;
        drop(state);
        if asleep > 0 {
            self.changed.notify_one();
        } else {
            self.start(scope, |state| usize::from(state.threads < self.processors));
        }
    }

    /// A thread has slept in the kernel: where processors are left idle by that, there may be twice
    /// as many threads.
    fn overlap<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) {
        self.start(scope, |state| {
            // Where nobody is missing, the load is not looked at: it would not be soon again.
            if state.jobs.is_empty() || state.asleep > 0 || !state.load.is_below(self.processors) {
                return 0;
            }
            state.threads.min(state.jobs.len())
        });
    }

    /// Starts so many helpers, or as many as there may be.
    fn start<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        wanted: impl FnOnce(&mut State<S::Report>) -> usize,
    ) {
        let mut state = self.lock();
        let wanted = wanted(&mut state).min(self.most - state.threads);
        state.threads += wanted;
        drop(state);
        for missing in (1..=wanted).rev() {
            let helper = Builder::new().name("sysring-walk".into()).stack_size(STACK);
            if helper.spawn_scoped(scope, || self.work(scope)).is_err() {
                // Those that there are do the work.
                self.lock().threads -= missing;
                return;
            }
        }
    }
}
