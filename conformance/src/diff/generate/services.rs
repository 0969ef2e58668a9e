//! Register calls about the ring itself, its helpers, and what is under way.

use sysring_sys::abi::io_uring::{
    self as uring, MEM_REGION_TYPE_USER, Params, Sqe, cancel, napi, op, register, setup,
};

use super::{Generator, bytes};
use crate::diff::layout::*;
use crate::diff::program::{Step, no_array};

impl Generator {
    pub(super) fn service(&mut self) -> Step {
        match self.random.below(22) {
            0..5 => self.sync_cancel(),
            5..8 => self.resize(),
            8..10 => self.send_message(),
            10 => self.clock(),
            11..13 => self.napi(),
            13 => self.region(),
            14 => self.credentials(),
            15 => self.ring_fds(),
            16 => self.eventfd_async(),
            17 => self.too_late(),
            18..20 => self.helpers(),
            _ => self.questions(),
        }
    }

    fn sync_cancel(&mut self) -> Step {
        let (mut number, mut fd, mut code) = (0, -1, 0);
        let flags = match self.random.below(6) {
            0 | 1 => {
                number = self.victim();
                self.random.pick(&[0, cancel::USERDATA, cancel::ALL])
            }
            2 => {
                fd = self.random.pick(&QUIET);
                cancel::FD | self.random.pick(&[0, cancel::ALL])
            }
            3 => {
                fd = self.random.pick(&QUIET);
                code = self.random.pick(&[op::READ, op::POLL_ADD, op::ACCEPT]);
                cancel::OP | cancel::FD
            }
            4 => {
                fd = self.random.pick(&[6, 7, 9, 99]);
                cancel::FD | cancel::FD_FIXED
            }
            _ => self.random.pick(&[1 << 6, cancel::ANY | cancel::FD]),
        };
        let time = self.random.pick(&[[u64::MAX, u64::MAX], [0, 0], [0, 1_000_000]]);
        let mut argument = bytes(&[number]);
        argument.extend(bytes(&[fd as u32, flags]));
        argument.extend(bytes(&time));
        argument.extend(bytes(&[code, self.random.pick(&[0, 0, 0, 0, 0, 0, 0, 1])]));
        argument.resize(64, 0);
        let count = self.random.pick(&[1, 1, 1, 1, 1, 0]);
        Step::register(register::SYNC_CANCEL, PLACE, count, vec![(PLACE, argument)])
    }

    /// Whether the queues can be made anew: Linux 6.18 does not say where an array of indexes is then.
    pub(super) fn can_resize(&self) -> bool {
        no_array(self.program.flags) && self.program.flags & setup::DEFER_TASKRUN != 0
    }

    /// Queues of another size.
    pub(super) fn resize(&mut self) -> Step {
        let flags = match no_array(self.program.flags) {
            true => {
                self.random.pick(&[0, 0, setup::CQSIZE, setup::CQSIZE, setup::CLAMP, setup::SQE128])
            }
            false => setup::SQE128,
        };
        // The generator counts on the room that there was at first.
        let sq_entries = self.random.pick(&[1, 4, 8, 32, 64]).max(self.program.entries);
        let cq_entries = match flags & setup::CQSIZE {
            0 => 0,
            _ if self.is_tight() => sq_entries * self.random.pick(&[0, 1, 2]),
            _ => sq_entries * self.random.pick(&[2, 4]),
        };
        Step::Resize(Params { sq_entries, cq_entries, flags, ..Params::default() })
    }

    /// A message to a ring, from none.
    fn send_message(&mut self) -> Step {
        let sqe = Sqe {
            opcode: self.random.pick(&[op::MSG_RING, op::MSG_RING, op::MSG_RING, op::NOP]),
            fd: self.random.pick(&[RING2_MARK, RING2_MARK, RING2_MARK, 200, CLOSED]),
            len: self.random.below(1000) as u32,
            off: 0x6_0000 + self.random.below(1000),
            op_flags: self.random.pick(&[0, 0, 0, 0, 1, 4]),
            flags: self.random.pick(&[0, 0, 0, 0, uring::sqe_flags::ASYNC]),
            addr: self.random.pick(&[0, 0, 0, 0, 1, 7]),
            ..Sqe::default()
        };
        let count = self.random.pick(&[1, 1, 1, 1, 0, 2]);
        let alone = self.random.percent(85);
        let memory = vec![(PLACE, bytes(&[sqe]))];
        Step::Register { opcode: register::SEND_MSG_RING, arg: PLACE, count, memory, alone }
    }

    fn clock(&mut self) -> Step {
        const MONOTONIC: u32 = libc::CLOCK_MONOTONIC as u32;
        const BOOTTIME: u32 = libc::CLOCK_BOOTTIME as u32;
        let clock = self.random.pick(&[MONOTONIC, BOOTTIME, BOOTTIME, 0, 77]);
        let argument = bytes(&[clock, 0, 0, self.random.pick(&[0, 0, 0, 0, 1])]);
        let count = self.random.pick(&[0, 0, 0, 0, 1]);
        Step::register(register::CLOCK, PLACE, count, vec![(PLACE, argument)])
    }

