//! Every interleaving of small cases, by loom: `cargo xtask model`.
//!
//! A process that is killed is a thread that ends inside a push, at each of the points between
//! which others can tell a difference, and is then known to be dead. One that is stopped sleeps there
//! until it is told to go on. And processes may be hasty: they take the lock from whoever holds it.

use std::cell::Cell;

use loom::sync::atomic::AtomicBool;
use loom::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use sysring_sys::{Errno, Result};

use crate::atomic::{AtomicU32, AtomicU64, FRESH};
use crate::band::{Band, Words};
use crate::event::{Event, HEAD};
use crate::host::Host;
use crate::kept::Kept;
use crate::lock::{ASLEEP, Held, Lock, PATIENCE_NS, PID, TURN};
use crate::protocol::Protocol;

const EVENT: u32 = HEAD as u32;

/// The name of the process that is killed; the others are 1.
const VICTIM: u64 = 2;

/// The shared memory: a ring with room for one event, an overflow area with room for two.
struct World {
    head: AtomicU64,
    overflow_head: AtomicU64,
    tail: AtomicU32,
    overflow_tail: AtomicU32,
    state: AtomicU32,
    lock: AtomicU64,
    signal: AtomicU32,
    kept: [Kept; 2],
    ring: Vec<AtomicU64>,
    kernel: Kernel,
}

struct Kernel {
    overflow: Vec<AtomicU64>,
    dead: AtomicBool,
    /// The victim is stopped, and goes on.
    stopped: AtomicBool,
    resumed: AtomicBool,
    go_on: Condvar,
    /// Futexes: the lock that makes checking and sleeping one step, and who sleeps.
    futex: Mutex<()>,
    lock_queue: Condvar,
    signal_queue: Condvar,
}

struct Process<'a> {
    kernel: &'a Kernel,
    pid: u64,
    hasty: bool,
    clock: Cell<i64>,
}

struct Masked<'a>(&'a [AtomicU64]);

impl Words for Masked<'_> {
    fn word(&self, index: usize) -> &AtomicU64 {
        &self.0[index % self.0.len()]
    }
}

impl Kernel {
    fn is_victim_late(&self) -> bool {
        let stopped = || self.stopped.load(Acquire) && !self.resumed.load(Acquire);
        self.dead.load(Acquire) || stopped()
    }
}

impl Host for Process<'_> {
    fn me(&self) -> Result<u64> {
        Ok(self.pid)
    }

    /// Whoever looks twice has waited long enough.
    fn now(&self) -> i64 {
        self.clock.set(self.clock.get() + PATIENCE_NS);
        self.clock.get()
    }

    fn is_dead(&self, pid: u64) -> bool {
        pid == VICTIM && self.kernel.dead.load(Acquire)
    }

    fn is_gone(&self, pid: u64, _: i64) -> bool {
        self.is_dead(pid)
    }

    fn sleep_for_lock(&self, word: &AtomicU64, expected: u64, _: i64) {
        if self.hasty {
            return thread::yield_now();
        }
        // A sleep that ends by its timeout once the victim is dead or stopped, and not before.
        let mut guard = self.kernel.futex.lock().unwrap();
        while word.load(Relaxed) as u32 == expected as u32 && !self.kernel.is_victim_late() {
            guard = self.kernel.lock_queue.wait(guard).unwrap();
        }
    }

    fn wake_for_lock(&self, _: &AtomicU64) {
        let _guard = self.kernel.futex.lock().unwrap();
        self.kernel.lock_queue.notify_one();
    }

    fn sleep(&self, signal: &AtomicU32, expected: u32, ns: Option<i64>) -> Result<()> {
        // No timeout: a wake-up that is lost is a deadlock, which loom finds.
        assert_eq!(ns, None);
        let mut guard = self.kernel.futex.lock().unwrap();
        while signal.load(Relaxed) == expected {
            guard = self.kernel.signal_queue.wait(guard).unwrap();
        }
        Ok(())
    }

    fn wake(&self, _: &AtomicU32) {
        let _guard = self.kernel.futex.lock().unwrap();
        self.kernel.signal_queue.notify_all();
    }

    fn reclaim(&self) {
        self.kernel.overflow.iter().for_each(|word| word.store(0, Relaxed));
    }
}

