//! What keeps a file in order.

use sysring_sys::abi::io_uring::op;

use super::Generator;
use crate::diff::layout::*;
use crate::diff::program::Entry;

impl Generator {
    pub(super) fn file_upkeep(&mut self, entry: &mut Entry, number: u64) {
        let sync = if self.program.disk { 5 } else { 40 };
        if self.random.percent(sync) {
            self.aim(entry, &[200, 201, 202, 203, 204, 210, 230]);
            entry.sqe.opcode = self.random.pick(&[op::FSYNC, op::SYNC_FILE_RANGE]);
            if entry.sqe.opcode == op::FSYNC {
                entry.sqe.op_flags = self.random.pick(&[0, 1, 1, 2]);
            } else {
                entry.sqe.op_flags = self.random.pick(&[1, 2, 4, 7, 8]);
                entry.sqe.len = 4096;
            }
            return;
        }
        self.aim(entry, &[200, 201, 202, 203, 204, DIRECT, 210, 205]);
        match self.random.below(4) {
            0 => {
                entry.sqe.opcode = op::FALLOCATE;
                entry.sqe.off = self.offset();
                entry.sqe.addr = self.random.pick(&[0, 1, 4096, 10_000, u64::MAX]);
                // len is the mode: none, KEEP_SIZE, PUNCH_HOLE with it, ZERO_RANGE, nonsense.
                entry.sqe.len = self.random.pick(&[0, 0, 1, 3, 16, 0x1000]);
            }
            1 => {
                entry.sqe.opcode = op::FTRUNCATE;
                entry.sqe.off = self.random.pick(&[0, 1, 5000, 20_000, u64::MAX]);
            }
            2 => {
                entry.sqe.opcode = op::FADVISE;
                entry.sqe.off = self.offset();
                entry.sqe.len = self.length();
                entry.sqe.op_flags = self.random.pick(&[0, 1, 2, 3, 4, 5, 6, 77]);
            }
            _ => {
                entry.sqe.opcode = op::MADVISE;
                entry.sqe.fd = -1;
                entry.sqe.flags = 0;
                entry.sqe.addr = ARENA + number * SLOT + self.random.pick(&[0, 0, 8]);
                entry.sqe.len = 4096;
                // Not DONTNEED alone: it empties the slot, which is then compared. That is well.
                entry.sqe.op_flags = self.random.pick(&[0, 1, 2, 3, 4, 77]);
            }
        }
    }
}
