//! The ring's timers: a heap by deadline, and timeouts that count completions.
//!
//! Of several that are meant alike, or due alike, the kernel takes them in the order of its lists. That
//! order is kept as numbers in the timers, and looked for when somebody asks.

use core::ptr;

use sysring_sys::abi::io_uring::{op, timeout};
use sysring_sys::{Errno, Result, call};

use crate::locked::Locked;
use crate::memory;
use crate::request::{Req, flag};
use crate::time::end_of_timer;

/// A binary heap of requests, earliest deadline first. Each knows its place, so any can be taken
/// out.
#[derive(Debug)]
pub struct Timers {
    heap: *mut Req,
    len: u32,
    room: u32,
    /// How many were begun so far.
    begun: u64,
    /// One was added since somebody last saw to it that they are kept.
    pub fresh: bool,
    /// Members that count completions.
    counting: u32,
    /// Timeouts that went off: their CQEs do not count, and each ends a wait in `enter`.
    pub fired: u32,
}

pub const NOWHERE: u32 = u32::MAX;
const FIRST_ROOM: u32 = 32;

impl Default for Timers {
    fn default() -> Self {
        Self::new()
    }
}

impl Timers {
    pub const fn new() -> Timers {
        Timers {
            heap: ptr::null_mut(),
            len: 0,
            room: 0,
            begun: 0,
            fresh: false,
            counting: 0,
            fired: 0,
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// When the first is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<i64> {
        self.first().map(|req| req.deadline)
    }

    fn first(&self) -> Option<Req> {
        (self.len != 0).then(|| self.at(0))
    }

    fn at(&self, index: u32) -> Req {
        debug_assert!(index < self.len);
        // SAFETY: places below `len` are filled.
        unsafe { self.heap.add(index as usize).read() }
    }

    fn put(&mut self, index: u32, mut req: Req) {
        // SAFETY: places below `room` are mapped, and `index` is one of them.
        unsafe { self.heap.add(index as usize).write(req) };
        req.heap_index = index;
    }

    /// Adds a timer: one that begins.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn insert(&mut self, mut req: Req) -> Result<()> {
        if self.len == self.room {
            self.grow()?;
        }
        req.begun = self.begun;
        self.begun += 1;
        self.len += 1;
        self.fresh = true;
        self.put(self.len - 1, req);
        self.up(self.len - 1);
        Ok(())
    }

    /// Gives a timer that goes on another deadline.
    pub fn postpone(&mut self, mut req: Req, deadline: i64) {
        req.deadline = deadline;
        self.fresh = true;
        self.up(req.heap_index);
        self.down(req.heap_index);
    }

    /// All of them, in no order.
    fn all(&self) -> impl Iterator<Item = Req> {
        (0..self.len).map(|index| self.at(index))
    }

    /// Whether there are timeouts that count completions.
    pub fn some_count(&self) -> bool {
        self.counting != 0
    }

    /// Takes a timer out, if it is in.
    #[inline(always)]
    pub fn remove(&mut self, req: Req) {
        if req.heap_index != NOWHERE {
            self.take_out(req);
        }
    }

    fn take_out(&mut self, mut req: Req) {
        debug_assert!(self.at(req.heap_index) == req);
        let hole = req.heap_index;
        req.heap_index = NOWHERE;
        let last = self.at(self.len - 1);
        self.len -= 1;
        if last != req {
            self.put(hole, last);
            self.up(hole);
            self.down(last.heap_index);
        }
        if is_counting(req) {
            self.counting -= 1;
        }
    }

    fn up(&mut self, mut index: u32) {
        let req = self.at(index);
        while index > 0 {
            let parent = (index - 1) / 2;
            let above = self.at(parent);
            if due(above) <= due(req) {
                break;
            }
            self.put(index, above);
            index = parent;
        }
        self.put(index, req);
    }

    fn down(&mut self, mut index: u32) {
        let req = self.at(index);
        loop {
            let mut child = 2 * index + 1;
            if child >= self.len {
                break;
            }
            if child + 1 < self.len && due(self.at(child + 1)) < due(self.at(child)) {
                child += 1;
            }
            let below = self.at(child);
            if due(req) <= due(below) {
                break;
            }
            self.put(index, below);
            index = child;
        }
        self.put(index, req);
    }

    #[cold]
    fn grow(&mut self) -> Result<()> {
        let room = if self.room == 0 { FIRST_ROOM } else { self.room * 2 };
        let heap = memory::allocate(room as usize * size_of::<Req>())?.cast::<Req>().as_ptr();
        // SAFETY: the new block is larger than what is copied, and they do not overlap.
        unsafe { ptr::copy_nonoverlapping(self.heap, heap, self.len as usize) };
        self.free();
        self.heap = heap;
        self.room = room;
        Ok(())
    }

    /// Gives the heap's memory back; its members are the slab's.
    pub fn free(&mut self) {
        if let Some(heap) = ptr::NonNull::new(self.heap) {
            // SAFETY: allocated by `grow` for `room` entries.
            unsafe { memory::release(heap.cast(), self.room as usize * size_of::<Req>()) };
        }
        self.heap = ptr::null_mut();
        self.room = 0;
    }
}

/// Of two that are due at one time who was begun first goes off first.
fn due(req: Req) -> (i64, u64) {
    (req.deadline, req.begun)
}

/// Whether a timer's number is of completions it waits for, not of its shots.
fn counts(req: Req) -> bool {
    req.sqe.opcode == op::TIMEOUT && req.sqe.op_flags & timeout::MULTISHOT == 0
}

