//! The ring of a program, and how it is prepared.

use sysring_sys::abi::io_uring as uring;

use crate::diff::layout::*;
use crate::diff::program::{Program, Whose};
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
    let more = &mut Random::new(seed ^ 0x6d6f_6465);
    let (mode, restrictions) = mode(more, flags);
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
        tags: more.percent(25),
        by_index: more.percent(8),
        attach: more.pick(&[RING2_MARK, RING2_MARK, RING2_MARK, CLOSED, 200]),
        cpu: more.pick(&[0, 0, 0, 4096]),
        region: mode & setup::R_DISABLED != 0 && more.percent(50),
        personality: match more.below(100) {
            0 => Some(Whose::Own),
            1..4 => Some(Whose::Nobody),
            _ => None,
        },
        children: random.percent(5),
        buffers: random.percent(35),
        abandon,
        notifies: !abandon && random.percent(25),
        steps: Vec::new(),
    }
}

/// What makes a ring another one: a thread that submits, that it begins disabled, wide entries,
/// polling, memory of the program's own, another ring's workers. And the restrictions of the second.
fn mode(random: &mut Random, flags: u32) -> (u32, Option<Vec<[u64; 2]>>) {
    use uring::setup;
    let alone = setup::COOP_TASKRUN | setup::TASKRUN_FLAG | setup::DEFER_TASKRUN;
    let mut flags = flags;
    if random.percent(6) {
        flags |= setup::NO_MMAP;
        if random.percent(50) {
            flags |= setup::REGISTERED_FD_ONLY;
        }
    }
    if random.percent(4) {
        flags |= setup::ATTACH_WQ;
    }
    match random.below(100) {
        0..6 => {
            let bound = if random.percent(20) { setup::SQ_AFF } else { 0 };
            ((flags & !alone) | setup::SQPOLL | bound, None)
        }
        6..14 => {
            let restricts = random.percent(50);
            (flags | setup::R_DISABLED, restricts.then(|| restrictions(random)))
        }
        14..22 => (flags | setup::CQE32, None),
        22..30 => (flags | setup::SQE128, None),
        30..34 => (flags | setup::CQE32 | setup::SQE128, None),
        34..40 => (flags | setup::CQE_MIXED, None),
        40..46 => {
            let hybrid = if random.percent(30) { setup::HYBRID_IOPOLL } else { 0 };
            let thread = if random.percent(15) { setup::SQPOLL } else { 0 };
            let flags = if thread == 0 { flags } else { flags & !alone };
            (flags | setup::IOPOLL | hybrid | thread, None)
        }
        // Refused, both.
        46 => (flags | random.pick(&[setup::HYBRID_IOPOLL, setup::REGISTERED_FD_ONLY]), None),
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
        // A ring that may not let go of its files holds them beyond its end; and one that may not
        // give its index back has none.
        let needed = [uring::register::UNREGISTER_FILES, uring::register::UNREGISTER_RING_FDS];
        let lets_go = needed.contains(&u32::from(code));
        if random.percent(85) || lets_go {
            list.push(entry(restriction::REGISTER_OP, code));
        }
    }
    let flags = if random.percent(30) { 0x3f } else { 0x7f };
    list.push(entry(restriction::SQE_FLAGS_ALLOWED, flags));
    list
}
