//! Wrong fields.

use sysring_sys::abi::io_uring::{op, recvsend, sqe_flags};

use super::Generator;
use super::nature::{needs_file, resolve};
use crate::diff::layout::*;
use crate::diff::program::Entry;

impl Generator {
    /// Makes one field wrong.
    pub(super) fn spoil(&mut self, entry: &mut Entry) {
        let sqe = &mut entry.sqe;
        let random = &mut self.random;
        match random.below(16) {
            0 => sqe.opcode = random.pick(&[65, 66, 100, 255]),
            1 => sqe.flags |= 0x80,
            2 => sqe.flags |= sqe_flags::BUFFER_SELECT,
            3 => {
                sqe.flags |= sqe_flags::FIXED_FILE;
                sqe.fd = random.pick(&[0, 5, 9, 16, 100_000, -1]);
                // Some operations take it for a descriptor: not for one that others may be opening.
                if sqe.fd == 16 && !needs_file(sqe.opcode) {
                    sqe.fd = CLOSED;
                }
            }
            4 => sqe.ioprio = random.pick(&[0x100, 0x8000, 0xffff]),
            5 => sqe.op_flags |= 1 << random.pick(&[28u32, 29, 30, 31]),
            6 => sqe.buf_index = random.pick(&[1, 77, 0xffff]),
            7 => sqe.personality = random.pick(&[1, 77]),
            // Flags of a message: Linux 6.18 believes one that says it is a wide completion.
            8 if sqe.opcode == op::MSG_RING => sqe.file_index = 20,
            8 => sqe.file_index = random.pick(&[1, 20, u32::MAX]),
            9 => sqe.addr3 = random.pick(&[1, WILD]),
            10 => sqe.pad2 = 1,
            11 => sqe.fd = random.pick(&[CLOSED, -1, -7, 70_000, i32::MAX]),
            12 | 13 => {
                sqe.addr =
                    random.pick(&[0, WILD, READ_ONLY, FORBIDDEN, EDGE + 0xf00, u64::MAX - 8]);
                // Numbers of descriptors depend on what others have opened, and those of ports, too.
                if sqe.addr == EDGE + 0xf00 && matches!(sqe.opcode, op::PIPE | op::ACCEPT) {
                    sqe.addr = WILD;
                }
                // Linux 6.18 wakes who polls a pipe for a write to it that brought nothing, and says that it is
                // readable.
                let faults = sqe.addr != READ_ONLY && sqe.opcode == op::WRITE;
                if faults && matches!(kind(resolve(sqe)), Kind::Writer(_)) {
                    sqe.addr = EDGE + 0xf00;
                    sqe.len = sqe.len.min(0x100);
                }
                // The kernel forgets the position behind what it wrote before it met the fault.
                if sqe.addr == EDGE + 0xf00 && sqe.off == u64::MAX {
                    sqe.off = 0;
                }
            }
            // An advice on that much memory takes the program's own.
            14 if sqe.opcode == op::MADVISE => {}
            // Zero is what the first word holds: it would wait for ever.
            14 if sqe.opcode == op::FUTEX_WAIT => {}
            // How often a timeout fires.
            14 if sqe.opcode == op::TIMEOUT && sqe.off != 0 => {}
            14 => {
                sqe.off = random.pick(&[0, WILD, READ_ONLY, FORBIDDEN, u64::MAX, 1 << 63]);
                // Half of it is a count. In Linux 6.18 one that counts ends as soon as another one's time
                // is up, which is taken off the completions there were before its own is added.
                if sqe.opcode == op::TIMEOUT {
                    sqe.off &= !u64::from(u32::MAX);
                }
            }
            // So many shots that the queue is full before or after the program comes to take some.
            _ if sqe.opcode == op::RECV && sqe.ioprio & recvsend::RECV_MULTISHOT != 0 => {
                sqe.len = random.pick(&[0, 300]);
            }
            // Zero is all children there are: who is first of several has it.
            _ if sqe.opcode == op::WAITID => sqe.len = 3,
            _ => sqe.len = random.pick(&[0, 3]),
        }
    }
}
