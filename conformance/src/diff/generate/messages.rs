//! What goes through sockets.

use sysring_sys::abi::io_uring::{op, recvsend};

use super::{Generator, bytes};
use crate::diff::layout::*;
use crate::diff::program::{Entry, Scrub};

impl Generator {
    pub(super) fn send_receive(&mut self, entry: &mut Entry, number: u64) {
        let sends = self.random.percent(50);
        entry.sqe.opcode = if sends { op::SEND } else { op::RECV };
        if sends {
            self.aim(entry, &[230, 231, 233, 234, 235, 236, 237, 238, 211, 200, 255]);
        } else {
            self.aim(entry, &[230, 231, 232, 232, 234, 235, 236, 237, 238, 240, 241, 210]);
        }
        entry.sqe.addr = ARENA + number * SLOT;
        entry.sqe.len = self.length();
        entry.sqe.op_flags = self.message_flags(sends);
        if self.random.percent(10) {
            entry.sqe.ioprio = self.random.pick(&[1, 1, 1 << 2, 1 << 9]);
        }
        if sends && self.random.percent(15) {
            entry.sqe.ioprio |= recvsend::SEND_VECTORIZED;
            entry.sqe.len = self.iovec(entry, number);
            entry.sqe.addr = ARENA + number * SLOT + AUX + 0x100;
        }
        if sends && self.program.notifies && self.random.percent(60) {
            entry.sqe.opcode = op::SEND_ZC;
            self.notify(entry);
        }
    }

    pub(super) fn messages(&mut self, entry: &mut Entry, number: u64) {
        let sends = self.random.percent(50);
        entry.sqe.opcode = if sends { op::SENDMSG } else { op::RECVMSG };
        if sends {
            self.aim(entry, &[230, 231, 233, 234, 235, 236, 211]);
        } else {
            self.aim(entry, &[230, 231, 232, 232, 234, 235, 236, 240, 210]);
        }
        let slot = ARENA + number * SLOT;
        let parts = self.iovec(entry, number);
        let name = self.random.percent(30) && !sends;
        let control = self.random.percent(30) && !sends;
        let header: [u64; 7] = [
            if name { slot + AUX + 0x300 } else { 0 },
            if name { 32 } else { 0 },
            slot + AUX + 0x100,
            u64::from(parts),
            if control { slot + AUX + 0x400 } else { 0 },
            if control { 64 } else { 0 },
            0,
        ];
        entry.memory.push((slot + AUX, bytes(&header)));
        entry.sqe.addr = slot + AUX;
        entry.sqe.len = 1;
        entry.sqe.op_flags = self.message_flags(sends);
        entry.scrub = Scrub::Port(AUX + 0x300);
        if sends && self.program.notifies && self.random.percent(60) {
            entry.sqe.opcode = op::SENDMSG_ZC;
            let message = entry.sqe.addr;
            self.notify(entry);
            entry.sqe.addr = message;
        }
    }

    pub(super) fn message_flags(&mut self, sends: bool) -> u32 {
        let flags = match sends {
            true => {
                self.random.pick(&[0, 0, 0, libc::MSG_DONTWAIT, libc::MSG_NOSIGNAL, libc::MSG_EOR])
            }
            false => self.random.pick(&[
                0,
                0,
                0,
                libc::MSG_DONTWAIT,
                libc::MSG_PEEK,
                libc::MSG_WAITALL,
                libc::MSG_TRUNC,
                libc::MSG_OOB,
            ]),
        };
        flags as u32
    }

    /// Makes a send one that notifies.
    pub(super) fn notify(&mut self, entry: &mut Entry) {
        if self.random.percent(50) {
            self.aim(entry, &[236, 237, 236, 237, 238]);
        }
        if self.random.percent(40) {
            entry.sqe.ioprio |= recvsend::SEND_ZC_REPORT_USAGE;
        }
        if self.random.percent(20) {
            entry.sqe.ioprio |= recvsend::FIXED_BUF;
            entry.sqe.addr = REGISTERED + self.random.pick(&[0, 0, 100, REGISTERED_LEN - 1]);
            entry.sqe.buf_index = self.random.pick(&[0, 0, 0, 1, 77]);
        }
    }
}