fn free_band() -> Kept {
    Kept { word: AtomicU64::new(0), since: 0.into(), looked: 0.into(), _1: 0 }
}

fn words(count: u32) -> Vec<AtomicU64> {
    (0..count / 8).map(|_| AtomicU64::new(0)).collect()
}

impl World {
    /// Counts start just before they go round, so that they do.
    fn new(room: u32, overflow: u32) -> Arc<World> {
        let start = 0u32.wrapping_sub(EVENT);
        Arc::new(World {
            head: AtomicU64::new(start.into()),
            overflow_head: AtomicU64::new(start.into()),
            tail: AtomicU32::new(start),
            overflow_tail: AtomicU32::new(start),
            state: AtomicU32::new(0),
            lock: AtomicU64::new(0),
            signal: AtomicU32::new(0),
            kept: [free_band(), free_band()],
            ring: words(room * EVENT),
            kernel: Kernel {
                overflow: words(overflow * EVENT),
                dead: AtomicBool::new(false),
                stopped: AtomicBool::new(false),
                resumed: AtomicBool::new(false),
                go_on: Condvar::new(),
                futex: Mutex::new(()),
                lock_queue: Condvar::new(),
                signal_queue: Condvar::new(),
            },
        })
    }

    fn process(&self, pid: u64) -> Process<'_> {
        Process { kernel: &self.kernel, pid, hasty: false, clock: Cell::new(0) }
    }

    fn protocol<'a>(&'a self, host: &'a Process<'a>) -> Protocol<'a, Masked<'a>, Process<'a>> {
        let size = |words: &[AtomicU64]| words.len() as u32 * 8;
        Protocol {
            ring: Band {
                head: &self.head,
                tail: &self.tail,
                size: size(&self.ring),
                words: Masked(&self.ring),
            },
            overflow: Band {
                head: &self.overflow_head,
                tail: &self.overflow_tail,
                size: size(&self.kernel.overflow),
                words: Masked(&self.kernel.overflow),
            },
            state: &self.state,
            lock: Lock { word: &self.lock, signal: &self.signal, kept: &self.kept, host },
        }
    }

    fn push(&self, id: u64) -> Result<()> {
        let host = self.process(1);
        // The result says again what the id is, so that a torn record would show.
        self.protocol(&host).push(&Event::new(id, -(id as i64)))
    }

    /// By a process of its own, which waits for nobody.
    fn push_hastily(&self, pid: u64, id: u64) -> Result<()> {
        let host = Process { hasty: true, ..self.process(pid) };
        self.protocol(&host).push(&Event::new(id, -(id as i64)))
    }

    /// What there is, in order, one by one.
    fn pop(&self) -> Option<u64> {
        let host = self.process(1);
        let mut memory = [0; HEAD / 8];
        let event = self.protocol(&host).pop(&mut memory, false).unwrap().next()?;
        assert_eq!(event.result(), -(event.id() as i64));
        Some(event.id())
    }

    fn wait(&self) -> u64 {
        loop {
            if let Some(id) = self.pop() {
                return id;
            }
            let host = self.process(1);
            self.protocol(&host).doze(None).unwrap();
        }
    }

    /// The victim's push, which comes as far as it says.
    fn begin(&self, id: u64, point: u32) -> Held {
        let host = self.process(VICTIM);
        let protocol = self.protocol(&host);
        let event = Event::new(id, -(id as i64));
        let held = protocol.lock.lock(|| protocol.room_for(EVENT)).unwrap();
        if point > 0 {
            protocol.write(held.side(), &event);
        }
        if point > 1 {
            protocol.band(held.side()).publish(EVENT);
        }
        if point > 2 {
            // In the middle of `unlock`: the bit is gone, and nobody has been woken.
            self.lock.fetch_and(!ASLEEP, AcqRel);
        }
        held
    }

    fn push_and_die(&self, id: u64, point: u32) {
        let _ = self.begin(id, point);
        self.tell_of_victim(&self.kernel.dead);
    }

    /// Is stopped on the way, until [`World::go_on`].
    fn push_and_stop(&self, id: u64, point: u32) {
        let held = self.begin(id, point);
        self.tell_of_victim(&self.kernel.stopped);
        let mut guard = self.kernel.futex.lock().unwrap();
        while !self.kernel.resumed.load(Acquire) {
            guard = self.kernel.go_on.wait(guard).unwrap();
        }
        drop(guard);
        let host = self.process(VICTIM);
        let protocol = self.protocol(&host);
        // Whatever it writes again is what it may still have had to write.
        if point < 2 {
            protocol.write(held.side(), &Event::new(id, -(id as i64)));
            protocol.band(held.side()).publish(EVENT);
        }
        if point > 2 {
            // It is about to, in `unlock`.
            protocol.lock.wake_consumers();
        }
        protocol.lock.unlock(held);
    }

    /// Is stopped, found out or not, and dies without having gone on.
    fn push_and_stop_and_die(&self, id: u64) {
        let _ = self.begin(id, 1);
        self.tell_of_victim(&self.kernel.stopped);
        thread::yield_now();
        self.tell_of_victim(&self.kernel.dead);
    }

    fn go_on(&self) {
        self.tell_of_victim(&self.kernel.resumed);
        self.kernel.go_on.notify_all();
    }

    fn tell_of_victim(&self, what: &AtomicBool) {
        // Who sleeps for the lock looks again after a while.
        let _guard = self.kernel.futex.lock().unwrap();
        what.store(true, Release);
        self.kernel.lock_queue.notify_all();
    }

    /// Nobody is at it: the lock is free, and no band is kept.
    fn assert_free(&self) {
        assert_eq!(self.lock.load(Acquire) & !(TURN | ASLEEP), 0);
        self.kept.iter().for_each(|kept| assert_eq!(kept.word.load(Acquire) & PID, 0));
    }

    /// All there is, by id.
    fn drain(&self) -> Vec<u64> {
        let mut all: Vec<u64> = std::iter::from_fn(|| self.pop()).collect();
        all.sort_unstable();
        all
    }
}

