//! Every interleaving of small cases, by loom: `cargo xtask model`. A context that blocks and is not
//! taken over, though there is a standby, would wait for ever, which loom finds.

use loom::sync::Arc;
use loom::thread;

use crate::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::atomic::{AtomicU32, AtomicU64, Bell};
use crate::standbys::{Standby, Standbys, Summons};

/// A context, as far as taking it over goes.
struct World {
    word: AtomicU64,
    over: AtomicU32,
    taken: AtomicU32,
    /// Rings when somebody has taken the context.
    goes_on: Bell,
    /// Rings when the context may be in another call.
    next_call: Bell,
    standbys: Standbys,
    threads: [Standby; 2],
}

impl World {
    fn new(state: u64) -> Arc<World> {
        Arc::new(World {
            word: AtomicU64::new(state),
            over: AtomicU32::new(0),
            taken: AtomicU32::new(0),
            goes_on: Bell::default(),
            next_call: Bell::default(),
            standbys: Standbys::new(),
            threads: [Standby::new(), Standby::new()],
        })
    }

    fn needs_help(&self, state: u64) -> bool {
        state & 1 != 0 && self.standbys.unhunted(state)
    }

    /// A watcher: it looks until it has seen to the call.
    fn watch(&self) {
        loop {
            let state = self.word.load(Acquire);
            if !self.needs_help(state) || self.standbys.hunt(&self.word, state) {
                return;
            }
            thread::yield_now();
        }
    }

    /// A thread that has finished its call: until the scope is over, or it is the context.
    fn stand_by(&self, me: usize) {
        loop {
            self.standbys.park(&self.word, &self.threads[me]);
            let Summons::Take(state) = self.threads[me].await_summons() else { unreachable!() };
            if self.over.load(Relaxed) == 1 {
                return;
            }
            let exchanged = self.word.compare_exchange(state, state + 1, AcqRel, Relaxed);
            self.standbys.drop_token();
            if exchanged.is_ok() {
                self.taken.fetch_add(1, Relaxed);
                self.goes_on.ring(1);
                return;
            }
        }
    }

    /// Waits until the context has been taken from the call, and ends the scope.
    fn end(&self, state: u64) {
        self.goes_on.answer();
        assert_eq!(self.word.load(Relaxed), state);
        self.standbys.take_token();
        self.over.store(1, Relaxed);
        self.threads.iter().for_each(Standby::dismiss);
    }
}

fn explore(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(2));
    builder.check(model);
}

#[test]
fn a_call_that_blocks_before_there_is_a_standby_is_taken_over() {
    explore(|| {
        let world = World::new(1);
        let [watcher, standby] = [world.clone(), world.clone()];
        let threads =
            [thread::spawn(move || watcher.watch()), thread::spawn(move || standby.stand_by(0))];
        world.end(2);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(world.taken.load(Relaxed), 1);
    });
}

#[test]
fn two_watchers_may_see_the_same_call() {
    explore(|| {
        let world = World::new(1);
        let [one, other, standby] = [world.clone(), world.clone(), world.clone()];
        let threads = [
            thread::spawn(move || one.watch()),
            thread::spawn(move || other.watch()),
            thread::spawn(move || standby.stand_by(0)),
        ];
        world.end(2);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(world.taken.load(Relaxed), 1);
    });
}

#[test]
fn of_two_standbys_one_takes_over() {
    explore(|| {
        let world = World::new(1);
        let [watcher, one, other] = [world.clone(), world.clone(), world.clone()];
        let threads = [
            thread::spawn(move || watcher.watch()),
            thread::spawn(move || one.stand_by(0)),
            thread::spawn(move || other.stand_by(1)),
        ];
        world.end(2);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(world.taken.load(Relaxed), 1);
    });
}

#[test]
fn a_call_that_ends_by_itself_misleads_nobody() {
    explore(|| {
        let world = World::new(1);
        let [watcher, standby] = [world.clone(), world.clone()];
        let threads = [
            thread::spawn(move || {
                watcher.watch();
                watcher.next_call.answer();
                watcher.watch();
            }),
            thread::spawn(move || standby.stand_by(0)),
        ];
        // The caller comes back, unless somebody was quicker, and goes into its next call.
        let back = world.word.compare_exchange(1, 2, AcqRel, Acquire).is_ok();
        if back {
            world.word.store(3, Release);
        }
        world.next_call.ring(1);
        world.end(if back { 4 } else { 2 });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(world.taken.load(Relaxed), 1);
    });
}
