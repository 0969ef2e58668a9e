//! What a run writes down: completions, memory, counters, and whether promised order was kept.

use std::fmt::Write as _;

use sysring_sys::abi::io_uring::{self as uring, Cqe, op, sqe_flags};

use super::{Record, Run};
use crate::diff::layout::*;
use crate::diff::program::{Entry, Scrub, op_name};
use crate::diff::world::{hash, memory};

impl Run<'_> {
    /// Writes down the completions and what they left in memory.
    pub(super) fn close(mut self) -> Record {
        let mut lines: Vec<String> = self.arrived.iter().map(|cqe| self.line(cqe)).collect();
        lines.sort();
        let mut second = Vec::new();
        while let Some(cqe) = self.second.take() {
            second.push(format!(
                "second ring: {:#x} res {} flags {:#x}",
                cqe.user_data, cqe.res, cqe.flags
            ));
        }
        second.sort();
        lines.extend(second);
        self.wide.sort_unstable();
        lines.extend(self.wide.iter().map(|(number, extra)| format!("#{number} wide {extra:x?}")));
        for line in &lines {
            let _ = writeln!(self.text, "{line}");
        }
        self.check_order();
        for entry in &self.entries {
            let _ = writeln!(self.text, "{}", slot(entry));
        }
        let registered = hash(memory(REGISTERED, REGISTERED_LEN * REGISTERED_COUNT));
        let provided = hash(memory(BUFFERS, BUFFERS_LEN * GROUPS));
        let edge = hash(memory(EDGE, 0x1000));
        let off = self.ring.params;
        let word = |offset| self.ring.sq_word(offset).load(std::sync::atomic::Ordering::Acquire);
        let counters = format!(
            "dropped {} overflow {} sq flags {:#x}",
            word(off.sq_off.dropped),
            word(off.cq_off.overflow),
            word(off.sq_off.flags) & !(uring::sq_flags::TASKRUN | uring::sq_flags::NEED_WAKEUP),
        );
        let _ = writeln!(
            self.text,
            "registered {registered:016x} provided {provided:016x} edge {edge:016x} {counters}"
        );
        Record { text: self.text, trace: self.trace }
    }

    /// A completion in words, with numbers of new descriptors left out.
    pub(super) fn line(&self, cqe: &Cqe) -> String {
        let entry = self.entries.iter().find(|entry| entry.sqe.user_data == cqe.user_data);
        let name = entry.map_or_else(|| "-".to_owned(), |entry| op_name(entry.sqe.opcode));
        let opened = cqe.res >= 0 && entry.is_some_and(|entry| entry.opens);
        let res = if opened { "a descriptor".to_owned() } else { cqe.res.to_string() };
        // A request that is cancelled while it waits says ECANCELED, or EINTR if it was a worker
        // that waited: which it is, is the kernel's choice.
        let res = if cqe.res == -libc::EINTR { (-libc::ECANCELED).to_string() } else { res };
        // A splice that is cancelled tells the kernel's own number for a call to be made again.
        let moves = entry.is_some_and(|e| matches!(e.sqe.opcode, op::SPLICE | op::TEE));
        let again = moves && cqe.res == -512;
        let res = if again { (-libc::ECANCELED).to_string() } else { res };
        // A worker that cancels by descriptor finds itself, and is too late.
        let by_file = entry.is_some_and(|entry| {
            entry.sqe.opcode == op::ASYNC_CANCEL && entry.sqe.op_flags & uring::cancel::FD != 0
        });
        let itself = by_file && cqe.res == -libc::EALREADY;
        let res = if itself { (-libc::ENOENT).to_string() } else { res };
        format!("#{} {name} res {res} flags {:#x}", cqe.user_data, cqe.flags)
    }

    /// Order that is promised, checked on each side by itself: within a chain, and after a drain.
    pub(super) fn check_order(&mut self) {
        let place = |number: u64| self.arrived.iter().position(|cqe| cqe.user_data == number);
        let mut wrong = Vec::new();
        for (at, entry) in self.entries.iter().enumerate() {
            let number = entry.sqe.user_data;
            let Some(here) = place(number) else { continue };
            // One that is refused when it is submitted waits for nobody.
            let drained = entry.sqe.flags & sqe_flags::IO_DRAIN != 0;
            if drained && self.arrived[here].res >= 0 {
                for earlier in &self.entries[..at] {
                    if place(earlier.sqe.user_data).is_some_and(|there| there > here) {
                        wrong.push(format!("#{number} drained past #{}", earlier.sqe.user_data));
                    }
                }
            }
            let Some(next) = self.entries.get(at + 1) else { continue };
            let linked = entry.chain.is_some() && entry.chain == next.chain;
            let timeout = |e: &Entry| e.sqe.opcode == op::LINK_TIMEOUT;
            let before = place(next.sqe.user_data).is_some_and(|there| there < here);
            if linked && before && !timeout(entry) && !timeout(next) {
                wrong.push(format!(
                    "#{} before #{number}, which it is linked to",
                    next.sqe.user_data
                ));
            }
        }
        for line in wrong {
            self.say(&format!("order: {line}"));
        }
    }
}

/// What a request left in its slot.
fn slot(entry: &Entry) -> String {
    let number = entry.sqe.user_data;
    let at = ARENA + number * SLOT;
    let bytes = memory(at, SLOT);
    match entry.scrub {
        Scrub::Nothing => format!("slot {number}: {:016x}", hash(bytes)),
        Scrub::Pair(offset) => {
            let pair = &mut bytes[offset as usize..][..8];
            if pair.chunks(4).all(|fd| fd != [0; 4]) {
                pair.fill(1);
            }
            format!("slot {number}: {:016x}", hash(bytes))
        }
        Scrub::Process(offset) => {
            bytes[offset as usize + 16..][..4].fill(0);
            format!("slot {number}: {:016x}", hash(bytes))
        }
        Scrub::Port(offset) => {
            let address = &mut bytes[offset as usize..][..8];
            let is = |family: i32| address[..2] == (family as u16).to_ne_bytes();
            // The port is whichever was free, and the address each world's own. So is the name of
            // one that was bound to none.
            if is(libc::AF_INET) || is(libc::AF_UNIX) && address[2] == 0 {
                address[2..].fill(0);
            }
            format!("slot {number}: {:016x}", hash(bytes))
        }
        Scrub::Statx => {
            let half = |at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
            let mode = half(28);
            let mut size = [0; 8];
            size.copy_from_slice(&bytes[40..48]);
            let regular = u32::from(mode) & libc::S_IFMT == libc::S_IFREG;
            let size = if regular { u64::from_ne_bytes(size) } else { 0 };
            let path = hash(&bytes[AUX as usize..]);
            format!("slot {number}: mode {mode:#o} size {size} {path:016x}")
        }
    }
}