/// Whether a timer waits for completions, too.
#[must_use]
pub fn is_counting(req: Req) -> bool {
    req.scratch[1] != 0 && counts(req)
}

/// How many completions a timeout still waits for after `counted`, if for any; below 1 it need not wait.
fn left(req: Req, counted: u32) -> Option<i64> {
    is_counting(req).then(|| req.scratch[1] as i64 - i64::from(counted.wrapping_sub(req.sequence)))
}

impl Locked<'_> {
    /// Completes the timers that are due.
    #[inline(always)]
    pub fn fire_timers(&mut self) {
        if !self.timers.is_empty() {
            self.fire_those_due();
        }
    }

    #[inline(never)]
    fn fire_those_due(&mut self) {
        let now = call::now(call::CLOCK_MONOTONIC);
        while let Some(req) = self.timers.first() {
            if req.deadline > now {
                return;
            }
            self.timers.remove(req);
            self.fire(req, now);
        }
    }

    fn fire(&mut self, mut req: Req, now: i64) {
        if req.sqe.opcode == op::LINK_TIMEOUT {
            return self.fire_linked(req);
        }
        self.timers.fired = self.timers.fired.wrapping_add(1);
        let flags = req.sqe.op_flags;
        if flags & timeout::MULTISHOT != 0 {
            // `off` counts the shots; 0 is without end.
            let last = req.scratch[1] == 1;
            if !last && self.post_more(req.sqe.user_data, Errno::ETIME.to_res(), 0) {
                if req.scratch[1] > 1 {
                    req.scratch[1] -= 1;
                }
                // From when it was due, so that shots do not drift; unless we are late by more. Never
                // now: a shot a round, or an interval of nothing would keep us here.
                let next = end_of_timer(req.deadline, req.scratch[0] as i64);
                req.deadline = next.max(now.saturating_add(1));
                if self.timers.insert(req).is_ok() {
                    self.refile(req);
                    return;
                }
            }
        }
        if flags & timeout::ETIME_SUCCESS == 0 {
            self.fail(req);
        }
        req.res = Errno::ETIME.to_res();
        req.cflags = 0;
        self.complete_as_set(req);
    }

    /// A LINK_TIMEOUT: what it watches is cancelled.
    fn fire_linked(&mut self, mut timer: Req) {
        let mut res = Errno::ETIME.to_res();
        if let Some(watched) = timer.partner {
            watched.clear_while_running(flag::LINK_TIMEOUT);
            self.unlink_timeout(watched);
            match self.cancel_one(watched) {
                Ok(0) => {}
                Ok(several) => res = several as i32,
                Err(e) => res = e.to_res(),
            }
        }
        timer.res = res;
        timer.cflags = 0;
        self.complete_as_set(timer);
    }

    /// Makes a timeout complete, with 0, once as many CQEs as it asked for have been posted.
    pub fn count_from_now(&mut self, mut req: Req) {
        if !counts(req) {
            return;
        }
        req.sequence = self.counted();
        self.timers.counting += 1;
    }

    /// CQEs posted so far, less those of timeouts.
    fn counted(&mut self) -> u32 {
        let counts = self.counts();
        let overflown = counts.overflow_tail.wrapping_sub(counts.overflow_head);
        let posted = counts.cq_tail.wrapping_add(overflown);
        posted.wrapping_sub(self.timers.fired)
    }

    /// At a commit: the timeouts whose count is reached.
    pub fn timers_by_count(&mut self) {
        if self.timers.counting == 0 {
            return;
        }
        let now = self.counted();
        while let Some(req) = first_by(self.timers.all(), |req| reached(req, now)) {
            self.timers.remove(req);
            self.timers.fired = self.timers.fired.wrapping_add(1);
            self.complete(req, 0, 0);
        }
    }

    /// The first in the kernel's list of the timeouts that fit: before those that wait for nothing but
    /// their time are those that count, by what they still wait for, and of equals who was begun first.
    /// Of those that have this user_data, if one is given.
    pub fn first_timeout(
        &mut self,
        user_data: Option<u64>,
        fits: impl Fn(Req) -> bool,
    ) -> Option<Req> {
        let now = self.counted();
        let key = |req: Req| {
            let listed = req.sqe.opcode == op::TIMEOUT && fits(req);
            let left = left(req, now);
            listed.then_some((left.is_none(), left, req.begun))
        };
        match user_data {
            Some(user_data) => first_by(self.timers_by_data(user_data), key),
            None => first_by(self.timers.all(), key),
        }
    }

    /// The same of linked timeouts, which are in a list of their own.
    #[must_use]
    pub fn first_linked_timeout(&self, user_data: u64) -> Option<Req> {
        first_by(self.timers_by_data(user_data), |req| {
            (req.sqe.opcode == op::LINK_TIMEOUT).then_some(req.begun)
        })
    }

    /// The timers that run and have this user_data: all that run are in flight.
    fn timers_by_data(&self, user_data: u64) -> impl Iterator<Item = Req> {
        self.in_flight(Some(user_data)).filter(|req| req.heap_index != NOWHERE)
    }
}

/// The first of those that have a key, by that.
fn first_by<K: Ord>(all: impl Iterator<Item = Req>, key: impl Fn(Req) -> Option<K>) -> Option<Req> {
    let keyed = all.filter_map(|req| Some((key(req)?, req)));
    keyed.min_by(|(a, _), (b, _)| a.cmp(b)).map(|(_, req)| req)
}

/// The order of a timeout among those whose count is reached, if it is one.
fn reached(req: Req, counted: u32) -> Option<(i64, u64)> {
    left(req, counted).filter(|left| *left <= 0).map(|left| (left, req.begun))
}