fn check(f: impl Fn() + Sync + Send + 'static) {
    check_within(2, f);
}

/// With so many switches of threads where nothing had to wait.
fn check_within(switches: usize, f: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = model.preemption_bound.or(Some(switches));
    model.check(f);
}

/// Where it matters who compares and swaps first: once with loads that may be answered with the
/// past, once with loads that hide no other.
fn check_both(f: impl Fn() + Sync + Send + Copy + 'static) {
    for fresh in [false, true] {
        FRESH.set(fresh);
        check(f);
    }
    FRESH.set(false);
}

#[test]
fn producers_and_overflow_keep_order() {
    check(|| {
        let world = World::new(1, 2);
        let other = world.clone();
        let producer = thread::spawn(move || {
            other.push(1).unwrap();
            other.push(2).unwrap();
        });
        world.push(11).unwrap();
        producer.join().unwrap();
        let seen = [world.pop(), world.pop(), world.pop()].map(Option::unwrap);
        assert_eq!(seen.iter().filter(|&&id| id < 10).collect::<Vec<_>>(), [&1, &2]);
        assert!(seen.contains(&11));
        assert_eq!(world.pop(), None);
    });
}

#[test]
fn a_consumer_beside_a_producer_sees_all_in_order() {
    check_both(|| {
        let world = World::new(1, 1);
        let other = world.clone();
        let producer = thread::spawn(move || {
            let mut pushed = Vec::new();
            for id in 1..=3 {
                match other.push(id) {
                    Ok(()) => pushed.push(id),
                    Err(error) => assert_eq!(error, Errno::ENOBUFS),
                }
            }
            pushed
        });
        let mut seen: Vec<u64> = (0..2).filter_map(|_| world.pop()).collect();
        let pushed = producer.join().unwrap();
        seen.extend(std::iter::from_fn(|| world.pop()));
        assert_eq!(seen, pushed);
    });
}

