//! Workers: a job that nobody runs is missed at the end, a worker that nobody wakes is a deadlock.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32 as Plain, Ordering::Relaxed as Plainly};

use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use crate::crew::{Crew, Hands, Keeps};
use crate::models::explore;
use crate::pool::{Calls, Done, Line, Load, Most, PATIENCE, Standing};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Job {
    /// Ends by itself; an odd one is known to.
    Short(u32),
    /// As an odd one, but it sleeps in between.
    Drowsy,
    /// Waits for the other one, which nobody would have thought.
    Caught,
    /// Was to end by itself, and does not before the other one begins.
    Hung,
    Rescue,
    /// Ends when another of its kind has begun.
    Long,
}

impl Line for VecDeque<Job> {
    type Job = Job;

    fn push(&mut self, job: Job) {
        self.push_back(job);
    }

    fn pop(&mut self) -> Option<Job> {
        self.pop_front()
    }

    fn append(&mut self, other: &mut Self) {
        self.append(other);
    }

    fn is_bounded(job: &Job) -> bool {
        match job {
            Job::Short(number) => number % 2 == 1,
            Job::Drowsy | Job::Hung | Job::Rescue => true,
            Job::Long | Job::Caught => false,
        }
    }
}

/// A process. Who looks at it last, when all have gone home, sees that all is done.
struct World {
    crew: Crew<VecDeque<Job>, u32>,
    expected: u32,
    done: Plain,
    /// Threads that may still be had.
    threads: Plain,
    /// Of those that meet, how many have begun.
    begun: Mutex<u32>,
    begins: Condvar,
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.done.load(Plainly), self.expected, "jobs are left");
            assert!(self.crew.is_gone(), "somebody is counted who is not there");
        }
    }
}

struct Worker {
    world: Arc<World>,
    stays: bool,
    most: Most,
}

impl Hands for Worker {
    type Job = Job;

    fn look_up(&mut self) {}

    fn begin(&mut self, job: &mut Job) -> Keeps {
        Keeps { long: *job == Job::Long, deaf: false }
    }

    fn run(&mut self, job: Job) -> bool {
        if !matches!(job, Job::Short(_) | Job::Drowsy) {
            let mut begun = self.world.begun.lock().unwrap();
            *begun += 1;
            self.world.begins.notify_all();
            while *begun < 2 {
                begun = self.world.begins.wait(begun).unwrap();
            }
        }
        self.world.done.fetch_add(1, Plainly);
        job == Job::Drowsy
    }

    fn now(&mut self) -> i64 {
        0
    }

    fn most(&self) -> Most {
        self.most
    }

    fn hire(&mut self) -> bool {
        start(&self.world, self.stays)
    }

    fn leave(&mut self) {}
}

impl World {
    fn new(expected: u32, threads: u32) -> Arc<World> {
        Arc::new(World {
            crew: Crew::new(VecDeque::new(), 0),
            expected,
            done: Plain::new(0),
            threads: Plain::new(threads),
            begun: Mutex::new(0),
            begins: Condvar::new(),
        })
    }

    /// Until so many of those that meet have begun.
    fn wait_for(&self, count: u32) {
        let mut begun = self.begun.lock().unwrap();
        while *begun < count {
            begun = self.begins.wait(begun).unwrap();
        }
    }
}

const MANY: Most = Most { all: 64, serving: 64 };

fn load<const N: usize>(jobs: &[Job; N]) -> Load {
    let bounded = jobs.iter().filter(|job| VecDeque::is_bounded(job)).count() as u32;
    Load { count: N as u32, bounded, now: 0 }
}

/// Starts a worker, if there is a thread to be had.
fn start(world: &Arc<World>, stays: bool) -> bool {
    if world.threads.load(Plainly) == 0 {
        return false;
    }
    world.threads.fetch_sub(1, Plainly);
    let world = world.clone();
    thread::spawn(move || {
        let mut hands = Worker { world: world.clone(), stays, most: MANY };
        world.crew.serve(stays, &mut hands);
    });
    true
}

/// As the engine does for who brings work.
fn make(world: &Arc<World>, calls: Calls) {
    world.crew.wake(calls.wake);
    for _ in 0..calls.spawn {
        if !start(world, false) && !world.crew.has_others() {
            let mut hands = Worker { world: world.clone(), stays: false, most: Most::NONE };
            return world.crew.stand_in(&mut hands);
        }
    }
}

