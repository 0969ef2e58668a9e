//! The ring of a program, and how it is prepared.

use sysring_sys::abi::io_uring as uring;

use crate::diff::program::Program;
use crate::random::Random;

/// The ring of a program and how it is prepared.
pub(super) fn frame(seed: u64, random: &mut Random) -> Program {
    use uring::setup;
    let mut flags = 0;
    for (flag, percent) in [
        (setup::SUBMIT_ALL, 30),
        (setup::COOP_TASKRUN, 20),
        (setup::NO_SQARRAY, 20),
        (setup::CLAMP, 20),
        (setup::CQSIZE, 30),
    ] {
        if random.percent(percent) {
            flags |= flag;
        }
    }
    if random.percent(25) {
        flags |= setup::SINGLE_ISSUER;
        if random.percent(60) {
            flags |= setup::DEFER_TASKRUN;
        }
    }
    if flags & (setup::COOP_TASKRUN | setup::DEFER_TASKRUN) != 0 && random.percent(40) {
        flags |= setup::TASKRUN_FLAG;
    }
    let entries = random.pick(&[1, 2, 4, 8, 8, 16, 32]);
    let cq_entries = match flags & setup::CQSIZE {
        0 => 0,
        _ => entries * random.pick(&[1, 1, 2, 4]),
    };
    // What a ring that is left behind still notifies of is a matter of time.
    let abandon = random.percent(10);
    Program {
        seed,
        entries,
        cq_entries,
        flags,
        disk: random.percent(25),
        register_files: random.percent(40),
        register_buffers: random.percent(40),
        register_eventfd: random.percent(10),
        abandon,
        notifies: !abandon && random.percent(25),
        steps: Vec::new(),
    }
}
