//! The filter, run by an interpreter of the few instructions it uses.

use super::program::{ENOSYS, TRAP};
use super::*;
use crate::sites;

#[derive(Clone, Copy)]
struct Call {
    arch: u32,
    nr: u32,
    ip: usize,
    args: [u64; 6],
}

const GATE: usize = 0x5359_0000_0002;
const CODE: usize = 0x7f12_3456_7000;

fn call(nr: u32, args: [u64; 6]) -> Call {
    Call { arch: AUDIT_ARCH, nr, ip: CODE, args }
}

/// The verdict, and whether it was reached by looking at more than number and architecture.
fn run(program: &[Instruction], call: Call) -> (u32, bool) {
    let (mut pc, mut a, mut looked) = (0, 0u32, false);
    loop {
        let i = program[pc];
        pc += 1;
        let test = match i.code {
            op::LOAD => {
                let word = |v: u64, high: bool| if high { (v >> 32) as u32 } else { v as u32 };
                a = match i.k {
                    0 => call.nr,
                    4 => call.arch,
                    8 | 12 => word(call.ip as u64, i.k == 12),
                    k => word(call.args[(k as usize - 16) / 8], k % 8 == 4),
                };
                looked |= i.k >= 8;
                continue;
            }
            op::RETURN => return (i.k, looked),
            op::JUMP => {
                pc += i.k as usize;
                continue;
            }
            op::JUMP_EQUAL => a == i.k,
            op::JUMP_GREATER => a > i.k,
            op::JUMP_AT_LEAST => a >= i.k,
            op::JUMP_ANY_BIT => a & i.k != 0,
            code => panic!("no such instruction: {code:#x}"),
        };
        pc += usize::from(if test { i.jump_true } else { i.jump_false });
    }
}

fn with(rules: Rules<'_>, check: impl FnOnce(&dyn Fn(Call) -> u32)) {
    let mut code = [Instruction::default(); CAPACITY];
    let program = build(&mut code, &rules).unwrap();
    check(&|call| run(program, call).0);
}

fn preload() -> Rules<'static> {
    Rules { gate: GATE, ranges: None, exec: true }
}

#[test]
fn the_three_calls_are_trapped_except_from_the_gate() {
    with(preload(), |verdict| {
        for nr in [425, 426, 427] {
            assert_eq!(verdict(call(nr, [0; 6])), TRAP);
            assert_eq!(verdict(Call { ip: GATE, ..call(nr, [0; 6]) }), ALLOW);
            assert_eq!(verdict(Call { ip: GATE + (1 << 32), ..call(nr, [0; 6]) }), TRAP);
            assert_eq!(verdict(Call { ip: GATE + 1, ..call(nr, [0; 6]) }), TRAP);
            assert_eq!(verdict(Call { arch: 0x4000_0003, ..call(nr, [0; 6]) }), ALLOW);
        }
    });
}

#[test]
fn untouched_calls_are_decided_by_number_alone() {
    let mut code = [Instruction::default(); CAPACITY];
    let program = build(&mut code, &preload()).unwrap();
    for nr in [
        g::__NR_read,
        g::__NR_write,
        g::__NR_getppid,
        g::__NR_futex,
        g::__NR_openat,
        g::__NR_munmap,
        g::__NR_rt_sigreturn,
        g::__NR_seccomp,
        g::__NR_exit,
        0xffff,
    ] {
        assert_eq!(run(program, call(nr, [u64::MAX; 6])), (ALLOW, false), "call {nr}");
    }
}

