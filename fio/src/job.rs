//! One job: what is under way, and what is complete and not told yet.

use std::ffi::c_int;
use std::time::Duration;

use sysring::Errno;
use sysring::calls::{Call, Calls, Issued, Step};

use crate::abi::{Direction, Layout, Order, Unit};

pub struct Job {
    layout: &'static Layout,
    calls: Calls<'static>,
    /// To be issued together, and the units that they are for.
    batch: Vec<Step<'static, 'static>>,
    batched: Vec<Unit>,
    /// Complete, and not told yet.
    done: Vec<Unit>,
    /// Told last.
    reaped: Vec<Unit>,
    /// By descriptor: whether the file is read and written past the page cache, if that is known.
    direct: Vec<Option<bool>>,
}

impl Job {
    pub fn new(layout: &'static Layout) -> Result<Job, Errno> {
        Ok(Job {
            layout,
            calls: Calls::new()?,
            batch: Vec::new(),
            batched: Vec::new(),
            done: Vec::new(),
            reaped: Vec::new(),
            direct: Vec::new(),
        })
    }

    /// Begins with a unit; false if it is complete.
    ///
    /// # Safety
    /// The unit is fio's, and it and its buffer are left alone until [`reap`](Job::reap) has told of
    /// it.
    pub unsafe fn queue(&mut self, unit: Unit) -> bool {
        // SAFETY: the caller's promise.
        let order = unsafe { unit.order(self.layout) };
        // SAFETY: the same.
        let Some(call) = (unsafe { call(&order) }) else {
            answer(self.layout, unit, Err(Errno::EOPNOTSUPP));
            return false;
        };
        let call = call.user_data(unit.0 as u64);
        match order.direction {
            Direction::Read | Direction::Write if !self.is_direct(order.descriptor) => {
                self.issue(unit, call)
            }
            // The device is waited for in any case, and many can be handed over at once.
            _ => {
                self.batch.push(Step::new(call));
                self.batched.push(unit);
                true
            }
        }
    }

    /// Makes a call at once if it does not block; false if it is complete.
    fn issue(&mut self, unit: Unit, call: Call<'static, 'static>) -> bool {
        match self.calls.issue(call) {
            Ok(Issued::Pending(_)) => return true,
            Ok(Issued::Done(result)) => answer(self.layout, unit, result),
            Err(error) => answer(self.layout, unit, Err(error)),
        }
        false
    }

    /// Issues what has been put off.
    pub fn commit(&mut self) {
        self.calls.issue_all(&mut self.batch);
        for (step, unit) in self.batch.iter().zip(&self.batched) {
            if let Some(result) = step.result() {
                answer(self.layout, *unit, result);
                self.done.push(*unit);
            }
        }
        self.batch.clear();
        self.batched.clear();
    }

    /// Collects at most `max` units that are complete, and waits for `min` of them, no longer than
    /// `timeout`; how many there are.
    pub fn reap(
        &mut self,
        min: usize,
        max: usize,
        timeout: Option<Duration>,
    ) -> Result<usize, Errno> {
        self.reaped.clear();
        self.reaped.extend(self.done.drain(..self.done.len().min(max)));
        while self.reaped.len() < max {
            if let Some(event) = self.calls.next() {
                let unit = Unit(event.user_data() as *mut u8);
                answer(self.layout, unit, event.result());
                self.reaped.push(unit);
                continue;
            }
            let missing = min.saturating_sub(self.reaped.len());
            if missing == 0 {
                break;
            }
            match self.calls.wait_timeout(missing as u32, timeout, None) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(Errno::ETIME) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(self.reaped.len())
    }

    /// One of those that were collected.
    pub fn reaped(&self, index: usize) -> Option<Unit> {
        self.reaped.get(index).copied()
    }

    /// The descriptor is closed, and may be another file's.
    pub fn forget(&mut self, descriptor: c_int) {
        if let Some(known) = usize::try_from(descriptor).ok().and_then(|at| self.direct.get_mut(at))
        {
            *known = None;
        }
    }

    fn is_direct(&mut self, descriptor: c_int) -> bool {
        let Ok(at) = usize::try_from(descriptor) else { return false };
        if self.direct.len() <= at {
            self.direct.resize(at + 1, None);
        }
        *self.direct[at].get_or_insert_with(|| {
            // SAFETY: takes numbers alone.
            let flags = unsafe { libc::fcntl(descriptor, libc::F_GETFL) };
            flags >= 0 && flags & libc::O_DIRECT != 0
        })
    }
}

/// Notes in a unit what became of it.
fn answer(layout: &Layout, unit: Unit, result: Result<usize, Errno>) {
    // SAFETY: a unit that fio has queued and was not told of yet.
    unsafe {
        match result {
            Ok(moved) => {
                let Order { direction, length, .. } = unit.order(layout);
                let missing = match direction {
                    Direction::Read | Direction::Write => length.saturating_sub(moved),
                    _ => 0,
                };
                unit.answer(layout, 0, missing as u64);
            }
            Err(error) => unit.answer(layout, error.raw() as u32, 0),
        }
    }
}

/// The system call that does it.
///
/// # Safety
/// What the order names stays there until the call is answered.
unsafe fn call(order: &Order) -> Option<Call<'static, 'static>> {
    let Order { address, length, offset, .. } = *order;
    let (fd, offset) = (order.descriptor as usize, offset as usize);
    let (number, arguments) = match order.direction {
        Direction::Read => (libc::SYS_pread64, [fd, address, length, offset, 0, 0]),
        Direction::Write => (libc::SYS_pwrite64, [fd, address, length, offset, 0, 0]),
        Direction::Trim => {
            let hole = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
            (libc::SYS_fallocate, [fd, hole as usize, offset, length, 0, 0])
        }
        Direction::Sync => (libc::SYS_fsync, [fd, 0, 0, 0, 0, 0]),
        Direction::DataSync => (libc::SYS_fdatasync, [fd, 0, 0, 0, 0, 0]),
        Direction::Other => return None,
    };
    // SAFETY: the caller's promise.
    Some(unsafe { Call::raw(number as u32, arguments) })
}
