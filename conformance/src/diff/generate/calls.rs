//! Calls of `enter` and `register` between batches.

use sysring_sys::abi::io_uring as uring;

use super::{Generator, bytes};
use crate::diff::layout::*;
use crate::diff::program::Step;

impl Generator {
    pub(super) fn enter(&mut self) -> Step {
        use uring::enter;
        const WITH: u32 = enter::GETEVENTS | enter::EXT_ARG;
        // The structure, and the time behind it.
        let times = PLACE + 0x40;
        let waits = |time: [u64; 2], least: u32, at: u64| {
            let mut arg = bytes(&[0u64]);
            arg.extend(bytes(&[0u32, least]));
            arg.extend(bytes(&[at]));
            arg.resize(0x40, 0);
            arg.extend(bytes(&time));
            arg
        };
        let (flags, arg, arg_at, size) = match self.random.below(9) {
            0 => (1 << self.random.pick(&[8u32, 9, 15, 31]), Vec::new(), 0, 0),
            // Waits a little for what does not come; and for times that are over.
            1 => {
                let over = [[0, 200_000], [0, 200_000], [1 << 63, 0], [u64::MAX, 0], [0, u64::MAX]];
                (WITH, waits(self.random.pick(&over), 0, times), PLACE, 24)
            }
            2 => {
                let at = self.random.pick(&[WILD, FORBIDDEN]);
                (WITH, waits([0, 0], 0, at), PLACE, 24)
            }
            3 => (WITH, Vec::new(), PLACE, self.random.pick(&[23, 64])),
            4 => (WITH, Vec::new(), WILD, 24),
            // A time that is over, whichever clock it is of; and one that nothing can come before.
            5 => (WITH | enter::ABS_TIMER, waits([1, 0], 0, times), PLACE, 24),
            // A wait of two stages, or of one: then the time is none, or one that goes round.
            6 => {
                let time = self.random.pick(&[[0, 200_000], [0, 200_000], [1 << 62, 0]]);
                let at = self.random.pick(&[times, times, 0]);
                (WITH | enter::NO_IOWAIT, waits(time, 100, at), PLACE, 24)
            }
            7 => return self.registered_wait(),
            _ => {
                let more = [0, 0, enter::SQ_WAIT, enter::SQ_WAKEUP, enter::NO_IOWAIT];
                (enter::GETEVENTS | self.random.pick(&more), Vec::new(), 0, 0)
            }
        };
        let min = if arg.is_empty() { 0 } else { self.random.pick(&[0, 0, 0, 1]) };
        let memory = if arg.is_empty() { Vec::new() } else { vec![(arg_at, arg)] };
        Step::Enter { flags, min, memory, arg: arg_at, size }
    }

    /// A wait that the ring reads from memory it shares, if it does.
    fn registered_wait(&mut self) -> Step {
        use uring::enter;
        // Not the last place: Linux 6.18 reads the first instead.
        let at = self.random.pick(&[0u64, 64, 0xf80, 0xfc8, 4, u64::MAX - 7]);
        let mut arg = bytes(&[0u64, self.random.pick(&[0, 200_000])]);
        let flags = self.random.pick(&[uring::REG_WAIT_TS, uring::REG_WAIT_TS, 0, 2]);
        arg.extend(bytes(&[self.random.pick(&[0u32, 0, 100]), flags]));
        arg.resize(64, 0);
        let memory = if at < 0xfc0 { vec![(REGION + at, arg)] } else { Vec::new() };
        let flags = enter::GETEVENTS | enter::EXT_ARG | enter::EXT_ARG_REG;
        let size = self.random.pick(&[64, 64, 64, 24]);
        // Without a time it would wait for ever.
        Step::Enter { flags, min: 0, memory, arg: at, size }
    }

    pub(super) fn register(&mut self) -> Step {
        use uring::register;
        let place = PLACE;
        let mut memory = Vec::new();
        let random = &mut self.random;
        let (opcode, arg, count) = match random.below(12) {
            0 => {
                (register::UNREGISTER_BUFFERS, random.pick(&[0, 0, place]), random.pick(&[0, 0, 1]))
            }
            1 => (register::UNREGISTER_FILES, 0, random.pick(&[0, 1])),
            2 => (register::UNREGISTER_EVENTFD, 0, 0),
            3 => {
                memory.push((place, bytes(&[random.pick(&[EVENTFD, 200, CLOSED])])));
                (
                    register::EVENTFD,
                    random.pick(&[place, place, 0, WILD]),
                    random.pick(&[1, 1, 2, 0]),
                )
            }
            4 => {
                let fds = [random.pick(&[200, CLOSED, -1, RING_MARK]), 201];
                memory.push((place, bytes(&fds)));
                (
                    register::FILES,
                    random.pick(&[place, place, 0, WILD]),
                    random.pick(&[0, 1, 2, 1 << 20]),
                )
            }
            5 => {
                let at = random.pick(&[REGISTERED, 0, WILD, FORBIDDEN, READ_ONLY]);
                let len = random.pick(&[4096, 0, 1 << 40, 100]);
                memory.push((place, bytes(&[at, len])));
                (
                    register::BUFFERS,
                    random.pick(&[place, place, WILD]),
                    random.pick(&[1, 1, 0, 100_000]),
                )
            }
            6 => {
                memory.push((place + 0x40, bytes(&[random.pick(&[200, -1, CLOSED])])));
                let offset = u64::from(random.pick(&[FREE_SLOTS + 6, 15, 16, 1000]));
                memory.push((place, bytes(&[offset, place + 0x40])));
                (register::FILES_UPDATE, random.pick(&[place, place, 0]), random.pick(&[1, 1, 0]))
            }
            7 => (register::PROBE, random.pick(&[0, WILD]), random.pick(&[1, 256, 257])),
            8 => (register::ENABLE_RINGS, 0, 0),
            9 => (random.pick(&[38, 77, 1 << 30, u32::MAX]), 0, 0),
            10 => (register::UNREGISTER_FILES, place, 0),
            _ => (register::EVENTFD_ASYNC, WILD, 1),
        };
        Step::register(opcode, arg, count, memory)
    }
}
