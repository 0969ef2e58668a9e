//! What is under the lock of a ring: its queues, and the operations under way.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::task::Waker;
use std::time::Duration;

use sysring_sys::Result;
use sysring_sys::abi::io_uring::{feat, sqe_flags};

use super::pool::Groups;
use super::request::Completion;
use super::slots::{After, Key, Slots};
use crate::ring::{Ring as Raw, Sqe, SyncCancel, Timespec};
use crate::{Errno, op};

pub struct State {
    pub(super) raw: Raw,
    pub(super) slots: Slots,
    /// A thread sleeps in the ring. It alone takes completions: another one that did could take
    /// just what that thread is about to sleep for.
    pub(super) taker: bool,
    /// That thread hands over what it has published before it sleeps, and may not have yet.
    hands_over: bool,
    /// It has not come back; shared with it.
    entered: Arc<AtomicBool>,
    /// Who submits and takes completions on behalf of futures; none is needed if it is not there.
    pub driver: Option<Waker>,
    /// Entries that nobody waits for and that use no memory, for which there was no room.
    left: Vec<Sqe>,
    /// One that is under way may hold back all that comes behind it (`IOSQE_IO_DRAIN`), requests to
    /// cancel included.
    drains: bool,
    /// What was cancelled meanwhile, and has not ended.
    held: Vec<Key>,
    /// Numbers of groups of buffers.
    pub(super) groups: Groups,
    /// Waits may be told how long (Linux 5.11).
    pub(super) knows_time: bool,
    /// Of waits that may not: here it stays until the entry for it is read.
    limit: Box<Timespec>,
}

impl State {
    pub fn new(raw: Raw, entered: Arc<AtomicBool>) -> State {
        let knows_time = raw.report().features() & feat::EXT_ARG != 0;
        State {
            raw,
            slots: Slots::default(),
            taker: false,
            hands_over: false,
            entered,
            driver: None,
            left: Vec::new(),
            drains: false,
            held: Vec::new(),
            groups: Groups::default(),
            knows_time,
            limit: Box::new(Duration::ZERO.into()),
        }
    }

    /// The calling thread is about to sleep in the ring. What was pushed is published, for it to hand
    /// over with the same call, when it has given the lock back; how many entries, and the flags it
    /// takes.
    ///
    /// The thread's call takes as many entries as that, whichever they are. Were others published
    /// before it does, it could take the first half of a chain, which would be cut in two; so
    /// [`submit`](State::submit) waits.
    pub fn go_to_sleep(&mut self) -> (u32, u32) {
        let (count, flags) = self.raw.publish();
        self.hands_over = count != 0 && !self.raw.has_thread();
        self.taker = true;
        // Relaxed: it is looked at under the lock.
        self.entered.store(true, Relaxed);
        (count, flags)
    }

    /// It comes back.
    pub fn come_back(&mut self) {
        self.taker = false;
    }

    /// Hands over what was pushed.
    pub fn submit(&mut self) -> Result<()> {
        self.wait_for_hand_over();
        loop {
            let before = self.raw.submission().len();
            self.raw.submit()?;
            let left = self.raw.submission().len();
            // It ends behind an entry that is invalid, and begins anew there.
            if left == 0 || left == before || self.raw.has_thread() {
                return Ok(());
            }
        }
    }

    /// Waits until the thread that sleeps in the ring has handed over what it published, which it is
    /// doing right now; it needs no lock for it.
    fn wait_for_hand_over(&mut self) {
        const QUICK: u32 = 64;
        let mut rounds = 0;
        // Acquire pairs with the Release of the thread that comes back: its call is over.
        while self.hands_over && self.entered.load(Acquire) {
            self.hands_over = !self.raw.is_taken();
            rounds += 1;
            if rounds < QUICK {
                std::thread::yield_now();
            } else {
                // It does operations meanwhile, or has a lower priority.
                std::thread::sleep(Duration::from_micros(50));
            }
        }
        self.hands_over = false;
    }

