//! Cancellation: which requests are meant, and what can be done about each where it is.

use sysring_sys::abi::io_uring::{cancel, op};
use sysring_sys::{Errno, Fd, Result, call};

use crate::locked::Locked;
use crate::op::table::row_flag;
use crate::request::{At, Req, Stage, flag};
use crate::timeout::is_counting;
use crate::{thread, wq};

/// Workers that run what was cancelled.
#[derive(Clone, Copy, Debug)]
pub struct Stopping {
    /// When they are told again.
    at: i64,
    /// How long that was to wait.
    pause: i64,
}

/// The signal that is to end a call may come a moment before it, and nothing of it is left then. So
/// it is sent again, after this time, and then less and less often: nothing may help.
const TELL_AGAIN: i64 = 1_000_000;
const TELL_AGAIN_AT_MOST: i64 = 100_000_000;

/// Which requests a cancellation means.
#[derive(Clone, Copy, Debug)]
pub struct Match {
    pub flags: u32,
    user_data: u64,
    fd: i32,
    opcode: u8,
    /// The open file that `fd` is, once it has been looked up.
    file: Fd,
}

const KNOWN: u32 =
    cancel::ALL | cancel::FD | cancel::ANY | cancel::FD_FIXED | cancel::USERDATA | cancel::OP;

impl Match {
    /// All requests.
    #[must_use]
    pub fn everything() -> Match {
        let flags = cancel::ANY | cancel::ALL;
        Match { flags, user_data: 0, fd: -1, opcode: 0, file: Fd::NONE }
    }

    /// As `IORING_OP_ASYNC_CANCEL` describes it.
    ///
    /// # Errors
    /// `EINVAL` for unknown flags, or criteria that exclude each other.
    pub fn parse(flags: u32, user_data: u64, fd: i32, opcode: u32) -> Result<Match> {
        if flags & cancel::ANY != 0 && flags & (cancel::FD | cancel::OP) != 0 {
            return Err(Errno::EINVAL);
        }
        Match::parse_any(flags, user_data, fd, opcode)
    }

    /// As the synchronous register call does, for which "any" overrules the other criteria.
    ///
    /// # Errors
    /// `EINVAL` for unknown flags.
    pub fn parse_any(flags: u32, user_data: u64, fd: i32, opcode: u32) -> Result<Match> {
        if flags & !KNOWN != 0 {
            return Err(Errno::EINVAL);
        }
        Ok(Match { flags, user_data, fd, opcode: opcode as u8, file: Fd::NONE })
    }

    /// Whether a request is meant, and may be.
    fn may_cancel(&self, req: Req) -> bool {
        cancellable(req) && self.means(req)
    }

    fn means_several(&self) -> bool {
        self.flags & (cancel::ALL | cancel::ANY) != 0
    }

    fn means(&self, req: Req) -> bool {
        if self.flags & cancel::ANY != 0 {
            return true;
        }
        if self.flags & cancel::FD != 0 {
            let needs_file = req.row.has(row_flag::NEEDS_FILE);
            if !needs_file || !self.means_file_of(req) {
                return false;
            }
        }
        if self.flags & cancel::OP != 0 && req.sqe.opcode != self.opcode {
            return false;
        }
        self.one_user_data().is_none_or(|user_data| req.sqe.user_data == user_data)
    }

    /// What the user_data of all is that are meant, if that says anything of them.
    fn one_user_data(&self) -> Option<u64> {
        let by_others = self.flags & (cancel::FD | cancel::OP) != 0;
        let by_user_data = !by_others || self.flags & cancel::USERDATA != 0;
        (self.flags & cancel::ANY == 0 && by_user_data).then_some(self.user_data)
    }

    /// Whether a request works on the open file that is meant, whatever number it knows it by. Where
    /// that cannot be asked, the numbers decide.
    fn means_file_of(&self, req: Req) -> bool {
        let fixed = self.flags & cancel::FD_FIXED != 0;
        let same_name = req.sqe.fd == self.fd && fixed == req.has_while_running(flag::FIXED_FILE);
        if same_name && req.file.fd == self.file {
            return true;
        }
        call::same_file(req.file.fd, self.file).unwrap_or(same_name)
    }
}

