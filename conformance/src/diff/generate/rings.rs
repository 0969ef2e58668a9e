//! Nothing, messages to rings, and the tables of descriptors.

use sysring_sys::abi::io_uring::op;

use super::{Generator, bytes};
use crate::diff::layout::*;
use crate::diff::program::Entry;

impl Generator {
    pub(super) fn nop(&mut self, entry: &mut Entry) {
        entry.sqe.opcode = op::NOP;
        entry.sqe.fd = -1;
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
        entry.sqe.off = self.random.pick(&[210u64, 230, 200, EPOLL as u64, CLOSED as u64]);
        entry.sqe.addr = place;
        entry.memory.push((place, bytes(&[1u32, 7, 0])));
    }
}