#[test]
fn consumers_share_without_loss_or_copy() {
    check_both(|| {
        let world = World::new(1, 2);
        world.push(1).unwrap();
        world.push(2).unwrap();
        let (a, b) = (world.clone(), world.clone());
        let first = thread::spawn(move || [a.pop(), a.pop()]);
        let producer = thread::spawn(move || b.push(3));
        let mine = world.pop();
        producer.join().unwrap().unwrap();
        let theirs = first.join().unwrap();
        // Who takes two gets them in order.
        if let [Some(one), Some(two)] = theirs {
            assert!(one < two);
        }
        let mut all: Vec<u64> = theirs.into_iter().chain([mine]).flatten().collect();
        all.extend(std::iter::from_fn(|| world.pop()));
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3]);
    });
}

#[test]
fn no_wake_up_is_lost() {
    check(|| {
        let world = World::new(1, 1);
        let (a, b) = (world.clone(), world.clone());
        let one = thread::spawn(move || a.push(1).unwrap());
        let two = thread::spawn(move || b.push(2).unwrap());
        let mut seen = [world.wait(), world.wait()];
        seen.sort_unstable();
        assert_eq!(seen, [1, 2]);
        one.join().unwrap();
        two.join().unwrap();
    });
}

#[test]
fn two_sleepers_are_woken() {
    check(|| {
        let world = World::new(1, 1);
        let (a, b) = (world.clone(), world.clone());
        let sleepers = [thread::spawn(move || a.wait()), thread::spawn(move || b.wait())];
        world.push(1).unwrap();
        world.push(2).unwrap();
        let mut seen = sleepers.map(|sleeper| sleeper.join().unwrap());
        seen.sort_unstable();
        assert_eq!(seen, [1, 2]);
    });
}

#[test]
fn a_killed_producer_stops_nobody() {
    for point in 0..=3 {
        check(move || {
            let world = World::new(1, 2);
            let (a, b) = (world.clone(), world.clone());
            let victim = thread::spawn(move || a.push_and_die(1, point));
            let other = thread::spawn(move || b.push(2).unwrap());
            // Sleeps without a timeout, and gets at least what the living pushed.
            let mut seen = vec![world.wait()];
            victim.join().unwrap();
            other.join().unwrap();
            world.push(3).unwrap();
            seen.extend(std::iter::from_fn(|| world.pop()));
            let lived = seen.contains(&1);
            assert_eq!(lived, point >= 2, "published is pushed: {seen:?}");
            assert!(seen.contains(&2) && seen.contains(&3));
            assert_eq!(seen.len(), if lived { 3 } else { 2 });
        });
    }
}

#[test]
fn a_stopped_producer_stops_nobody() {
    for point in 0..=3 {
        check(move || {
            let world = World::new(1, 2);
            let (a, b) = (world.clone(), world.clone());
            let victim = thread::spawn(move || a.push_and_stop(1, point));
            // Before it, or beside it: into the ring, or into the area.
            let other = thread::spawn(move || b.push(2).unwrap());
            let mut seen = vec![world.wait()];
            other.join().unwrap();
            world.go_on();
            // Who is late wakes who waits, though the lock is no longer its own.
            seen.push(world.wait());
            victim.join().unwrap();
            world.push(3).unwrap();
            seen.extend(world.drain());
            seen.sort_unstable();
            assert_eq!(seen, [1, 2, 3], "once each, whoever was late");
            world.assert_free();
        });
    }
}

