//! Calls of `enter` and `register` between batches.

use sysring_sys::abi::io_uring as uring;

use super::{Generator, bytes};
use crate::diff::layout::*;
use crate::diff::program::Step;

impl Generator {
    pub(super) fn enter(&mut self) -> Step {
        use uring::enter;
        let place = ADDRESSES + 0x800;
        let mut step = (0, 0, Vec::new(), 0, 0);
        match self.random.below(6) {
            0 => step.0 = 1 << self.random.pick(&[8u32, 9, 15, 31]),
            1 => {
                // Waits a little for what does not come.
                let time = [0u64, 200_000];
                step = (
                    enter::GETEVENTS | enter::EXT_ARG,
                    0,
                    bytes(&[0u64, 0, place + 0x40]),
                    place,
                    24,
                );
                step.2.resize(0x40, 0);
                step.2.extend(bytes(&time));
            }
            2 => {
                let ts = self.random.pick(&[WILD, FORBIDDEN]);
                step = (enter::GETEVENTS | enter::EXT_ARG, 0, bytes(&[0u64, 0, ts]), place, 24);
            }
            3 => step = (enter::GETEVENTS | enter::EXT_ARG, 0, Vec::new(), place, 23),
            4 => step = (enter::GETEVENTS | enter::EXT_ARG, 0, Vec::new(), WILD, 24),
            _ => step.0 = enter::GETEVENTS,
        }
        Step::Enter { flags: step.0, min: step.1, arg: step.2, arg_at: step.3, size: step.4 }
    }

    pub(super) fn register(&mut self) -> Step {
        use uring::register;
        let place = ADDRESSES + 0x800;
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
        Step::Register { opcode, arg, count, memory }
    }
}
