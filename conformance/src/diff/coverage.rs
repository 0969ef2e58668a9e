//! What the programs of `diff` are made of, counted: every row of the engine's tables and every flag
//! is drawn, or `docs/conformance.md` says why it is not.

use std::collections::BTreeSet;

use sysring_engine::{ENTER_FLAGS, SETUP_FLAGS, op, register};
use sysring_sys::abi::io_uring::{enter, register as nr, setup, sqe_flags};

use super::generate::generate;
use super::program::{Program, Step};

/// As many programs as a run of `cargo xtask test` compares many times over.
const PROGRAMS: u64 = 20_000;

/// A row that is drawn less often is hardly compared.
const ENOUGH: u64 = 5;

/// What is not drawn; the page has it, and the reason.
const OPERATIONS: [&str; 2] = ["NOP128", "URING_CMD128"];
const CALLS: [&str; 1] = ["BPF_FILTER"];
const SETUP: [(u32, &str); 2] = [(setup::SQE_MIXED, "SQE_MIXED"), (setup::SQ_REWIND, "SQ_REWIND")];

/// How often each was drawn.
#[derive(Default)]
struct Drawn {
    operations: Vec<u64>,
    sqe_flags: [u64; 8],
    setup: [u64; 32],
    enter: [u64; 32],
    calls: Vec<u64>,
}

fn count(counts: &mut [u64], flags: u32) {
    for (bit, count) in counts.iter_mut().enumerate() {
        *count += u64::from(flags >> bit & 1);
    }
}

impl Drawn {
    fn add(&mut self, program: &Program) {
        count(&mut self.setup, program.flags);
        for entry in program.entries_in_order() {
            if let Some(drawn) = self.operations.get_mut(entry.sqe.opcode as usize) {
                *drawn += 1;
            }
            count(&mut self.sqe_flags, entry.sqe.flags.into());
        }
        let mut call = |opcode: u32| {
            if let Some(drawn) = self.calls.get_mut(opcode as usize) {
                *drawn += 1;
            }
        };
        if program.by_index {
            call(nr::RING_FDS);
            self.enter[enter::REGISTERED_RING.trailing_zeros() as usize] += 1;
        }
        for step in &program.steps {
            match step {
                Step::Enter { flags, .. } | Step::Submit { flags, .. } => {
                    count(&mut self.enter, *flags);
                }
                Step::Register { opcode, .. } => call(*opcode),
                Step::Resize(_) => call(nr::RESIZE_RINGS),
                Step::Memory(_) => {}
            }
        }
    }
}

#[test]
fn every_row_and_flag_is_drawn() {
    let mut drawn = Drawn {
        operations: vec![0; op::table::ROWS.len()],
        calls: vec![0; register::table::ROWS.len()],
        ..Drawn::default()
    };
    (1..=PROGRAMS).for_each(|seed| drawn.add(&generate(seed)));

    let mut missing = BTreeSet::new();
    let rows = op::table::ROWS.iter().flatten().map(|row| row.name);
    let counts = op::table::ROWS.iter().zip(&drawn.operations);
    let counts = counts.filter_map(|(row, count)| row.as_ref().map(|_| *count));
    let operations = rows.zip(counts).filter(|(name, _)| !OPERATIONS.contains(name));
    let calls = register::table::ROWS.iter().zip(&drawn.calls);
    let calls = calls.filter_map(|(row, count)| row.as_ref().map(|row| (row.name, *count)));
    let calls = calls.filter(|(name, _)| !CALLS.contains(name));
    for (name, count) in operations.chain(calls) {
        if count < ENOUGH {
            missing.insert(format!("{name}: {count}"));
        }
    }
    let left_out = SETUP.iter().fold(0, |all, (flag, _)| all | flag);
    let mut flags = |kind: &str, known: u32, counts: &[u64]| {
        for (bit, count) in counts.iter().enumerate() {
            if known >> bit & 1 != 0 && *count < ENOUGH {
                missing.insert(format!("{kind} {:#x}: {count}", 1u32 << bit));
            }
        }
    };
    flags("SQE flag", sqe_flags::ALL.into(), &drawn.sqe_flags);
    flags("setup flag", SETUP_FLAGS & !left_out, &drawn.setup);
    flags("enter flag", ENTER_FLAGS, &drawn.enter);
    assert!(missing.is_empty(), "drawn too seldom in {PROGRAMS} programs: {missing:?}");
}

#[test]
fn what_is_not_drawn_is_told() {
    let page = include_str!("../../../docs/conformance.md");
    let (_, list) = page.split_once("### Not generated").expect("the page has such a list");
    let told = |name: &&&str| !list.contains(&format!("`{name}`"));
    let names = SETUP.iter().map(|(_, name)| name);
    let untold: Vec<_> = OPERATIONS.iter().chain(&CALLS).chain(names).filter(told).collect();
    assert!(untold.is_empty(), "the page does not say that these are not drawn: {untold:?}");
}
