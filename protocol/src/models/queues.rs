//! The two queues: the application at one end, as liburing is there, the engine at the other.

use std::collections::VecDeque;

use loom::cell::UnsafeCell;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use sysring_sys::abi::io_uring::sq_flags;

use crate::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use crate::atomic::{AtomicU32, fence};
use crate::cq::{Completions, Cq};
use crate::models::explore;
use crate::sq::{Entries, Sq};

/// The counts go round after the first entry.
const START: u32 = u32::MAX;

/// A submission queue.
struct Submission<const N: usize> {
    head: AtomicU32,
    tail: AtomicU32,
    flags: AtomicU32,
    array: Option<[AtomicU32; N]>,
    entries: [UnsafeCell<u32>; N],
    /// What wakes the thread that takes entries.
    bell: Mutex<bool>,
    rung: Condvar,
}

impl<const N: usize> Submission<N> {
    fn new(has_array: bool) -> Arc<Submission<N>> {
        Arc::new(Submission {
            head: AtomicU32::new(START),
            tail: AtomicU32::new(START),
            flags: AtomicU32::new(0),
            array: has_array.then(|| std::array::from_fn(|_| AtomicU32::new(7))),
            entries: std::array::from_fn(|_| UnsafeCell::new(0)),
            bell: Mutex::new(false),
            rung: Condvar::new(),
        })
    }

    fn sq(&self) -> Sq<'_> {
        Sq { head: &self.head, tail: &self.tail, entries: N as u32 }
    }

    /// The application: fills a place that is free, through the array the last one first.
    fn push(&self, tail: &mut u32, what: u32) -> bool {
        // Acquire: the engine has read what it hands back.
        if tail.wrapping_sub(self.head.load(Acquire)) == N as u32 {
            return false;
        }
        let position = *tail as usize % N;
        let index = match &self.array {
            None => position,
            Some(array) => {
                let index = N - 1 - position;
                array[position].store(index as u32, Relaxed);
                index
            }
        };
        // SAFETY: the cell checks it.
        self.entries[index].with_mut(|entry| unsafe { *entry = what });
        *tail = tail.wrapping_add(1);
        self.tail.store(*tail, Release);
        true
    }

    /// The application: wakes the thread that submits, where it has to.
    fn wake_if_asked(&self) {
        fence(SeqCst);
        if self.flags.load(Relaxed) & sq_flags::NEED_WAKEUP != 0 {
            *self.bell.lock().unwrap() = true;
            self.rung.notify_one();
        }
    }

    /// The engine: takes all there is.
    fn take(&self, taken: &mut u32, seen: &mut Vec<u32>) {
        let sq = self.sq();
        for _ in 0..sq.available(*taken) {
            seen.push(sq.take(taken, self).expect("an index in range").0);
        }
        sq.give_back(*taken);
    }
}

impl<const N: usize> Entries for Submission<N> {
    type Entry = u32;

    fn index_at(&self, position: u32) -> u32 {
        self.array.as_ref().map_or(position, |array| array[position as usize].load(Relaxed))
    }

    fn read(&self, index: u32) -> u32 {
        // SAFETY: the cell checks that the application does not write here now.
        self.entries[index as usize].with(|entry| unsafe { *entry })
    }
}

/// Three entries through two places, so that places are used again.
fn submit_three(has_array: bool) {
    let queue = Submission::<2>::new(has_array);
    let application = queue.clone();
    let application = thread::spawn(move || {
        let mut tail = START;
        let mut what = 1;
        while what <= 3 {
            if application.push(&mut tail, what) {
                what += 1;
            } else {
                thread::yield_now();
            }
        }
    });
    let (mut taken, mut seen) = (START, Vec::new());
    while seen.len() < 3 {
        queue.take(&mut taken, &mut seen);
        thread::yield_now();
    }
    application.join().unwrap();
    assert_eq!(seen, [1, 2, 3]);
}

#[test]
fn entries_are_whole_and_in_order() {
    explore(|| submit_three(false));
}

#[test]
fn entries_are_whole_and_in_order_through_the_array() {
    explore(|| submit_three(true));
}

/// SQPOLL: the thread sleeps without a timeout, so that a wake-up that is lost is a deadlock.
#[test]
fn the_thread_that_submits_does_not_sleep_over_entries() {
    explore(|| {
        let queue = Submission::<2>::new(false);
        let application = queue.clone();
        let application = thread::spawn(move || {
            let mut tail = START;
            for what in 1..=2 {
                assert!(application.push(&mut tail, what));
                application.wake_if_asked();
            }
        });
        let (mut taken, mut seen) = (START, Vec::new());
        loop {
            queue.take(&mut taken, &mut seen);
            if seen.len() == 2 {
                break;
            }
            if queue.sq().may_sleep(&queue.flags) {
                let mut bell = queue.bell.lock().unwrap();
                while !*bell {
                    bell = queue.rung.wait(bell).unwrap();
                }
                *bell = false;
            }
            queue.sq().clear_need_wakeup(&queue.flags);
        }
        application.join().unwrap();
        assert_eq!(seen, [1, 2]);
    });
}

/// A completion queue.
struct Completion<const N: usize> {
    head: AtomicU32,
    tail: AtomicU32,
    flags: AtomicU32,
    entries: [UnsafeCell<u32>; N],
    engine: Mutex<Engine>,
}