#[test]
fn a_producer_stopped_at_the_area_leaves_the_ring() {
    for point in 0..=2 {
        check(move || {
            let world = World::new(1, 2);
            world.push(1).unwrap();
            let a = world.clone();
            let victim = thread::spawn(move || a.push_and_stop(2, point));
            // Into the area, beside it or behind it; or, where it is stopped, nowhere.
            let third = world.push(3);
            let mut seen = vec![world.wait()];
            seen.extend(world.drain());
            // The ring is empty now. Who has published may be before us in the area.
            let fourth = world.push(4);
            seen.extend(world.drain());
            world.go_on();
            victim.join().unwrap();
            seen.extend(world.drain());
            world.push(5).unwrap();
            seen.extend(world.drain());
            seen.sort_unstable();
            let mut pushed = vec![1, 2, 3, 4, 5];
            pushed.retain(|id| (*id != 3 || third.is_ok()) && (*id != 4 || fourth.is_ok()));
            assert_eq!(seen, pushed);
            assert_ne!(fourth, Err(Errno::EBADMSG));
            world.assert_free();
        });
    }
}

#[test]
fn what_the_stopped_keep_is_free_when_they_die() {
    check(|| {
        let world = World::new(1, 1);
        let a = world.clone();
        let victim = thread::spawn(move || a.push_and_stop_and_die(1));
        let first = world.push(2);
        victim.join().unwrap();
        let mut seen = world.drain();
        world.push(3).unwrap();
        world.push(4).unwrap();
        seen.extend(world.drain());
        assert_eq!(first, Ok(()), "there is a band for one more");
        assert_eq!(seen, [2, 3, 4]);
        world.assert_free();
    });
}

/// All take the lock from each other, as if each were too slow for the others.
#[test]
fn who_is_robbed_loses_nothing() {
    check_both(|| {
        let world = World::new(2, 2);
        let (a, b) = (world.clone(), world.clone());
        let one = thread::spawn(move || a.push_hastily(2, 1));
        let two = thread::spawn(move || b.push_hastily(3, 2));
        let pushed = [one.join().unwrap(), two.join().unwrap()];
        let mut expected: Vec<u64> =
            (1..).zip(pushed).filter(|(_, p)| p.is_ok()).map(|(n, _)| n).collect();
        assert!(expected.len() == 2, "two bands, two producers");
        world.assert_free();
        world.push(3).unwrap();
        expected.push(3);
        assert_eq!(world.drain(), expected);
    });
}

#[test]
fn three_who_rob_each_other_lose_nothing() {
    check_within(1, || {
        let world = World::new(2, 4);
        let (a, b) = (world.clone(), world.clone());
        let one = thread::spawn(move || a.push_hastily(2, 1));
        let two = thread::spawn(move || b.push_hastily(3, 2));
        // Two bands at most are kept, and the third finds none.
        let mine = world.push_hastily(4, 3);
        let all = [one.join().unwrap(), two.join().unwrap(), mine];
        world.assert_free();
        let mut expected: Vec<u64> = Vec::new();
        for (id, pushed) in (1..).zip(all) {
            match pushed {
                Ok(()) => expected.push(id),
                Err(error) => assert_eq!(error, Errno::ENOBUFS),
            }
        }
        world.push(4).unwrap();
        expected.push(4);
        assert_eq!(world.drain(), expected);
    });
}

/// The area is given back, and then used by the next, while others take the lock from who does it.
#[test]
fn a_late_tidying_destroys_nothing() {
    check(|| {
        let world = World::new(1, 1);
        world.push(1).unwrap();
        world.push(2).unwrap();
        assert_eq!(world.drain(), [1, 2]);
        let a = world.clone();
        // Into the ring; and the area is given back.
        let one = thread::spawn(move || a.push_hastily(2, 3));
        // Into the ring or the area, whose words this would lose if they were given back later.
        let mut pushed: Vec<u64> = vec![];
        for id in [4, 5] {
            if world.push_hastily(3, id).is_ok() {
                pushed.push(id);
            }
        }
        if one.join().unwrap().is_ok() {
            pushed.push(3);
        }
        pushed.sort_unstable();
        assert_eq!(world.drain(), pushed);
        world.assert_free();
    });
}
