//! Polls, timeouts, and what ends requests that wait.

use sysring_sys::abi::io_uring::{self as uring, Sqe, op, sqe_flags};

use super::nature::is_listed;
use super::{Generator, LONG, SHORT, bytes};
use crate::diff::layout::*;
use crate::diff::program::{Entry, Scrub, Waits};

impl Generator {
    pub(super) fn poll(&mut self, entry: &mut Entry) {
        entry.sqe.opcode = op::POLL_ADD;
        self.aim(
            entry,
            &[
                200, 210, 211, 212, 214, 214, 215, 218, 219, 220, 221, 230, 231, 232, 236, 238,
                240, 241, 250, 251, 252, 260, 260, 261, 205, 206, 255,
            ],
        );
        let events = self.random.pick(&[
            libc::POLLIN,
            libc::POLLIN,
            libc::POLLOUT,
            libc::POLLIN | libc::POLLOUT,
            libc::POLLPRI,
            libc::POLLRDHUP,
            0,
        ]);
        entry.sqe.op_flags = u32::from(events as u16);
        if self.random.percent(20) {
            entry.sqe.len = self.random.pick(&[1, 1, 8, 9, 2, 16]);
            // Of several events the kernel tells the one that woke it; which is not promised.
            // One that finds the queue full ends: not where others fill it.
            if entry.sqe.len == 1 && self.is_tight() {
                entry.sqe.len = 0;
            }
            if entry.sqe.len == 1 && entry.sqe.op_flags == (libc::POLLIN | libc::POLLOUT) as u32 {
                entry.sqe.op_flags = libc::POLLIN as u32;
            }
        }
    }

    pub(super) fn poll_remove(&mut self, entry: &mut Entry) {
        entry.sqe.opcode = op::POLL_REMOVE;
        entry.sqe.fd = -1;
        let polls: Vec<u64> = self.parked_polls().collect();
        let known = !polls.is_empty() && self.random.percent(80);
        entry.sqe.addr = if known { self.random.pick(&polls) } else { self.victim() };
        if self.random.percent(60) {
            self.poll_update(entry);
        }
    }

    /// Polls that surely wait.
    pub(super) fn parked_polls(&self) -> impl Iterator<Item = u64> {
        let polls = self.parked.iter().filter(|(_, opcode, _)| *opcode == op::POLL_ADD);
        polls.map(|(number, ..)| *number)
    }

    /// Other events, which a quiet stream does not have either, or has at once; the same name as before,
    /// for completions are told apart by it. How often it tells does not change.
    fn poll_update(&mut self, entry: &mut Entry) {
        let victim = entry.sqe.addr;
        entry.sqe.len = self.random.pick(&[1, 2, 2, 2, 2 | 1, 4, 4 | 1, 2 | 4, 2 | 4 | 1, 2 | 8]);
        if entry.sqe.len & 2 != 0 || self.random.percent(10) {
            let events = [
                libc::POLLIN,
                libc::POLLPRI,
                libc::POLLRDHUP,
                libc::POLLIN | libc::POLLPRI,
                libc::POLLOUT,
                libc::POLLOUT,
                libc::POLLOUT | libc::POLLIN,
            ];
            entry.sqe.op_flags = u32::from(self.random.pick(&events) as u16);
        }
        if entry.sqe.len & 4 != 0 || self.random.percent(10) {
            entry.sqe.off = victim;
        }
        if entry.sqe.op_flags & libc::POLLOUT as u32 != 0 {
            // It may be over, then.
            self.parked.retain(|(number, ..)| *number != victim);
        }
    }

    pub(super) fn timeout(&mut self, entry: &mut Entry, number: u64) {
        let place = ARENA + number * SLOT + AUX;
        let short = !self.lists && self.random.percent(50);
        let time = if short { SHORT } else { LONG };
        entry.sqe.opcode = op::TIMEOUT;
        entry.sqe.fd = -1;
        entry.sqe.addr = place;
        entry.sqe.len = 1;
        entry.sqe.op_flags = match short {
            // ETIME_SUCCESS, other clocks, and times long past.
            true => self.random.pick(&[0, 0, 1 << 5, 1 << 2, 1 << 3, 1, 1 | 1 << 3, 1 | 1 << 2]),
            false => self.random.pick(&[0, 0, 1 << 5, 1 << 2, 1 << 3]),
        };
        if short && self.random.percent(10) && !self.is_tight() {
            // Several times.
            entry.sqe.op_flags |= 1 << 6;
            entry.sqe.off = self.random.pick(&[1, 2, 3]);
        }
        let mut parts = [time / 1_000_000_000, time % 1_000_000_000];
        if !self.lists && self.random.percent(6) && entry.sqe.off == 0 {
            // More nanoseconds than a second has; who is waited for is not to take long.
            let much = if short { 1_000_000_000 } else { 2_000_000_000 };
            parts = self.random.pick(&[[0, 0], [0, much], [u64::MAX, 0], [0, u64::MAX]]);
        }
        entry.memory.push((place, bytes(&parts)));
        entry.waits = if short { Waits::No } else { Waits::Ever };
    }