    /// Sees that so many entries can be pushed, and submitted together.
    pub fn make_room(&mut self, entries: usize) -> Result<()> {
        if entries > self.raw.submission().capacity() {
            return Err(Errno::E2BIG);
        }
        if self.raw.submission().room() >= entries {
            return Ok(());
        }
        self.submit()?;
        while self.raw.submission().room() < entries {
            if !self.raw.has_thread() {
                return Err(Errno::EBUSY);
            }
            self.raw.wait_for_room()?;
            std::thread::yield_now();
        }
        Ok(())
    }

    /// Pushes the entries of one operation.
    ///
    /// # Safety
    /// What they point to stays until the operation has ended.
    pub unsafe fn push(&mut self, entries: &[Sqe]) -> Result<()> {
        self.make_room(entries.len())?;
        self.drains |= entries.iter().any(|entry| entry.raw().flags & sqe_flags::IO_DRAIN != 0);
        // SAFETY: the caller's word.
        unsafe { self.raw.submission().push_all(entries) }.map_err(|_| Errno::EBUSY)
    }

    /// Pushes an entry that uses no memory and that nobody waits for: now, or when there is room.
    pub fn push_for_nobody(&mut self, entry: Sqe) {
        self.left.push(entry.user_data(Key::NOBODY));
        self.push_what_is_left();
    }

    pub fn push_what_is_left(&mut self) {
        while let Some(entry) = self.left.pop() {
            // SAFETY: it uses no memory.
            if unsafe { self.push(&[entry]) }.is_err() {
                self.left.push(entry);
                return;
            }
        }
    }

    /// Has somebody who sleeps in the ring come back after this time: for kernels whose waits cannot
    /// be told.
    pub fn push_limit(&mut self, span: Duration) -> Result<()> {
        *self.limit = span.into();
        let entry = op::Timeout::new(&raw const *self.limit).build().user_data(Key::NOBODY);
        // SAFETY: the time stays where it is while the ring is there.
        unsafe { self.push(&[entry]) }
    }

    /// Takes the driver's waker, after futures have pushed something. Where there is none the
    /// operations are submitted at once.
    #[must_use]
    pub fn pushed(&mut self) -> Option<Waker> {
        let driver = self.driver.take();
        if driver.is_none() {
            // A failure is of the moment: the next turn submits them.
            let _ = self.submit();
        }
        driver
    }

    /// Whether something was started that the kernel does not have.
    pub fn has_started(&mut self) -> bool {
        let is_on_its_way = self.raw.has_thread() || self.raw.submission().is_empty();
        !is_on_its_way || !self.left.is_empty()
    }

    /// Asks the kernel to cancel an operation, at once.
    pub fn cancel(&mut self, key: Key) {
        self.push_for_nobody(op::AsyncCancel::new(key.user_data()).build());
        let _ = self.submit();
        if self.drains {
            self.held.push(key);
            self.cancel_held();
        }
    }

    /// Whether something is to be cancelled that may not be found yet.
    pub fn must_cancel_again(&self) -> bool {
        !self.held.is_empty()
    }

    /// Cancels by a call, which nothing holds back. It finds what has begun: what is held back itself
    /// is to be looked for again.
    fn cancel_held(&mut self) {
        self.held.retain(|key| !self.slots.is_over(*key));
        for key in &self.held {
            let now = SyncCancel::user_data(key.user_data()).timeout(Duration::ZERO);
            let _ = self.raw.register().cancel(&now);
        }
    }

    /// Takes what has arrived; how many completions that was.
    pub(super) fn hand_out(&mut self, afters: &mut Vec<After>) -> usize {
        let mut count = 0;
        for cqe in self.raw.completions() {
            count += 1;
            if cqe.user_data() == Key::NOBODY {
                continue;
            }
            let completion = Completion::new(cqe.result(), cqe.flags());
            let (more, notification) = (cqe.more(), cqe.is_notification());
            afters.extend(self.slots.arrive(cqe.user_data(), completion, more, notification));
        }
        self.drains &= self.slots.under_way() != 0;
        self.cancel_held();
        count
    }
}