/// Sends jobs with an identity; whether they were taken.
fn offer<const N: usize>(world: &Arc<World>, whose: u32, jobs: [Job; N], most: u32) -> bool {
    let (load, most) = (load(&jobs), Most { all: most, serving: most });
    let calls = world.crew.offer(&whose, true, &mut VecDeque::from(jobs), load, most);
    calls.map(|calls| make(world, calls)).is_some()
}

fn send(world: &Arc<World>, job: Job, most: u32) {
    assert!(offer(world, 0, [job], most));
}

/// The two seconds may be over at any time; jobs come from two sides.
#[test]
fn work_that_comes_as_the_last_worker_goes_is_done() {
    explore(|| {
        let world = World::new(2, 2);
        let other = world.clone();
        let clock = thread::spawn(move || other.crew.expire());
        send(&world, Job::Short(0), 1);
        send(&world, Job::Short(1), 1);
        clock.join().unwrap();
    });
}

#[test]
fn two_who_send_share_a_worker() {
    explore(|| {
        let world = World::new(3, 1);
        let other = world.clone();
        let sender = thread::spawn(move || send(&other, Job::Short(0), 1));
        send(&world, Job::Short(1), 1);
        send(&world, Job::Short(2), 1);
        sender.join().unwrap();
        world.crew.expire();
    });
}

/// Each waits for the other.
#[test]
fn work_that_waits_for_other_work_does_not_keep_it() {
    explore(|| {
        let world = World::new(2, 3);
        world.crew.expire();
        let other = world.clone();
        let sender = thread::spawn(move || send(&other, Job::Long, 2));
        send(&world, Job::Long, 2);
        sender.join().unwrap();
    });
}

/// More than workers are started for at once.
#[test]
fn work_that_is_kept_for_long_brings_workers_for_the_rest() {
    explore(|| {
        let world = World::new(3, 3);
        world.crew.expire();
        assert!(offer(&world, 0, [Job::Long, Job::Long, Job::Short(0)], 3));
    });
}

#[test]
fn without_threads_who_sends_does_the_work() {
    for threads in 0..=1 {
        explore(move || {
            let world = World::new(2, threads);
            world.crew.expire();
            let other = world.clone();
            let sender = thread::spawn(move || send(&other, Job::Short(0), 4));
            send(&world, Job::Short(1), 4);
            sender.join().unwrap();
        });
    }
}

/// Who has slept over a job brings another, who may find nothing left.
#[test]
fn work_that_sleeps_brings_workers_for_the_rest() {
    for threads in 1..=2 {
        explore(move || {
            let world = World::new(3, threads);
            world.crew.expire();
            assert!(offer(&world, 0, [Job::Drowsy, Job::Short(1), Job::Short(3)], 2));
        });
    }
}

/// There was one worker for both, and it does not come back before the second is done.
#[test]
fn work_behind_a_job_that_hangs_is_done() {
    explore(|| {
        let world = World::new(2, 2);
        world.crew.expire();
        assert!(offer(&world, 0, [Job::Hung, Job::Rescue], 2));
        world.wait_for(1);
        assert_eq!(world.crew.standing(PATIENCE - 1), Standing::Moving);
        assert_eq!(world.crew.standing(PATIENCE), Standing::Stuck);
        let most = Most { all: 2, serving: 2 };
        let calls = world.crew.relieve(&0, PATIENCE, most).expect("it stands");
        assert_eq!((calls.wake, calls.spawn), (0, 1));
        make(&world, calls);
    });
}

/// Whom both kinds have brought has one of them only.
#[test]
fn work_of_one_kind_is_not_kept_by_the_other() {
    explore(|| {
        let world = World::new(2, 2);
        world.crew.expire();
        assert!(offer(&world, 0, [Job::Caught, Job::Rescue], 2));
    });
}

/// One of two who are idle is called, for the second job, and takes the first, which ends when that
/// begins. (Before it has, nobody goes home. The test is who has a bounded job already.)
#[test]
fn work_whose_worker_took_another_job_finds_who_is_idle() {
    explore(|| {
        let world = World::new(2, 2);
        world.crew.pool().push(Job::Short(1));
        assert!(world.crew.pool().next(Done::default(), MANY, 0).is_some());
        for workers in 1..=2 {
            assert_eq!(world.crew.pool().count_lacking(workers, 2), 1);
            assert!(start(&world, false));
        }
        assert!(offer(&world, 0, [Job::Rescue, Job::Caught], 2));
        world.wait_for(2);
        assert!(world.crew.pool().next(Done { bounded: true, slept: false }, MANY, 0).is_none());
        world.crew.expire();
    });
}

