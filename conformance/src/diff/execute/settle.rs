//! Waiting until all has ended that ends by itself, and ending the rest.

use std::time::{Duration, Instant};

use sysring_sys::abi::io_uring::{self as uring, Sqe, op, sqe_flags};

use super::{Out, Run, SWEEP, optional, ready};
use crate::diff::program::Waits;

/// A request that should have ended is called lost after this long.
const LOST: Duration = Duration::from_secs(3);

/// A request that may have been refused with its chain is waited for this long.
const DOUBT: Duration = Duration::from_millis(300);

/// How long a ring in which everything seems to wait is watched before that is believed.
const CALM: u64 = 300_000;

/// The same where a worker thread may be in between.
pub(super) const CALM_ASYNC: u64 = 2_000_000;

/// The same where those who have a request's credentials may be, or nobody knows.
const CALM_ENTRUSTED: u64 = 200_000_000;

/// How long after everything was cancelled nothing may come before it is done again: what was
/// hard-linked behind it is given to workers, which come late on a machine that is busy.
const PATIENCE: u64 = 400_000_000;

/// What a ring that polls says to who would cancel.
const REFUSED: i32 = -libc::EINVAL;

/// Whether a thread of its own works at a request.
fn by_worker(sqe: &Sqe) -> bool {
    let sleeps = matches!(sqe.opcode, op::SPLICE | op::TEE | op::FUTEX_WAIT | op::FUTEX_WAITV);
    sleeps || sqe.flags & sqe_flags::ASYNC != 0
}

impl Run<'_> {
    /// Waits until everything has ended that ends by itself.
    pub(super) fn settle(&mut self) {
        let started = Instant::now();
        let mut calm = 0;
        loop {
            let before = self.out.len();
            self.reap();
            if self.out.len() != before {
                // It was not calm: the wait ended with what came.
                calm = 0;
            }
            let asynchronous = self.out.iter().any(|out| by_worker(&out.entry.sqe));
            let needed = if asynchronous { 2 } else { 1 };
            if self.out.iter().all(|out| self.may_be_silent(out)) {
                let waiting = self.out.iter().any(|out| !optional(out));
                if !waiting || calm >= needed {
                    return;
                }
                calm += 1;
                let entrusted = self.out.iter().any(|out| out.entry.sqe.personality != 0)
                    || self.out.iter().any(|out| self.may_have_begun(out));
                let calm = if asynchronous { CALM_ASYNC } else { CALM };
                self.ring.wait(1, if entrusted { CALM_ENTRUSTED } else { calm });
                continue;
            }
            calm = 0;
            if started.elapsed() > DOUBT {
                let late = self.out.iter().filter(|out| !self.may_be_silent(out));
                if late.clone().all(|out| out.doubtful) {
                    let numbers: Vec<u64> = late.map(|out| out.number).collect();
                    self.forgive(|out| numbers.contains(&out.number));
                    return;
                }
            }
            if started.elapsed() > LOST {
                let lost: Vec<String> = self
                    .out
                    .iter()
                    .filter(|out| !self.may_be_silent(out))
                    .map(|out| format!("#{}", out.number))
                    .collect();
                self.say(&format!("LOST {}", lost.join(" ")));
                // Said once: what is lost stays lost.
                let lost: Vec<u64> = self
                    .out
                    .iter()
                    .filter(|out| !self.may_be_silent(out))
                    .map(|out| out.number)
                    .collect();
                self.out.retain(|out| !lost.contains(&out.number));
                return;
            }
            self.ring.wait(1, 20_000_000);
        }
    }

    /// Counts requests as refused with their chain, though it cannot be seen.
    fn forgive(&mut self, which: impl Fn(&Out) -> bool) {
        self.forgiven.extend(self.out.iter().filter(|out| which(out)).map(|out| out.number));
        self.out.retain(|out| !which(out));
    }

    /// Whether a request that is out has a right to be: it waits for what is not there, or for
    /// one before it in its chain that does, or owes no completion.
    pub(super) fn may_be_silent(&self, out: &Out) -> bool {
        if optional(out) {
            return true;
        }
        let waits = match out.entry.waits {
            Waits::No => false,
            Waits::Ever => true,
            Waits::Wake(_) => !out.woken,
            Waits::For(..) if out.posted && out.entry.sqe.opcode == op::POLL_ADD => true,
            Waits::For(fd, events) => !ready(fd, events),
        };
        waits || self.behind(out)
    }

    pub(super) fn behind(&self, out: &Out) -> bool {
        let Some(chain) = out.entry.chain else { return false };
        // A link timeout runs with the request before it, and ends it: that one is no excuse.
        let before = match out.entry.sqe.opcode {
            op::LINK_TIMEOUT => out.number - 1,
            _ => out.number,
        };
        self.out.iter().any(|other| {
            other.entry.chain == Some(chain)
                && other.number < before
                && match other.entry.waits {
                    Waits::No => false,
                    Waits::Ever => true,
                    Waits::Wake(_) => !other.woken,
                    Waits::For(fd, events) => other.posted || !ready(fd, events),
                }
        })
    }

    /// Whether a request is behind one that says nothing, which may be over.
    fn may_have_begun(&self, out: &Out) -> bool {
        let silent = |before: &Out| before.number < out.number && optional(before);
        let same_chain = |before: &&Out| before.entry.chain == out.entry.chain;
        out.entry.chain.is_some() && self.out.iter().filter(same_chain).any(silent)
    }

    /// Cancels what is left, until nothing is.
    pub(super) fn sweep(&mut self) {
        let started = Instant::now();
        while started.elapsed() < LOST {
            if self.out.iter().all(optional) {
                return;
            }
            let sqe = Sqe {
                opcode: op::ASYNC_CANCEL,
                fd: -1,
                op_flags: uring::cancel::ANY | uring::cancel::ALL,
                user_data: SWEEP,
                ..Sqe::default()
            };
            self.swept = None;
            self.ring.push(sqe, None);
            self.ring.publish();
            if self.polls() {
                self.call_thread(0);
            } else {
                self.ring.enter(1, 0, 0);
            }
            while started.elapsed() < LOST {
                self.reap();
                // Nothing was there to be cancelled, or the ring polls, and cancels nothing.
                if matches!(self.swept, Some(0 | REFUSED)) {
                    self.forgive(|out| out.doubtful);
                }
                if self.swept.is_some() && self.out.iter().all(optional) {
                    return;
                }
                let answer = self.ring.wait(1, PATIENCE);
                // What was hard-linked behind a request that ended has begun meanwhile.
                if self.swept.is_some() && answer == -i64::from(libc::ETIME) {
                    break;
                }
            }
        }
        let left: Vec<u64> =
            self.out.iter().filter(|out| !optional(out)).map(|out| out.number).collect();
        self.say(&format!("LOST at the end {left:?}"));
    }
}