impl Locked<'_> {
    /// Cancels; how many, where several may be meant, else 0.
    ///
    /// # Errors
    /// `ENOENT`: none found. `EALREADY`: found, and too late to stop.
    pub fn cancel(&mut self, what: &Match) -> Result<usize> {
        let mut what = *what;
        if what.flags & cancel::FD != 0 {
            what.file = match what.flags & cancel::FD_FIXED != 0 {
                true => self.files.get(what.fd as u32).map_err(|_| Errno::EBADF)?,
                false => Fd::new(what.fd),
            };
            call::fcntl(what.file, sysring_sys::raw::general::F_GETFD, 0)?;
        }
        if what.means_several() {
            return Ok(self.cancel_several(&what));
        }
        let first = self.first_meant(&what).ok_or(Errno::ENOENT)?;
        self.cancel_one(first)
    }

    /// Of those that are meant the one that the kernel comes to first.
    fn first_meant(&mut self, what: &Match) -> Option<Req> {
        let mut first: Option<(Kept, Req)> = None;
        for req in self.in_flight(what.one_user_data()) {
            let kept = Kept::of(req);
            if first.is_some_and(|(least, _)| least <= kept) || !what.may_cancel(req) {
                continue;
            }
            if kept == Kept::Apart {
                return Some(req);
            }
            first = Some((kept, req));
        }
        match first? {
            (Kept::Timers, _) => {
                self.first_timeout(what.one_user_data(), |req| what.may_cancel(req))
            }
            (_, req) => Some(req),
        }
    }

    /// Cancels all that are meant, in the kernel's order; how many.
    fn cancel_several(&mut self, what: &Match) -> usize {
        let mut cancelled = 0;
        for kept in [Kept::Apart, Kept::Waitids, Kept::Futexes] {
            let mut here = 0;
            // Stopping a request takes no other off the list but its linked timeout, which is passed
            // over here and still knows what comes next.
            for req in self.in_flight(what.one_user_data()) {
                if Kept::of(req) == kept && what.may_cancel(req) {
                    let _ = self.cancel_one(req);
                    here += 1;
                }
            }
            // All of a list go at once, and count as one.
            let at_once = what.flags & cancel::ALL != 0 && kept != Kept::Apart;
            cancelled += if at_once { here.min(1) } else { here };
        }
        cancelled + self.cancel_timeouts(what)
    }

    /// Of `cancel_several` the timeouts: those that count, then the others as they were begun.
    fn cancel_timeouts(&mut self, what: &Match) -> usize {
        let mut cancelled = 0;
        while self.timers.some_count()
            && let Some(req) = self
                .first_timeout(what.one_user_data(), |req| is_counting(req) && what.may_cancel(req))
        {
            self.take_down(req);
            cancelled += 1;
        }
        // As above.
        for req in self.in_flight(what.one_user_data()).oldest_first() {
            if Kept::of(req) == Kept::Timers && what.may_cancel(req) {
                self.take_down(req);
                cancelled += 1;
            }
        }
        cancelled
    }

    /// Stops one request, if it can be stopped where it is. What that is answered with: 0, or of
    /// those that the kernel keeps in lists of their own how many were stopped.
    pub fn cancel_one(&mut self, req: Req) -> Result<usize> {
        let listed = req.row.has(row_flag::LISTS);
        self.stop(req).map(|()| usize::from(listed))
    }

    fn stop(&mut self, mut req: Req) -> Result<()> {
        match req.stage.get() {
            Stage::Parked | Stage::Timer | Stage::Held => {
                self.take_down(req);
                Ok(())
            }
            Stage::Asleep => self.wake_up(req),
            Stage::Punted => {
                // Still in a queue of ours, or on its way into a worker's hands.
                if self.punted.remove(req) {
                    self.punted_count -= 1;
                } else if self.entrusted.remove(req) {
                    self.entrusted_count -= 1;
                } else if !wq::withdraw(req, self.ring) {
                    return self.interrupt(req);
                }
                self.take_down(req);
                Ok(())
            }
            Stage::Running => self.interrupt(req),
            Stage::Aio => {
                // The disk has it.
                req.set(flag::CANCELED);
                Err(Errno::EALREADY)
            }
            Stage::Free | Stage::Queued => Err(Errno::ENOENT),
        }
    }

    /// Ends a request where it waits. Its completion comes behind that of whoever cancelled it, as
    /// the kernel posts the two.
    pub fn take_down(&mut self, mut req: Req) {
        if let Some(cancelled) = req.row.cancelled {
            cancelled(req);
        }
        self.handed_back.remove(req);
        self.timers.remove(req);
        self.disarm(req);
        self.unfile(req);
        req.stage = At::new(Stage::Queued);
        req.set(flag::CANCELED | flag::TAKEN_DOWN);
        self.tasks.push(req);
    }

    /// A worker is in the call: a signal ends it if anything can.
    fn interrupt(&mut self, req: Req) -> Result<()> {
        wq::interrupt(req);
        if thread::is_kickable() {
            let at = call::now(call::CLOCK_MONOTONIC) + TELL_AGAIN;
            self.stopping = Some(Stopping { at, pause: TELL_AGAIN });
            self.have_it_told_again(at);
        }
        Err(Errno::EALREADY)
    }

    /// By the driver: tells workers again that are to stop and have not; when the next time is.
    pub fn stop_again(&mut self, now: i64) -> Option<i64> {
        let Stopping { at, pause } = self.stopping?;
        if now < at {
            return Some(at);
        }
        let mut some = false;
        for req in self.in_flight(None) {
            if req.stage == Stage::Running && req.is_to_stop() {
                wq::interrupt(req);
                some = true;
            }
        }
        let pause = (2 * pause).min(TELL_AGAIN_AT_MOST);
        self.stopping = some.then_some(Stopping { at: now + pause, pause });
        some.then_some(now + pause)
    }

    /// The newest request in flight that fits.
    pub fn find(&self, fits: impl Fn(Req) -> bool) -> Option<Req> {
        self.in_flight(None).find(|req| fits(*req))
    }

    /// A poll by its user_data.
    #[must_use]
    pub fn find_poll(&self, user_data: u64) -> Option<Req> {
        self.in_flight(Some(user_data))
            .find(|req| req.sqe.opcode == op::POLL_ADD && req.stage == Stage::Parked)
    }
}

/// Where the kernel keeps what waits, in the order in which it looks there: what several requests are
/// meant by ends in that order. What a list has is the newest first, but for timeouts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Kept {
    /// With a worker, or by who polls for it.
    Apart,
    Waitids,
    Futexes,
    Timers,
}

impl Kept {
    fn of(req: Req) -> Kept {
        match req.row.flags & row_flag::LISTS {
            row_flag::WAITID_LIST => Kept::Waitids,
            row_flag::FUTEX_LIST => Kept::Futexes,
            _ if req.stage == Stage::Timer => Kept::Timers,
            _ => Kept::Apart,
        }
    }
}

/// What cancellation may find: not what is the engine's own, a linked timeout is found only through what it watches, and a
/// request that was told to stop once is not told again.
fn cancellable(req: Req) -> bool {
    req.sqe.opcode != op::LINK_TIMEOUT && !req.row.has(row_flag::ITS_OWN) && !req.is_to_stop()
}