/// The only worker has what ends when the rest is done, and there was no thread for that.
#[test]
fn work_that_no_worker_comes_for_stands() {
    for rest in [Job::Rescue, Job::Caught] {
        explore(move || {
            let world = World::new(2, 1);
            world.crew.expire();
            assert!(offer(&world, 0, [Job::Long, rest], 2));
            world.wait_for(1);
            assert_eq!(world.crew.standing(PATIENCE), Standing::Stuck);
            let calls = world.crew.relieve(&0, PATIENCE, MANY).expect("it stands");
            assert_eq!((calls.wake, calls.spawn), (0, 1));
            make(&world, calls);
        });
    }
}

/// A crew is another's only when nobody is there and nothing to do.
#[test]
fn work_of_another_identity_is_not_taken_before_the_crew_is_free() {
    explore(|| {
        let world = World::new(2, 2);
        let other = world.clone();
        let clock = thread::spawn(move || other.crew.expire());
        send(&world, Job::Short(0), 1);
        let taken = offer(&world, 1, [Job::Short(1)], 1);
        assert!(taken == world.crew.has(&1));
        if !taken {
            send(&world, Job::Short(1), 1);
        }
        clock.join().unwrap();
    });
}

/// Who may start none leaves work behind, and the driver comes for it.
#[test]
fn work_of_who_may_start_nobody_is_done() {
    explore(|| {
        let world = World::new(2, 2);
        let other = world.clone();
        let clock = thread::spawn(move || other.crew.expire());
        send(&world, Job::Short(0), 1);
        let jobs = [Job::Short(1)];
        let calls = world.crew.take(&mut VecDeque::from(jobs), load(&jobs), Most::NONE);
        make(&world, calls);
        if let Some(calls) = world.crew.reinforce(&0, 1) {
            make(&world, calls);
        }
        clock.join().unwrap();
    });
}

/// The process has another table of descriptors: who was about to sleep hears that it is to end.
#[test]
fn workers_that_are_retired_do_what_they_have_and_end() {
    explore(|| {
        let world = World::new(2, 1);
        assert!(offer(&world, 0, [Job::Short(0), Job::Short(1)], 1));
        world.crew.retire();
    });
}

/// Begins a personality's crew.
fn muster(world: &Arc<World>) {
    let started = world.crew.muster(|| if start(world, true) { Ok(()) } else { Err(()) });
    assert!(started.is_ok());
}

/// The last worker of a personality never leaves by itself, and hears of the dismissal.
#[test]
fn a_personality_is_dismissed_when_its_work_is_done() {
    explore(|| {
        let world = World::new(2, 1);
        muster(&world);
        let other = world.clone();
        let clock = thread::spawn(move || other.crew.expire());
        assert_eq!(world.crew.give(Job::Short(0)), Ok(()));
        assert_eq!(world.crew.give(Job::Short(1)), Ok(()));
        world.crew.dismiss();
        clock.join().unwrap();
    });
}

/// Where there are two, both may have been idle for long enough.
#[test]
fn the_last_of_a_personality_stays() {
    explore(|| {
        let world = World::new(3, 2);
        muster(&world);
        assert_eq!(world.crew.give(Job::Short(0)), Ok(()));
        assert_eq!(world.crew.give(Job::Short(1)), Ok(()));
        let other = world.clone();
        thread::spawn(move || other.crew.expire()).join().unwrap();
        assert_eq!(world.crew.give(Job::Short(2)), Ok(()));
        world.crew.dismiss();
    });
}

/// Who is replaced runs what it was given in time, and refuses the rest.
#[test]
fn what_comes_to_a_personality_that_is_retired_is_done_or_refused() {
    explore(|| {
        let world = World::new(2, 1);
        muster(&world);
        let other = world.clone();
        let replaces = thread::spawn(move || other.crew.retire());
        for job in [0, 1] {
            if world.crew.give(Job::Short(job)).is_err() {
                world.done.fetch_add(1, Plainly);
            }
        }
        replaces.join().unwrap();
    });
}

#[test]
fn a_personality_that_is_recalled_in_time_works_on() {
    explore(|| {
        let world = World::new(1, 1);
        muster(&world);
        world.crew.dismiss();
        if world.crew.recall() {
            assert_eq!(world.crew.give(Job::Short(0)), Ok(()));
        } else {
            // Nobody hears it: who has work makes a crew of its own.
            world.done.fetch_add(1, Plainly);
        }
        world.crew.dismiss();
        world.crew.expire();
    });
}