/// What the ring's lock guards.
struct Engine {
    put: u32,
    list: VecDeque<u32>,
}

struct Locked<'a, const N: usize> {
    queue: &'a Completion<N>,
    engine: loom::sync::MutexGuard<'a, Engine>,
}

impl<const N: usize> Locked<'_, N> {
    fn cq(&self) -> Cq<'_> {
        Cq { head: &self.queue.head, tail: &self.queue.tail }
    }

    fn post(&mut self, what: u32) {
        if self.has_room(&what) {
            self.put(what);
        } else {
            assert!(self.put_off(what));
        }
    }
}

impl<const N: usize> Completions for Locked<'_, N> {
    type Entry = u32;

    fn has_place(&mut self, _: &u32) -> bool {
        self.cq().ready(self.engine.put) < N as u32
    }

    fn put(&mut self, what: u32) {
        let place = self.engine.put as usize % N;
        // SAFETY: the cell checks that the application does not read here now.
        self.queue.entries[place].with_mut(|entry| unsafe { *entry = what });
        self.engine.put = self.engine.put.wrapping_add(1);
        self.cq().publish(self.engine.put);
    }

    fn nothing_waits(&mut self) -> bool {
        self.engine.list.is_empty()
    }

    fn keep(&mut self, what: u32) -> bool {
        self.engine.list.push_back(what);
        true
    }

    fn first(&mut self) -> Option<u32> {
        self.engine.list.front().copied()
    }

    fn drop_first(&mut self) {
        self.engine.list.pop_front();
    }

    fn flags(&self) -> &AtomicU32 {
        &self.queue.flags
    }
}

impl<const N: usize> Completion<N> {
    fn new() -> Arc<Completion<N>> {
        Arc::new(Completion {
            head: AtomicU32::new(START),
            tail: AtomicU32::new(START),
            flags: AtomicU32::new(0),
            entries: std::array::from_fn(|_| UnsafeCell::new(0)),
            engine: Mutex::new(Engine { put: START, list: VecDeque::new() }),
        })
    }

    fn lock(&self) -> Locked<'_, N> {
        Locked { queue: self, engine: self.engine.lock().unwrap() }
    }

    /// The application: consumes what it sees.
    fn reap(&self, head: &mut u32, seen: &mut Vec<u32>) {
        let tail = self.tail.load(Acquire);
        while *head != tail {
            // SAFETY: the cell checks it.
            seen.push(self.entries[*head as usize % N].with(|entry| unsafe { *entry }));
            *head = head.wrapping_add(1);
        }
        self.head.store(*head, Release);
    }
}

/// Two who post, more than there is room for, and an application that consumes and comes for the
/// rest only if the flag says so.
#[test]
fn nothing_overflows_into_the_dark() {
    explore(|| {
        let queue = Completion::<1>::new();
        let other = queue.clone();
        let worker = thread::spawn(move || {
            let mut locked = other.lock();
            locked.post(1);
            locked.post(2);
        });
        let (mut head, mut seen) = (START, Vec::new());
        queue.reap(&mut head, &mut seen);
        if queue.flags.load(Acquire) & sq_flags::CQ_OVERFLOW != 0 {
            queue.lock().move_up();
        }
        worker.join().unwrap();
        // Everything is posted: what is not in the queue, the flag tells of.
        loop {
            let overflown = queue.flags.load(Acquire) & sq_flags::CQ_OVERFLOW != 0;
            queue.reap(&mut head, &mut seen);
            if !overflown {
                break;
            }
            queue.lock().move_up();
        }
        assert_eq!(seen, [1, 2]);
    });
}

/// Who finds the flag gone finds the entries.
#[test]
fn the_flag_goes_when_the_entries_are_there() {
    explore(|| {
        let queue = Completion::<2>::new();
        {
            let mut locked = queue.lock();
            (1..=3).for_each(|what| locked.post(what));
        }
        let (mut head, mut seen) = (START, Vec::new());
        queue.reap(&mut head, &mut seen);
        assert_eq!(seen, [1, 2]);
        let other = queue.clone();
        let flusher = thread::spawn(move || assert_eq!(other.lock().move_up(), 1));
        let overflown = queue.flags.load(Acquire) & sq_flags::CQ_OVERFLOW != 0;
        queue.reap(&mut head, &mut seen);
        assert!(overflown || seen.len() == 3, "{seen:?}");
        flusher.join().unwrap();
    });
}

/// Places are used again only when the application has read them.
#[test]
fn entries_are_read_before_they_are_overwritten() {
    explore(|| {
        let queue = Completion::<1>::new();
        let other = queue.clone();
        let worker = thread::spawn(move || {
            for what in 1..=3 {
                let mut locked = other.lock();
                locked.move_up();
                locked.post(what);
            }
        });
        let (mut head, mut seen) = (START, Vec::new());
        queue.reap(&mut head, &mut seen);
        queue.reap(&mut head, &mut seen);
        worker.join().unwrap();
        while seen.len() < 3 {
            queue.lock().move_up();
            queue.reap(&mut head, &mut seen);
        }
        assert_eq!(seen, [1, 2, 3]);
    });
}
