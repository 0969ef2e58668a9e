//! What a child of `fork` asks of the process that it has a ring from.
//!
//! A request is its submitter's, and only there can it be cancelled. So a child that finds nothing to
//! cancel asks its parent, through memory that both have, sees to it that somebody there looks, and
//! waits for the answer.
//!
//! And what it leaves: a process that ends takes its requests with it, but for timeouts, which in the
//! kernel belong to no task. Whoever uses the ring next goes on with those.

use core::cell::UnsafeCell;
use core::sync::atomic::Ordering::Relaxed;
use core::sync::atomic::{AtomicI32, AtomicU32};

use sysring_sys::abi::NSEC_PER_MSEC;
use sysring_sys::abi::io_uring::{Sqe, op, timeout};
use sysring_sys::abi::signal::SIGSYS;
use sysring_sys::{Errno, call};

use crate::locked::Locked;
use crate::op::{cancel, table, timeout as timeout_op};
use crate::request::{Req, Stage, flag};
use crate::ring::Ring;
use crate::{driver, process, thread};

/// How often, a millisecond apart, a child looks for the answer.
const LOOKS: u32 = 100;

/// Places for threads that work for a ring: each has the one that its id falls on.
const WORKERS: usize = 64;

/// An order, and whom to wake for it. Shared; all zero is none. It changes under the ring's lock, which
/// brings it from one process to the other; what is read without the lock is a hint.
#[derive(Debug)]
#[repr(C)]
pub struct Orders {
    /// What has become of the order (`STEP`), and above that its number.
    state: AtomicU32,
    /// The process that is asked.
    to: AtomicI32,
    answer: AtomicI32,
    words: UnsafeCell<Words>,
    workers: [AtomicI32; WORKERS],
    /// How many of these there are.
    left: AtomicU32,
}

/// What is no hint. Under the ring's lock.
#[derive(Debug)]
#[repr(C)]
struct Words {
    /// The order: a cancellation.
    sqe: Sqe,
    timers: [LeftTimer; TIMERS],
}

/// A timeout without its process.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct LeftTimer {
    /// In nanoseconds of CLOCK_MONOTONIC.
    deadline: i64,
    user_data: u64,
    op_flags: u32,
    /// The process that has left it.
    by: i32,
}

/// As many can be left at a time; others are cancelled.
const TIMERS: usize = 16;

/// How often another looks at an order before it takes its place. One that is answered gets longer: its
/// owner has only to fetch the answer, and would be told that nothing was found.
fn patience(state: u32) -> u32 {
    if state & STEP == ANSWERED { 10 * LOOKS } else { 2 * LOOKS }
}

const NONE: u32 = 0;
const ASKED: u32 = 1;
const ANSWERED: u32 = 2;
const STEP: u32 = 3;
/// From the state of one order to that of the next.
const NEXT: u32 = STEP + 1;

impl Orders {
    /// The calling thread, a worker, may be in a call that only a signal ends.
    pub fn begin_work(&self, tid: i32) {
        self.place(tid).store(tid, Relaxed);
    }

    /// No longer.
    pub fn end_work(&self, tid: i32) {
        // Another may have taken the place.
        let _ = self.place(tid).compare_exchange(tid, 0, Relaxed, Relaxed);
    }

    fn place(&self, tid: i32) -> &AtomicI32 {
        &self.workers[tid as usize % WORKERS]
    }

    fn is_for_us(&self) -> bool {
        self.state.load(Relaxed) & STEP == ASKED && self.to.load(Relaxed) == process::id()
    }

    /// Answers an order, unless it is another one's turn: who carries it out may let go of the lock
    /// meanwhile. Under the ring's lock.
    fn answer(&self, asked: u32, answer: i32) {
        if self.state.load(Relaxed) == asked {
            self.answer.store(answer, Relaxed);
            self.state.store(asked & !STEP | ANSWERED, Relaxed);
        }
    }

    /// Interrupts what workers of a process are in.
    fn call_workers(&self, pid: i32) {
        if !thread::is_kickable() {
            return;
        }
        for worker in &self.workers {
            let tid = worker.load(Relaxed);
            if tid != 0 {
                // Of another process: it is not found.
                let _ = call::tgkill(pid, tid, SIGSYS);
            }
        }
    }
}

