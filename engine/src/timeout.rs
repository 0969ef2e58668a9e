//! The ring's timers: a heap by deadline, and timeouts that count completions.

use core::ptr;

use sysring_sys::abi::io_uring::{op, timeout};
use sysring_sys::{Errno, Result, call};

use crate::locked::Locked;
use crate::memory;
use crate::request::{Req, Stage, flag};

/// A binary heap of requests, earliest deadline first. Each knows its place, so any can be taken
/// out.
#[derive(Debug)]
pub struct Timers {
    heap: *mut Req,
    len: u32,
    room: u32,
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
        Timers { heap: ptr::null_mut(), len: 0, room: 0, fresh: false, counting: 0, fired: 0 }
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

    /// Adds a timer.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn insert(&mut self, req: Req) -> Result<()> {
        if self.len == self.room {
            self.grow()?;
        }
        self.len += 1;
        self.fresh = true;
        self.put(self.len - 1, req);
        self.up(self.len - 1);
        Ok(())
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
        if req.scratch[1] != 0 && counts(req) {
            self.counting -= 1;
        }
    }

    fn up(&mut self, mut index: u32) {
        let req = self.at(index);
        while index > 0 {
            let parent = (index - 1) / 2;
            let above = self.at(parent);
            if above.deadline <= req.deadline {
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
            if child + 1 < self.len && self.at(child + 1).deadline < self.at(child).deadline {
                child += 1;
            }
            let below = self.at(child);
            if req.deadline <= below.deadline {
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

/// Whether a timer's number is of completions it waits for, not of its shots.
fn counts(req: Req) -> bool {
    req.sqe.opcode == op::TIMEOUT && req.sqe.op_flags & timeout::MULTISHOT == 0
}

impl Locked<'_> {
    /// Completes the timers that are due.
    pub fn fire_timers(&mut self) {
        if self.timers.is_empty() {
            return;
        }
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
                let next = req.deadline.saturating_add(req.scratch[0] as i64);
                req.deadline = next.max(now.saturating_add(1));
                if self.timers.insert(req).is_ok() {
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
        while let Some(req) = self.find(|req| {
            req.sqe.opcode == op::TIMEOUT
                && req.stage == Stage::Timer
                && req.scratch[1] != 0
                && req.sqe.op_flags & timeout::MULTISHOT == 0
                && u64::from(now.wrapping_sub(req.sequence)) >= req.scratch[1]
        }) {
            self.timers.remove(req);
            self.timers.fired = self.timers.fired.wrapping_add(1);
            self.complete(req, 0, 0);
        }
    }
}