#[test]
fn descriptors_below_the_floor_pass() {
    let low = u64::from(FLOOR) - 1;
    let high = u64::from(FLOOR);
    let minus_one = u64::MAX;
    with(preload(), |verdict| {
        for nr in [g::__NR_close, g::__NR_dup] {
            assert_eq!(verdict(call(nr, [low, 0, 0, 0, 0, 0])), ALLOW);
            assert_eq!(verdict(call(nr, [high, 0, 0, 0, 0, 0])), TRAP);
            assert_eq!(verdict(call(nr, [minus_one, 0, 0, 0, 0, 0])), ALLOW);
            // The kernel takes an int: the upper half is noise.
            assert_eq!(verdict(call(nr, [1 << 32 | low, 0, 0, 0, 0, 0])), ALLOW);
        }
        for (old, new, expected) in [
            (low, low, ALLOW),
            (high, low, TRAP),
            (low, high, TRAP),
            (minus_one, high, ALLOW),
            (low, minus_one, ALLOW),
        ] {
            assert_eq!(verdict(call(g::__NR_dup3, [old, new, 0, 0, 0, 0])), expected);
        }
        for (fd, command, expected) in [
            (high, g::F_DUPFD, TRAP),
            (high, g::F_DUPFD_CLOEXEC, TRAP),
            (high, g::F_GETFL, ALLOW),
            (low, g::F_DUPFD, ALLOW),
        ] {
            let args = [fd, command.into(), 0, 0, 0, 0];
            assert_eq!(verdict(call(g::__NR_fcntl, args)), expected);
        }
    });
}

#[test]
fn only_shared_mappings_of_high_descriptors_are_trapped() {
    let shared = u64::from(g::MAP_SHARED | g::MAP_POPULATE);
    let private = u64::from(g::MAP_PRIVATE);
    let high = u64::from(FLOOR);
    with(preload(), |verdict| {
        for (flags, fd, expected) in [
            (shared, high, TRAP),
            (shared, high - 1, ALLOW),
            (shared, u64::MAX, ALLOW),
            (private, high, ALLOW),
        ] {
            assert_eq!(verdict(call(g::__NR_mmap, [0, 0, 0, flags, fd, 0])), expected);
        }
    });
}

#[test]
fn only_additions_of_high_descriptors_to_epoll_are_trapped() {
    let high = u64::from(FLOOR);
    with(preload(), |verdict| {
        for (op, fd, expected) in
            [(1, high, TRAP), (1, high - 1, ALLOW), (2, high, ALLOW), (3, high, ALLOW)]
        {
            assert_eq!(verdict(call(g::__NR_epoll_ctl, [5, op, fd, 0, 0, 0])), expected);
        }
    });
}

#[test]
fn a_sleep_with_a_mask_is_trapped_and_without_is_not() {
    with(preload(), |verdict| {
        for (nr, arg) in [
            (g::__NR_ppoll, 3),
            (g::__NR_pselect6, 5),
            (g::__NR_epoll_pwait, 4),
            (g::__NR_io_pgetevents, 5),
        ] {
            let mut args = [0; 6];
            assert_eq!(verdict(call(nr, args)), ALLOW);
            args[arg] = 0x1000;
            assert_eq!(verdict(call(nr, args)), TRAP);
            args[arg] = 0x1_0000_0000;
            assert_eq!(verdict(call(nr, args)), TRAP);
        }
    });
}

#[test]
fn children_on_a_borrowed_stack_and_those_with_their_own_memory_are_trapped() {
    let vm = u64::from(g::CLONE_VM);
    let vfork = u64::from(g::CLONE_VFORK);
    with(preload(), |verdict| {
        for (flags, stack, expected) in [
            (vm | vfork, 0x1000, TRAP),
            (vm | vfork | 17, 1 << 32, TRAP),
            (vm | vfork, 0, ALLOW),
            (vm, 0x1000, ALLOW),
            (vfork, 0x1000, TRAP),
            (17, 0, TRAP),
        ] {
            assert_eq!(verdict(call(g::__NR_clone, [flags, stack, 0, 0, 0, 0])), expected);
        }
        #[cfg(target_arch = "x86_64")]
        for (nr, expected) in [(g::__NR_fork, TRAP), (g::__NR_vfork, ALLOW)] {
            assert_eq!(verdict(call(nr, [0; 6])), expected);
        }
    });
}