    pub(super) fn timeout_remove(&mut self, entry: &mut Entry, number: u64) {
        entry.sqe.opcode = op::TIMEOUT_REMOVE;
        entry.sqe.fd = -1;
        entry.sqe.addr = self.victim();
        if self.random.percent(30) {
            self.timeout_update(entry, number);
        }
    }

    fn timeout_update(&mut self, entry: &mut Entry, number: u64) {
        let place = ARENA + number * SLOT + AUX;
        // A clock, which no update names; and as if it were a linked timeout.
        let flags = self.random.pick(&[0, 0, 1, 1, 1 << 2, 1 << 3, 1 | 1 << 3, 1 << 4]);
        // Long past by the clock on the wall, and far off by those that begin with the machine.
        let seconds = if flags & 1 != 0 { 100_000_000 } else { LONG / 1_000_000_000 + 1 };
        entry.sqe.op_flags = 1 << 1 | flags;
        entry.sqe.off = place;
        entry.memory.push((place, bytes(&[seconds, 0])));
    }

    /// What programs do whose timeouts are in a known order: begin them, change them, and end the first
    /// of them all.
    pub(super) fn listed_timeout(&mut self, entry: &mut Entry, number: u64) {
        match self.random.below(5) {
            0..3 => self.timeout(entry, number),
            3 => {
                entry.sqe.opcode = op::TIMEOUT_REMOVE;
                entry.sqe.fd = -1;
                entry.sqe.addr = self.victim();
                self.timeout_update(entry, number);
            }
            _ => {
                entry.sqe.opcode = op::ASYNC_CANCEL;
                entry.sqe.fd = -1;
                entry.sqe.len = u32::from(op::TIMEOUT);
                entry.sqe.op_flags = uring::cancel::OP;
            }
        }
    }

    /// Has whoever begins, changes or ends a timeout do it when it is submitted.
    pub(super) fn in_order(entry: &mut Entry) {
        if is_listed(&entry.sqe) {
            entry.sqe.flags &= !sqe_flags::ASYNC;
            entry.sqe.personality = 0;
        }
    }

    pub(super) fn make_link_timeout(&mut self, entry: &mut Entry, short: bool) {
        let number = entry.sqe.user_data;
        let slot = ARENA + number * SLOT;
        let keep = entry.sqe.flags & (sqe_flags::IO_LINK | sqe_flags::IO_HARDLINK);
        let time = if short { SHORT } else { LONG };
        entry.sqe = Sqe {
            opcode: op::LINK_TIMEOUT,
            fd: -1,
            flags: keep,
            addr: slot + AUX,
            len: 1,
            user_data: number,
            ..Sqe::default()
        };
        entry.memory = vec![(slot + AUX, bytes(&[time / 1_000_000_000, time % 1_000_000_000]))];
        entry.waits = if short { Waits::No } else { Waits::Ever };
        entry.scrub = Scrub::Nothing;
        entry.opens = false;
    }

    pub(super) fn cancel(&mut self, entry: &mut Entry) {
        use uring::cancel;
        entry.sqe.opcode = op::ASYNC_CANCEL;
        entry.sqe.fd = -1;
        match self.random.below(6) {
            0 | 1 => entry.sqe.addr = self.victim(),
            2 => {
                entry.sqe.addr = self.victim();
                entry.sqe.op_flags = cancel::ALL;
            }
            3 => {
                entry.sqe.fd = self.random.pick(&QUIET);
                entry.sqe.op_flags = cancel::FD | self.random.pick(&[0, cancel::ALL]);
            }
            4 => {
                entry.sqe.len = u32::from(self.random.pick(&[op::READ, op::POLL_ADD, op::TIMEOUT]));
                entry.sqe.op_flags = cancel::OP | cancel::FD;
                entry.sqe.fd = self.random.pick(&QUIET);
            }
            _ => {
                entry.sqe.addr = self.victim();
                entry.sqe.op_flags = self.random.pick(&[
                    cancel::USERDATA,
                    cancel::USERDATA | cancel::ALL,
                    1 << 6,
                    cancel::ANY | cancel::FD,
                ]);
            }
        }
    }

    /// Whether others may fill the queue of completions.
    pub(super) fn is_tight(&self) -> bool {
        self.program.cq_entries != 0 && self.program.cq_entries < 2 * self.program.entries
    }

    /// Whether the completion queue has room for all that a program is told, or nearly.
    pub(super) fn is_roomy(&self) -> bool {
        !self.is_tight() && self.program.entries >= 16
    }

    /// The number of a request that surely waits, or of none.
    pub(super) fn victim(&mut self) -> u64 {
        if self.parked.is_empty() || self.random.percent(25) {
            return 0xdead;
        }
        let at = self.random.below(self.parked.len() as u64) as usize;
        self.parked[at].0
    }
}
