//! What moves data without touching it, and the pipes it goes through.

use sysring_sys::abi::io_uring::{FILE_INDEX_ALLOC, op};

use super::{Generator, bytes};
use crate::diff::layout::*;
use crate::diff::program::{Entry, Scrub};

impl Generator {
    pub(super) fn splice(&mut self, entry: &mut Entry) {
        let tees = self.random.percent(30);
        entry.sqe.opcode = if tees { op::TEE } else { op::SPLICE };
        let (from, to) = match self.random.below(4) {
            0 | 1 => {
                (self.random.pick(&[212, 212, 210, 218, 214]), self.random.pick(&[INTO, 211, 217]))
            }
            2 => (self.random.pick(&[200, 203, 204, 230]), self.random.pick(&[INTO, 211, 213])),
            _ => (self.random.pick(&[212, 218]), self.random.pick(&[201, 202, 231, 200])),
        };
        self.aim(entry, &[to]);
        entry.sqe.file_index = from as u32;
        if let Some(slot) = FIXED.iter().position(|fd| *fd == from)
            && self.random.percent(30)
        {
            entry.sqe.file_index = slot as u32;
            entry.sqe.op_flags |= SPLICE_F_FD_IN_FIXED;
        }
        entry.sqe.op_flags |= self.random.pick(&[0, 0, 1, 2, 4]);
        entry.sqe.len = self.random.pick(&[1, 8, 100, 4096]);
        if tees {
            return;
        }
        let place =
            |fd: i32, at: u64| if matches!(kind(fd), Kind::File(_)) { at } else { u64::MAX };
        entry.sqe.addr = place(from, self.random.pick(&[0, 100, u64::MAX]));
        entry.sqe.off = place(to, self.random.pick(&[0, 100, u64::MAX]));
    }

    pub(super) fn pipe(&mut self, entry: &mut Entry, number: u64) {
        entry.sqe.opcode = op::PIPE;
        entry.sqe.addr = ARENA + number * SLOT;
        let flags = [0, libc::O_CLOEXEC, libc::O_NONBLOCK, libc::O_DIRECT, 1];
        entry.sqe.op_flags = self.random.pick(&flags) as u32;
        entry.memory.push((entry.sqe.addr, bytes(&[0u64])));
        entry.scrub = Scrub::Pair(0);
        if self.program.register_files && self.random.percent(40) {
            entry.sqe.file_index = self.random.pick(&[FREE_SLOTS + 6, FILE_INDEX_ALLOC, 17]);
            entry.scrub = Scrub::Nothing;
        }
    }

    /// Vectors in registered buffers.
    pub(super) fn fixed_vectors(&mut self, entry: &mut Entry, number: u64) {
        let writes = self.random.percent(50);
        entry.sqe.opcode = if writes { op::WRITEV_FIXED } else { op::READV_FIXED };
        self.target(entry, writes);
        if matches!(kind(super::resolve(&entry.sqe)), Kind::Counter(_)) {
            entry.sqe.flags = 0;
            entry.sqe.fd = 200;
        }
        let buffer = number % REGISTERED_COUNT;
        let part = number / REGISTERED_COUNT;
        let at = REGISTERED + buffer * REGISTERED_LEN + part * 512;
        let lens = [self.random.pick(&[1u64, 8, 100]), self.random.pick(&[0u64, 1, 100])];
        let list = [at, lens[0], at + 256, lens[1]];
        entry.sqe.addr = ARENA + number * SLOT + AUX;
        entry.memory.push((entry.sqe.addr, bytes(&list)));
        entry.sqe.len = self.random.pick(&[1, 2, 2, 0]);
        entry.sqe.buf_index = self.random.pick(&[buffer as u16, buffer as u16, buffer as u16, 77]);
    }
}
