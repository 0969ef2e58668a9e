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
    let (mode, restrictions) = mode(seed, flags);
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
        flags: mode,
        restrictions,
        disk: random.percent(25),
        register_files: random.percent(40),
        register_buffers: random.percent(40),
        register_eventfd: random.percent(10),
        children: random.percent(5),
        buffers: random.percent(35),
        abandon,
        notifies: !abandon && random.percent(25),
        steps: Vec::new(),
    }
}

/// What is drawn in addition, from numbers of its own, so that the programs stay what they are:
/// a ring whose thread submits, one that begins disabled, wide entries. And the restrictions of
/// the second.
fn mode(seed: u64, flags: u32) -> (u32, Option<Vec<[u64; 2]>>) {
    use uring::setup;
    let random = &mut Random::new(seed ^ 0x6d6f_6465);
    let alone = setup::COOP_TASKRUN | setup::TASKRUN_FLAG | setup::DEFER_TASKRUN;
    match random.below(100) {
        0..6 => ((flags & !alone) | setup::SQPOLL, None),
        6..14 => {
            let restricts = random.percent(50);
            (flags | setup::R_DISABLED, restricts.then(|| restrictions(random)))
        }
        14..22 => (flags | setup::CQE32, None),
        22..30 => (flags | setup::SQE128, None),
        30..34 => (flags | setup::CQE32 | setup::SQE128, None),
        _ => (flags, None),
    }
}

/// Most operations, flags and calls are allowed, of those that kernels have known for long: what it
/// does not know it does not allow.
fn restrictions(random: &mut Random) -> Vec<[u64; 2]> {
    use uring::restriction;
    let entry = |kind: u16, what: u8| [u64::from(kind) | u64::from(what) << 16, 0];
    let mut list = Vec::new();
    for code in 0..=uring::op::FTRUNCATE {
        if random.percent(85) || code == uring::op::ASYNC_CANCEL {
            list.push(entry(restriction::SQE_OP, code));
        }
    }
    for code in 0..=uring::register::CLONE_BUFFERS as u8 {
        // A ring that may not let go of its files holds them beyond its end.
        let lets_go = u32::from(code) == uring::register::UNREGISTER_FILES;
        if random.percent(85) || lets_go {
            list.push(entry(restriction::REGISTER_OP, code));
        }
    }
    let flags = if random.percent(30) { 0x3f } else { 0x7f };
    list.push(entry(restriction::SQE_FLAGS_ALLOWED, flags));
    list
}
