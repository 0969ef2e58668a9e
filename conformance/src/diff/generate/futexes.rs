//! Words that are waited for, and children.

use sysring_sys::abi::io_uring::op;

use super::{Generator, bytes};
use crate::diff::layout::*;
use crate::diff::program::{Entry, Scrub, Waits};

/// A word of 32 bits, in this process alone.
const FLAGS: u32 = 2 | 128;

impl Generator {
    pub(super) fn futex(&mut self, entry: &mut Entry, number: u64) {
        let word = self.random.below(3);
        // Its value is its number.
        let value = self.random.pick(&[word, word, word, 77]);
        let any = u64::from(u32::MAX);
        match self.random.below(5) {
            0 | 1 => {
                entry.sqe.opcode = op::FUTEX_WAIT;
                entry.sqe.off = value;
                entry.waits = if value == word { Waits::Wake(1 << word) } else { Waits::No };
            }
            2 => {
                entry.sqe.opcode = op::FUTEX_WAITV;
                let second = (word + 1) % 3;
                let at = ARENA + number * SLOT + AUX;
                let part =
                    |word: u64, value: u64| [value, FUTEXES + word * FUTEX_LEN, u64::from(FLAGS)];
                let list = [part(word, value), part(second, second)].concat();
                entry.memory.push((at, bytes(&list)));
                entry.sqe.addr = at;
                entry.sqe.len = self.random.pick(&[1, 2, 2, 0]);
                let words = if entry.sqe.len == 2 { 1 << word | 1 << second } else { 1 << word };
                let waits = value == word && entry.sqe.len > 0;
                entry.waits = if waits { Waits::Wake(words) } else { Waits::No };
                return;
            }
            _ => {
                entry.sqe.opcode = op::FUTEX_WAKE;
                entry.sqe.off = self.random.pick(&[1, 1, 5, 0]);
            }
        }
        entry.sqe.addr = FUTEXES + word * FUTEX_LEN;
        entry.sqe.addr3 = any;
        entry.sqe.fd = FLAGS as i32;
        if self.random.percent(10) {
            entry.sqe.fd = self.random.pick(&[0, 3, 1 << 20]);
            entry.waits = Waits::No;
        }
    }

    pub(super) fn waitid(&mut self, entry: &mut Entry, number: u64) {
        const PROCESS: u32 = 1;
        entry.sqe.opcode = op::WAITID;
        entry.sqe.fd = self.random.pick(&[ENDED_MARK, ENDED_MARK, ASLEEP_MARK, 1]);
        // Linux 6.18 cancels it on a thread of its own if the ring is closed, and that one writes what it
        // tells to the memory of whatever process came before it.
        if self.program.abandon && entry.sqe.fd == ASLEEP_MARK {
            entry.sqe.fd = ENDED_MARK;
        }
        entry.sqe.len = PROCESS;
        let options = [libc::WEXITED, libc::WEXITED | libc::WNOHANG, libc::WEXITED | libc::WNOWAIT];
        entry.sqe.file_index = self.random.pick(&options) as u32;
        entry.sqe.off = ARENA + number * SLOT;
        entry.scrub = Scrub::Process(0);
        let sleeps = self.program.children
            && entry.sqe.fd == ASLEEP_MARK
            && entry.sqe.file_index & libc::WNOHANG as u32 == 0;
        entry.waits = if sleeps { Waits::Ever } else { Waits::No };
        if self.random.percent(10) {
            entry.sqe.file_index = self.random.pick(&[0, 1 << 20]);
            entry.waits = Waits::No;
        }
    }
}
