//! Requests that workers hand in to whoever holds the ring.

use std::ptr::NonNull;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use crate::atomic::{Futex, RawLock};
use crate::inbox::{Handle, Inbox};
use crate::models::explore;

struct Node {
    name: u32,
    result: UnsafeCell<u32>,
    next: UnsafeCell<Option<Job>>,
}

#[derive(Clone, Copy)]
struct Job(NonNull<Node>);

// SAFETY: loom's cells check who makes use of what is named.
unsafe impl Send for Job {}

// SAFETY: `of` is the constructor; nodes live as long as their ring.
unsafe impl Handle for Job {
    type Node = Node;

    fn ptr(self) -> NonNull<Node> {
        self.0
    }

    unsafe fn of(ptr: NonNull<Node>) -> Job {
        Job(ptr)
    }

    fn next(self) -> Option<Job> {
        // SAFETY: the cell checks it.
        self.node().next.with(|next| unsafe { *next })
    }

    fn set_next(self, next: Option<Job>) {
        // SAFETY: the cell checks it.
        self.node().next.with_mut(|at| unsafe { *at = next });
    }
}

impl Job {
    fn node<'a>(self) -> &'a Node {
        // SAFETY: nodes live as long as their ring.
        unsafe { self.0.as_ref() }
    }
}

/// A ring, as far as requests are handed in: what was is noted under its lock.
struct Ring {
    lock: RawLock,
    inbox: Inbox<Job>,
    taken: UnsafeCell<Vec<u32>>,
    nodes: Vec<Box<Node>>,
}

impl Ring {
    fn new(jobs: u32) -> Arc<Ring> {
        let node =
            |name| Box::new(Node { name, result: UnsafeCell::new(0), next: UnsafeCell::new(None) });
        Arc::new(Ring {
            lock: RawLock::of(Futex::new(0)),
            inbox: Inbox::new(),
            taken: UnsafeCell::new(Vec::new()),
            nodes: (0..jobs).map(node).collect(),
        })
    }

    /// A worker: it writes its result, and hands the request in.
    fn finish(&self, job: usize) {
        let node = &self.nodes[job];
        // SAFETY: the cell checks it.
        node.result.with_mut(|result| unsafe { *result = node.name + 100 });
        self.inbox.put(Job(NonNull::from(&**node)));
        if self.inbox.settle(&self.lock) {
            self.let_go();
        }
    }

    /// As the engine's lock is let go of.
    fn let_go(&self) {
        loop {
            let mut next = self.inbox.take();
            while let Some(job) = next {
                next = job.next();
                job.set_next(None);
                let node = job.node();
                // SAFETY: the cells check it.
                let result = node.result.with(|result| unsafe { *result });
                assert_eq!(result, node.name + 100);
                self.taken.with_mut(|taken| unsafe { (*taken).push(node.name) });
            }
            self.lock.unlock();
            if !self.inbox.was_left() || !self.lock.try_lock() {
                return;
            }
        }
    }

    /// What was taken in when everybody has gone home: nobody needs to look once more.
    fn taken(&self) -> Vec<u32> {
        // SAFETY: the cell checks it.
        self.taken.with(|taken| unsafe { (*taken).clone() })
    }
}

#[test]
fn nothing_that_is_handed_in_is_left() {
    explore(|| {
        let ring = Ring::new(2);
        let workers = [0, 1].map(|job| {
            let ring = ring.clone();
            thread::spawn(move || ring.finish(job))
        });
        ring.lock.lock();
        ring.let_go();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        let mut taken = ring.taken();
        taken.sort_unstable();
        assert_eq!(taken, [0, 1]);
    });
}

#[test]
fn one_workers_requests_keep_their_order() {
    explore(|| {
        let ring = Ring::new(3);
        let other = ring.clone();
        let worker = thread::spawn(move || (0..3).for_each(|job| other.finish(job)));
        ring.lock.lock();
        ring.let_go();
        worker.join().unwrap();
        assert_eq!(ring.taken(), [0, 1, 2]);
    });
}