#[test]
fn another_table_of_descriptors_is_heard_of() {
    let (files, others) = (u64::from(g::CLONE_FILES), u64::from(g::CLONE_FS | g::CLONE_NEWNS));
    with(preload(), |verdict| {
        for (flags, expected) in [(files, TRAP), (files | others, TRAP), (others, ALLOW)] {
            assert_eq!(verdict(call(g::__NR_unshare, [flags, 0, 0, 0, 0, 0])), expected);
        }
    });
}

#[test]
fn clone3_is_not_there() {
    with(preload(), |verdict| {
        assert_eq!(verdict(call(g::__NR_clone3, [0; 6])), ENOSYS);
        assert_eq!(verdict(Call { ip: GATE, ..call(g::__NR_clone3, [0; 6]) }), ALLOW);
    });
}

#[test]
fn with_ranges_only_their_code_is_trapped() {
    let ranges = [0x5555_0000_1000..0x5555_0000_3000, 0x7f00_ffff_f000..0x7f01_0000_1000];
    let rules = Rules { gate: 0x5555_0000_2002, ranges: Some(&ranges), exec: false };
    with(rules, |verdict| {
        for (ip, expected) in [
            (0x5555_0000_0fff, ALLOW),
            (0x5555_0000_1000, TRAP),
            (0x5555_0000_2fff, TRAP),
            (0x5555_0000_3000, ALLOW),
            (0x5555_0000_2002, ALLOW),
            (0x5556_0000_1000, ALLOW),
            (0x7f00_ffff_efff, ALLOW),
            (0x7f00_ffff_f000, TRAP),
            (0x7f00_ffff_ffff, TRAP),
            (0x7f01_0000_0000, TRAP),
            (0x7f01_0000_0fff, TRAP),
            (0x7f01_0000_1000, ALLOW),
        ] {
            assert_eq!(verdict(Call { ip, ..call(425, [0; 6]) }), expected, "{ip:#x}");
        }
        assert_eq!(verdict(Call { ip: 0x5555_0000_1000, ..call(g::__NR_execve, [0; 6]) }), ALLOW);
    });
}

fn places(count: usize, len: usize) -> Vec<Range<usize>> {
    // In the executable, and in libraries on both sides of a border of 4 GiB.
    let bases = [0x5555_0000_0000, 0x7eff_fff0_0000, 0x7f00_fff0_0000];
    let per_base = count.div_ceil(bases.len());
    let all = bases.iter().flat_map(|base| (0..per_base).map(move |i| base + i * 0x4321));
    all.take(count).map(|start| start..start + len).collect()
}

#[test]
fn each_of_many_places_is_found_and_nothing_beside_it() {
    for count in [1, 2, 7, 8, 9, 100, sites::MOST] {
        for len in [1, 100] {
            let places = places(count, len);
            let rules = Rules { gate: GATE, ranges: Some(&places), exec: false };
            with(rules, |verdict| {
                let at = |ip| verdict(Call { ip, ..call(425, [0; 6]) });
                for place in &places {
                    assert_eq!(at(place.start - 1), ALLOW, "{place:x?}");
                    assert_eq!(at(place.start), TRAP, "{place:x?}");
                    assert_eq!(at(place.end - 1), TRAP, "{place:x?}");
                    assert_eq!(at(place.end), ALLOW, "{place:x?}");
                    assert_eq!(at(place.start + (1 << 40)), ALLOW, "{place:x?}");
                }
                let clone3 = |ip| verdict(Call { ip, ..call(g::__NR_clone3, [0; 6]) });
                assert_eq!(clone3(places[count / 2].start), ENOSYS);
                assert_eq!(clone3(places[count / 2].end), ALLOW);
            });
        }
    }
}

#[test]
fn no_place_is_no_trap() {
    with(Rules { gate: GATE, ranges: Some(&[]), exec: false }, |verdict| {
        assert_eq!(verdict(call(425, [0; 6])), ALLOW);
    });
}

#[test]
fn too_many_ranges_are_an_error() {
    let places = places(3 * sites::MOST, 1);
    let mut code = [Instruction::default(); CAPACITY];
    let rules = Rules { gate: GATE, ranges: Some(&places), exec: false };
    assert_eq!(build(&mut code, &rules), Err(Errno::E2BIG));
}
