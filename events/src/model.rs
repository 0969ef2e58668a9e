//! Every interleaving of small cases, by loom: `cargo xtask model`.
//!
//! A process that is killed is a thread that stops inside a push, at each of the points between
//! which others can tell a difference, and is then known to be dead.

use loom::sync::atomic::AtomicBool;
use loom::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use sysring_sys::{Errno, Result};

use crate::atomic::{AtomicU32, AtomicU64, FRESH};
use crate::band::{Band, Words};
use crate::event::{Event, HEAD};
use crate::host::Host;
use crate::lock::{ASLEEP, Lock};
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
    ring: Vec<AtomicU64>,
    overflow: Vec<AtomicU64>,
    kernel: Kernel,
}

struct Kernel {
    dead: AtomicBool,
    /// Futexes: the lock that makes checking and sleeping one step, and who sleeps.
    futex: Mutex<()>,
    lock_queue: Condvar,
    signal_queue: Condvar,
}

struct Process<'a> {
    kernel: &'a Kernel,
    name: u64,
}

struct Masked<'a>(&'a [AtomicU64]);

impl Words for Masked<'_> {
    fn word(&self, index: usize) -> &AtomicU64 {
        &self.0[index % self.0.len()]
    }
}

impl Host for Process<'_> {
    fn me(&self) -> Result<u64> {
        Ok(self.name)
    }

    fn is_dead(&self, name: u64) -> bool {
        name == VICTIM && self.kernel.dead.load(Acquire)
    }

    fn sleep_for_lock(&self, word: &AtomicU64, expected: u64, _: i64) {
        // A sleep that ends by its timeout once the victim is dead, and not before.
        let mut guard = self.kernel.futex.lock().unwrap();
        while word.load(Relaxed) as u32 == expected as u32 && !self.kernel.dead.load(Acquire) {
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

    fn reclaim(&self) {}
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
            ring: words(room * EVENT),
            overflow: words(overflow * EVENT),
            kernel: Kernel {
                dead: AtomicBool::new(false),
                futex: Mutex::new(()),
                lock_queue: Condvar::new(),
                signal_queue: Condvar::new(),
            },
        })
    }

    fn process(&self, name: u64) -> Process<'_> {
        Process { kernel: &self.kernel, name }
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
                size: size(&self.overflow),
                words: Masked(&self.overflow),
            },
            state: &self.state,
            lock: Lock { word: &self.lock, signal: &self.signal, host },
        }
    }

    fn push(&self, id: u64) -> Result<()> {
        let host = self.process(1);
        // The result says again what the id is, so that a torn record would show.
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

    /// The victim's push, which ends where it is killed.
    fn push_and_die(&self, id: u64, point: u32) {
        let host = self.process(VICTIM);
        let protocol = self.protocol(&host);
        let event = Event::new(id, -(id as i64));
        protocol.lock.lock().unwrap();
        if point > 0 {
            let band = protocol.room_for(EVENT).unwrap();
            band.write(&event);
            if point > 1 {
                band.publish(EVENT);
            }
            if point > 2 {
                // In the middle of `unlock`: the bit is gone, and nobody has been woken.
                self.lock.fetch_and(!ASLEEP, AcqRel);
            }
        }
        self.kernel.dead.store(true, Release);
        // Who sleeps for the lock looks again after a while.
        let _guard = self.kernel.futex.lock().unwrap();
        self.kernel.lock_queue.notify_all();
    }
}

fn check(f: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = model.preemption_bound.or(Some(2));
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