impl Locked<'_> {
    fn words(&mut self) -> &mut Words {
        // SAFETY: the lock is held, and this is the one place where the cell is opened: by `self`, which
        // is borrowed mutably.
        unsafe { &mut *self.ring.orders().words.get() }
    }

    /// Has the parent carry out a cancellation in which nothing was found here; its answer, if there
    /// is a parent, and it gives one.
    #[cold]
    pub fn ask_parent(&mut self, sqe: &Sqe) -> Option<i32> {
        const EXISTS: i32 = 0;
        let parent = self.readiness.parent;
        if parent == 0 || call::tgkill(parent, parent, EXISTS).is_err() {
            return None;
        }
        let number = self.turn_to_ask();
        self.words().sqe = *sqe;
        let orders = self.ring.orders();
        orders.to.store(parent, Relaxed);
        orders.state.store(number | ASKED, Relaxed);
        let mut answer = None;
        for _ in 0..LOOKS {
            self.ring.orders().call_workers(parent);
            self.readiness.call_parent();
            driver::call_parents();
            self.breathe_for(NSEC_PER_MSEC);
            let orders = self.ring.orders();
            let state = orders.state.load(Relaxed);
            if state == number | ANSWERED {
                answer = Some(orders.answer.load(Relaxed));
            }
            if state != number | ASKED {
                break;
            }
        }
        let state = &self.ring.orders().state;
        // Who was away for long (stopped, perhaps) may have lost its turn.
        if state.load(Relaxed) & !STEP == number {
            state.store(number | NONE, Relaxed);
        }
        answer
    }

    /// Waits until no other order is there: the number of the next. One that stays as it is for longer
    /// than anybody waits is nobody's any more: who asked was killed, or stopped.
    fn turn_to_ask(&mut self) -> u32 {
        let mut seen = self.ring.orders().state.load(Relaxed);
        let mut looks = 0;
        while seen & STEP != NONE && looks < patience(seen) {
            self.breathe_for(NSEC_PER_MSEC);
            let state = self.ring.orders().state.load(Relaxed);
            looks = if state == seen { looks + 1 } else { 0 };
            seen = state;
        }
        (seen & !STEP).wrapping_add(NEXT)
    }

    /// Carries out what a child asks for.
    pub fn heed(&mut self) {
        if self.ring.orders().left.load(Relaxed) != 0 {
            self.take_over_timers();
        }
        if !self.ring.orders().is_for_us() {
            return;
        }
        let asked = self.ring.orders().state.load(Relaxed);
        let sqe = self.words().sqe;
        let answer = cancel::carry_out(self, &sqe);
        self.ring.orders().answer(asked, answer);
    }
}

impl Locked<'_> {
    /// The process ends, and leaves the timeouts that wait for nothing but their time.
    pub fn leave_timers(&mut self) {
        let alone = |req: Req| {
            req.sqe.opcode == op::TIMEOUT
                && req.stage == Stage::Timer
                && req.sqe.op_flags & !timeout::ETIME_SUCCESS == 0
                && req.scratch[timeout_op::COUNT] == 0
                && req.link.is_none()
                && !req.has(flag::CQE_SKIP)
        };
        while self.ring.orders().left.load(Relaxed) < TIMERS as u32
            && let Some(mut req) = self.find(alone)
        {
            let left = LeftTimer {
                deadline: req.deadline,
                user_data: req.sqe.user_data,
                op_flags: req.sqe.op_flags,
                by: process::id(),
            };
            let place = self.ring.orders().left.fetch_add(1, Relaxed) as usize;
            self.words().timers[place] = left;
            // Here nobody hears of it any more.
            req.set(flag::CQE_SKIP);
            req.res = 0;
            self.complete_as_set(req);
        }
        self.readiness.call_parent();
        driver::call_parents();
    }

    /// Goes on with what others have left.
    #[cold]
    fn take_over_timers(&mut self) {
        loop {
            let ring = self.ring;
            let count = ring.orders().left.load(Relaxed) as usize;
            let timers = &self.words().timers;
            // Not what this process has left a moment ago.
            let others = |timer: &LeftTimer| timer.by != process::id();
            let Some(at) = timers[..count].iter().position(others) else { return };
            let left = timers[at];
            let Ok(mut req) = self.slab.take(ring) else { return };
            let timers = &mut self.words().timers;
            timers[at] = timers[count - 1];
            ring.orders().left.store(count as u32 - 1, Relaxed);
            self.outstanding += 1;
            let sqe = Sqe {
                opcode: op::TIMEOUT,
                user_data: left.user_data,
                op_flags: left.op_flags,
                ..Sqe::default()
            };
            req.begin(&sqe, table::of(op::TIMEOUT));
            req.scratch = [0; 2];
            req.deadline = left.deadline;
            if self.timers.insert(req).is_err() {
                self.complete(req, Errno::ECANCELED.to_res(), 0);
                continue;
            }
            self.file(req, Stage::Timer);
        }
    }
}

impl Ring {
    /// What is asked of this process, or of another.
    pub fn orders(&self) -> &Orders {
        &self.control().orders
    }

    /// By a worker that was interrupted, and does not know why.
    pub fn heed(&self) {
        if self.is_shared() && self.orders().is_for_us() {
            self.lock_to_settle().heed();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_to_the_order_it_is_of() {
        // SAFETY: numbers, for which zero is a value; and none, as the type says.
        let orders: Orders = unsafe { core::mem::zeroed() };
        let (number, next) = (NEXT, 2 * NEXT);
        let [first, second] = [number | ASKED, next | ASKED];
        orders.state.store(second, Relaxed);
        orders.answer(first, 7);
        assert_eq!((orders.state.load(Relaxed), orders.answer.load(Relaxed)), (second, 0));
        orders.answer(second, 7);
        assert_eq!(orders.state.load(Relaxed), next | ANSWERED);
        assert_eq!(orders.answer.load(Relaxed), 7);
    }
}