    fn napi(&mut self) -> Step {
        let micros = self.random.pick(&[0u32, 1, 20, 1 << 30]);
        let code =
            self.random.pick(&[napi::REGISTER_OP, napi::REGISTER_OP, napi::STATIC_ADD_ID, 9]);
        let mut argument = bytes(&[micros]);
        argument.extend([self.random.pick(&[0, 1]), code, 0, 0]);
        let parameter = self.random.pick(&[napi::TRACKING_DYNAMIC, napi::TRACKING_STATIC, 7, 9000]);
        argument.extend(bytes(&[parameter, self.random.pick(&[0, 0, 0, 0, 1])]));
        let call = self.random.pick(&[register::NAPI, register::NAPI, register::UNREGISTER_NAPI]);
        Step::register(call, PLACE, self.random.pick(&[1, 1, 1, 1, 0]), vec![(PLACE, argument)])
    }

    fn region(&mut self) -> Step {
        let desc = PLACE + 0x20;
        let flags = self.random.pick(&[0u64, 0, 0, uring::MEM_REGION_REG_WAIT_ARG, 2]);
        let mut argument = bytes(&[desc, flags, 0, 0]);
        let at = self.random.pick(&[REGION, REGION, REGION, REGION + 8, 0]);
        argument.extend(bytes(&[at, self.random.pick(&[0x1000, 0x1000, 0x1000, 0, 100])]));
        let kind = if self.random.percent(90) { u64::from(MEM_REGION_TYPE_USER) } else { 0 };
        argument.extend(bytes(&[kind, 0, 0, 0, 0, 0]));
        Step::register(register::MEM_REGION, PLACE, 1, vec![(PLACE, argument)])
    }

    fn credentials(&mut self) -> Step {
        match self.random.below(4) {
            0 => Step::register(register::PERSONALITY, 0, 0, Vec::new()),
            1 => Step::register(register::PERSONALITY, PLACE, 1, Vec::new()),
            2 => Step::register(register::UNREGISTER_PERSONALITY, 0, 1, Vec::new()),
            _ => Step::register(register::UNREGISTER_PERSONALITY, 0, 77, Vec::new()),
        }
    }

    /// Only such as leave nothing: a thread's table has room for 16, and programs follow each other.
    fn ring_fds(&mut self) -> Step {
        let offset = self.random.pick(&[0u32, 3, 15, 16, u32::MAX]);
        let fd = self.random.pick(&[200, CLOSED, -1]);
        let spoilt = self.random.pick(&[0, 0, 0, 1]);
        let mut argument = bytes(&[offset, spoilt]);
        argument.extend(bytes(&[fd, 0]));
        let count = self.random.pick(&[1, 1, 1, 0, 17]);
        if self.random.percent(50) {
            return Step::register(register::RING_FDS, PLACE, count, vec![(PLACE, argument)]);
        }
        // The low indexes may be somebody's.
        argument[..4].copy_from_slice(&bytes(&[self.random.pick(&[15u32, 5000])]));
        argument[8..].fill(self.random.pick(&[0, 0, 1]));
        Step::register(register::UNREGISTER_RING_FDS, PLACE, count, vec![(PLACE, argument)])
    }

    fn eventfd_async(&mut self) -> Step {
        let memory = vec![(PLACE, bytes(&[self.random.pick(&[EVENTFD, EVENTFD, 200, CLOSED])]))];
        Step::register(register::EVENTFD_ASYNC, PLACE, self.random.pick(&[1, 1, 1, 2]), memory)
    }

    /// What is only for a ring that is disabled yet.
    fn too_late(&mut self) -> Step {
        let allowed = bytes(&[u64::from(uring::restriction::SQE_OP), 0]);
        Step::register(register::RESTRICTIONS, PLACE, 1, vec![(PLACE, allowed)])
    }

    /// Threads that work for the ring: all of them stay where they may be, and as many.
    fn helpers(&mut self) -> Step {
        match self.random.below(4) {
            0 => {
                let memory = vec![(PLACE, vec![0xff; 8])];
                Step::register(register::IOWQ_AFF, self.random.pick(&[PLACE, 0, WILD]), 8, memory)
            }
            1 => {
                let (arg, count) = self.random.pick(&[(0, 0), (0, 0), (PLACE, 0), (0, 1)]);
                Step::register(register::UNREGISTER_IOWQ_AFF, arg, count, Vec::new())
            }
            _ => {
                let count = self.random.pick(&[2, 2, 2, 1]);
                let memory = vec![(UNTOLD, vec![0; 8])];
                let arg = self.random.pick(&[UNTOLD, UNTOLD, 0, WILD]);
                Step::register(register::IOWQ_MAX_WORKERS, arg, count, memory)
            }
        }
    }

    /// What is answered is not compared, for the engine knows more than Linux 6.18: that it is.
    fn questions(&mut self) -> Step {
        if self.random.percent(50) {
            let count = self.random.pick(&[1, 10, 256, 257]);
            let spoilt = self.random.pick(&[0, 0, 0, 1]);
            let memory = vec![(UNTOLD, vec![spoilt; 16])];
            return Step::register(register::PROBE, UNTOLD, count, memory);
        }
        let mut argument = bytes(&[0, UNTOLD + 0x40]);
        argument.extend(bytes(&[self.random.pick(&[0u32, 0, 77]), 40, 0, 0, 0, 0]));
        argument.resize(0x40 + 64, 0);
        let count = self.random.pick(&[0, 0, 0, 1]);
        Step::register(register::QUERY, UNTOLD, count, vec![(UNTOLD, argument)])
    }
}
