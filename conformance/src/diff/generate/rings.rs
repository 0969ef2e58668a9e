//! Nothing, messages to rings, and the tables of descriptors.

use sysring_sys::abi::io_uring::{op, setup, sqe_flags};

use super::nature::WIDE;
use super::{Generator, bytes};
use crate::diff::layout::*;
use crate::diff::program::Entry;

impl Generator {
    pub(super) fn nop(&mut self, entry: &mut Entry) {
        entry.sqe.opcode = op::NOP;
        entry.sqe.fd = -1;
        if self.random.percent(20) {
            // A result to answer, and a file or a buffer to look up.
            entry.sqe.op_flags = self.random.pick(&[1, 1, 2, 3, 4 | 2, 8, 16, 32, 32, 33, 64]);
            if self.program.flags & setup::CQE_MIXED != 0 && self.is_tight() {
                entry.sqe.op_flags &= !WIDE;
            }
            entry.sqe.off = self.random.pick(&[0, 7]);
            entry.sqe.addr = self.random.pick(&[0, 8]);
            entry.sqe.len = self.random.pick(&[0, 5, -5i32 as u32]);
            entry.sqe.fd = self.random.pick(&[200, 0, CLOSED]);
        }
    }

    pub(super) fn msg_ring(&mut self, entry: &mut Entry) {
        entry.sqe.opcode = op::MSG_RING;
        entry.sqe.fd =
            self.random.pick(&[RING2_MARK, RING2_MARK, RING2_MARK, RING_MARK, 200, CLOSED]);
        entry.sqe.len = self.random.below(1000) as u32;
        entry.sqe.off = 0x5_0000 + self.random.below(1000);
        entry.sqe.op_flags = self.random.pick(&[0, 0, 0, 1, 2, 4]);
        if entry.sqe.op_flags == 2 {
            entry.sqe.file_index = self.random.pick(&[0, 3]);
        }
        entry.sqe.addr = self.random.pick(&[0, 0, 0, 0, 7]);
        if self.program.register_files && self.random.percent(30) {
            // A registered file, to a slot of the other ring.
            entry.sqe.addr = 1;
            entry.sqe.len = 0;
            entry.sqe.addr3 = self.random.pick(&[0u64, 3, 4, 9, 16]);
            entry.sqe.file_index = self.random.pick(&[1, 2, 3, 9, u32::MAX]);
            entry.sqe.op_flags = self.random.pick(&[0, 0, 1]);
        }
    }

    pub(super) fn files_update(&mut self, entry: &mut Entry, number: u64) {
        let place = ARENA + number * SLOT + AUX;
        entry.sqe.opcode = op::FILES_UPDATE;
        entry.sqe.fd = -1;
        entry.sqe.addr = place;
        let fds =
            [self.random.pick(&[200, 201, -1, -2, CLOSED]), self.random.pick(&[200, 201, -1, -2])];
        entry.memory.push((place, bytes(&fds)));
        entry.sqe.len = self.random.pick(&[1, 2, 0]);
        entry.sqe.off = u64::from(self.random.pick(&[FREE_SLOTS, FREE_SLOTS + 5, 15, 16, 1000]));
    }

    pub(super) fn epoll(&mut self, entry: &mut Entry, number: u64) {
        let place = ARENA + number * SLOT + AUX;
        entry.sqe.opcode = op::EPOLL_CTL;
        entry.sqe.fd = self.random.pick(&[EPOLL, EPOLL, EPOLL, 200, CLOSED]);
        entry.sqe.len = self.random.pick(&[1, 1, 2, 3, 9]);
        entry.sqe.off = self.random.pick(&[
            WATCHED[0] as u64,
            WATCHED[1] as u64,
            WATCHED[2] as u64,
            EPOLL as u64,
            CLOSED as u64,
        ]);
        entry.sqe.addr = place;
        entry.memory.push((place, bytes(&[1u32, 7, 0])));
    }

    pub(super) fn install(&mut self, entry: &mut Entry) {
        entry.sqe.opcode = op::FIXED_FD_INSTALL;
        entry.opens = true;
        entry.sqe.fd = self.random.pick(&[0, 1, 3, 4, 9, 16]);
        entry.sqe.flags |= sqe_flags::FIXED_FILE;
        entry.sqe.op_flags = self.random.pick(&[0, 0, 1, 2]);
    }

    pub(super) fn epoll_wait(&mut self, entry: &mut Entry, number: u64) {
        entry.sqe.opcode = op::EPOLL_WAIT;
        entry.sqe.fd = self.random.pick(&[EPOLL, EPOLL, EPOLL, EPOLL, 200, CLOSED]);
        entry.sqe.addr = ARENA + number * SLOT;
        entry.sqe.len = self.random.pick(&[1, 4, 4, 0]);
    }
}
