//! Reading and writing: files, pipes, sockets, counters.

use sysring_sys::abi::io_uring::{op, sqe_flags};

use super::{Generator, bytes, resolve};
use crate::diff::layout::*;
use crate::diff::program::Entry;

impl Generator {
    pub(super) fn read_write(&mut self, entry: &mut Entry, number: u64) {
        let writes = self.random.percent(50);
        entry.sqe.opcode = if writes { op::WRITE } else { op::READ };
        self.target(entry, writes);
        // 260 is among what is never fed.
        if writes && resolve(&entry.sqe) == 260 {
            entry.sqe.flags = 0;
            entry.sqe.fd = 261;
        }
        entry.sqe.addr = ARENA + number * SLOT;
        entry.sqe.len = self.length();
        self.in_blocks(entry);
        if writes && matches!(kind(resolve(&entry.sqe)), Kind::Counter(_)) {
            entry.memory.push((entry.sqe.addr, bytes(&[self.random.below(9)])));
        }
    }

    /// A read that goes on where another ends, now and then: those may be made by one system call.
    pub(super) fn follow(&mut self, last: &Entry) -> Option<Entry> {
        let sqe = &last.sqe;
        let plain = sqe.opcode == op::READ
            && sqe.flags & !sqe_flags::FIXED_FILE == 0
            && matches!(kind(resolve(sqe)), Kind::File(_))
            && sqe.len <= 0x1000
            && sqe.off < 1 << 40;
        if !plain || last.chain.is_some() || last.index.is_some() || self.random.percent(30) {
            return None;
        }
        let number = self.count;
        self.count += 1;
        let mut entry = last.clone();
        entry.sqe.user_data = number;
        entry.sqe.off += u64::from(sqe.len);
        entry.sqe.len = self.length();
        entry.sqe.addr = match self.random.percent(5) {
            true => self.random.pick(&[0, FORBIDDEN, READ_ONLY, EDGE + 0xfff, u64::MAX - 0xfff]),
            false => ARENA + number * SLOT,
        };
        Some(entry)
    }

    pub(super) fn iovec(&mut self, entry: &mut Entry, number: u64) -> u32 {
        let slot = ARENA + number * SLOT;
        let parts = self.random.pick(&[1u64, 1, 2, 3, 8]);
        let mut list = Vec::new();
        for part in 0..parts {
            let len = self.random.pick(&[0, 1, 8, 100, 512]);
            list.extend([slot + part * 512, len]);
        }
        entry.memory.push((slot + AUX + 0x100, bytes(&list)));
        parts as u32
    }

    pub(super) fn vectored(&mut self, entry: &mut Entry, number: u64) {
        let writes = self.random.percent(50);
        entry.sqe.opcode = if writes { op::WRITEV } else { op::READV };
        self.target(entry, writes);
        if matches!(kind(resolve(&entry.sqe)), Kind::Counter(_)) {
            entry.sqe.flags = 0;
            entry.sqe.fd = 201;
        }
        entry.sqe.len = self.iovec(entry, number);
        entry.sqe.addr = ARENA + number * SLOT + AUX + 0x100;
    }

    pub(super) fn fixed(&mut self, entry: &mut Entry, number: u64) {
        let writes = self.random.percent(50);
        entry.sqe.opcode = if writes { op::WRITE_FIXED } else { op::READ_FIXED };
        self.target(entry, writes);
        if matches!(kind(resolve(&entry.sqe)), Kind::Counter(_)) {
            entry.sqe.flags = 0;
            entry.sqe.fd = 200;
        }
        let buffer = number % REGISTERED_COUNT;
        entry.sqe.buf_index = buffer as u16;
        let part = number / REGISTERED_COUNT;
        entry.sqe.addr = REGISTERED + buffer * REGISTERED_LEN + part * 512;
        entry.sqe.len = self.random.pick(&[1, 100, 512]);
        if resolve(&entry.sqe) == DIRECT {
            entry.sqe.off = self.random.pick(&[0, 0x1000]);
        }
        if self.random.percent(10) {
            match self.random.below(3) {
                0 => entry.sqe.buf_index = REGISTERED_COUNT as u16,
                1 => entry.sqe.addr = REGISTERED + (buffer + 1) * REGISTERED_LEN - 8,
                _ => entry.sqe.addr = REGISTERED - 8,
            }
        }
    }

    /// Where reading and writing go: files, pipes, sockets, counters.
    pub(super) fn target(&mut self, entry: &mut Entry, writes: bool) {
        match self.random.below(5) {
            0 | 1 => {
                self.aim(entry, &[200, 201, 202, 203, 204, DIRECT]);
                entry.sqe.off = match self.random.percent(15) {
                    true => u64::MAX,
                    false => self.offset(),
                };
            }
            _ if self.polls() => {
                self.aim(entry, &[DIRECT]);
                entry.sqe.off = self.offset();
            }
            2 if writes => self.aim(entry, &[211, 211, 213, 217, 219, 221]),
            2 => self.aim(entry, &[210, 210, 212, 214, 216, 218, 220]),
            3 if writes => self.aim(entry, &[230, 231, 233, 234, 235, 236, 237]),
            3 => self.aim(entry, &[230, 231, 232, 234, 235, 236, 237, 238, 240]),
            _ => self.aim(entry, &[260, 261, 200, 201]),
        }
    }

    /// What a file past the page cache takes, for the most part: whole blocks.
    fn in_blocks(&mut self, entry: &mut Entry) {
        if resolve(&entry.sqe) == DIRECT && self.random.percent(80) {
            entry.sqe.off = self.random.pick(&[0, 0x1000, 0x7000, 0x8000, 0x10_0000]);
            entry.sqe.len = self.random.pick(&[512, 1024, 0x1000]);
        }
    }

    pub(super) fn length(&mut self) -> u32 {
        self.random.pick(&[1, 7, 8, 8, 100, 512, 1000, 4096])
    }

    pub(super) fn offset(&mut self) -> u64 {
        self.random.pick(&[0, 0, 1, 100, 4096, 5000, 8190, 100_000])
    }
}
