//! What is found is compared with what objdump says, and with what is made up.

use std::process::Command;

use sysring_sys::call;

use super::*;
use crate::maps::{Text, mappings};

#[cfg(target_arch = "x86_64")]
const CALL: &[u8] = &[0x0f, 0x05];
#[cfg(target_arch = "aarch64")]
const CALL: &[u8] = &[0x01, 0x00, 0x00, 0xd4];

/// Memory of some pages in which the instruction stands at `offsets`, and what is found there.
fn found_at(pages: usize, offsets: &[usize]) -> Vec<usize> {
    let mut memory = Array::<u8>::new(pages * 4096).unwrap();
    for &at in offsets {
        memory[at..at + LENGTH].copy_from_slice(CALL);
    }
    let start = memory.as_ptr() as usize;
    let mut sites = Sites::new().unwrap();
    sites.add(start..start + memory.len());
    let before = |place: &Range<usize>| {
        assert_eq!(place.len(), 1);
        place.start - LENGTH - start
    };
    sites.places().iter().map(before).collect()
}

#[test]
fn the_instruction_is_found_wherever_it_stands() {
    assert_eq!(found_at(1, &[]), []);
    let last = 8 * 4096 - LENGTH;
    for offsets in [
        &[0][..],
        &[last],
        &[0, 8, 64, 2048, last],
        // Around the borders of the blocks and pieces that are looked at.
        &[60, 124, PIECE - 4],
        &[PIECE, 2 * PIECE - 4],
    ] {
        assert_eq!(found_at(8, offsets), offsets);
    }
    for at in 0..300 {
        let at = at * ALIGNMENT;
        assert_eq!(found_at(1, &[at, at + 200 * ALIGNMENT]), [at, at + 200 * ALIGNMENT]);
    }
    #[cfg(target_arch = "x86_64")]
    for at in PIECE - 3..PIECE + 3 {
        assert_eq!(found_at(8, &[at]), [at]);
    }
}

#[test]
#[cfg(target_arch = "aarch64")]
fn the_number_in_the_instruction_does_not_matter() {
    assert_eq!(find(&[0, 0, 0, 0, 0xe1, 0xff, 0x1f, 0xd4]), Some(4));
    // hvc, smc, brk, and svc where no instruction begins
    for other in [0xd400_0002u32, 0xd400_0003, 0xd420_0000] {
        assert_eq!(find(&other.to_le_bytes()), None);
    }
    assert_eq!(find(&[0, 0, 1, 0, 0, 0xd4, 0, 0]), None);
}

#[test]
fn of_very_many_the_nearest_become_one() {
    let near: Vec<usize> = (0..2 * MOST).map(|i| i * 16).collect();
    let far: Vec<usize> = (1..50).map(|i| 0x10_0000 + i * 0x1000).collect();
    let mut memory = Array::<u8>::new(0x15_0000).unwrap();
    for &at in near.iter().chain(&far) {
        memory[at..at + LENGTH].copy_from_slice(CALL);
    }
    let start = memory.as_ptr() as usize;
    let mut sites = Sites::new().unwrap();
    sites.add(start..start + memory.len());
    let places = sites.places();
    assert!(places.len() <= MOST);
    assert!(places.windows(2).all(|pair| pair[0].end < pair[1].start));
    for &at in near.iter().chain(&far) {
        let after = start + at + LENGTH;
        assert!(places.iter().any(|place| place.contains(&after)), "{at:#x}");
    }
    // Those that stood alone still do.
    let alone = places.iter().filter(|place| place.len() == 1).count();
    assert!(alone >= far.len(), "{alone}");
}

#[test]
fn code_that_cannot_be_read_may_call_from_anywhere() {
    let memory = Array::<u8>::new(3 * PIECE).unwrap();
    let start = memory.as_ptr() as usize;
    // SAFETY: the array's own memory, which is not looked at meanwhile.
    unsafe { call::mprotect(start + PIECE, PIECE, 0) }.unwrap();
    let mut sites = Sites::new().unwrap();
    sites.add(start..start + 3 * PIECE);
    let [place] = sites.places() else { panic!("{:?}", sites.places()) };
    assert!(place.start <= start + PIECE + LENGTH);
    assert_eq!(place.end, start + 2 * PIECE + LENGTH);
}

/// All that objdump takes for the instruction in libc is found.
#[test]
fn every_call_of_libc_is_found() {
    let text = Text::read(c"/proc/self/maps").unwrap();
    let libc = mappings(text.bytes())
        .find(|m| m.executable && m.name.windows(7).any(|part| part == b"libc.so"))
        .expect("libc is mapped");
    let path = core::str::from_utf8(libc.name).unwrap();
    let list = |objdump: &str| {
        Command::new(objdump).args(["-d", "--no-show-raw-insn", path]).output().ok()
    };
    // In QEMU's user mode the machine's own objdump knows another architecture only.
    let objdump =
        list(&format!("{}-linux-gnu-objdump", std::env::consts::ARCH)).or_else(|| list("objdump"));
    let Some(objdump) = objdump else {
        println!("skipped: objdump (of binutils) is not installed");
        return;
    };
    let listing = String::from_utf8(objdump.stdout).unwrap();
    // Addresses as in the file, which begins with address zero.
    let bias = mappings(text.bytes()).find(|m| m.name == libc.name).unwrap().range.start;
    let instructions = listing.lines().filter_map(|line| {
        let (address, instruction) = line.split_once(":\t")?;
        Some((usize::from_str_radix(address.trim(), 16).ok()?, instruction.trim()))
    });
    let calls = instructions.filter(|(_, instruction)| {
        matches!(instruction.split_whitespace().next(), Some("syscall" | "svc"))
    });
    let expected: Vec<usize> = calls.map(|(address, _)| bias + address + LENGTH).collect();
    assert!(expected.len() > 300, "{}", expected.len());
    let mut sites = Sites::new().unwrap();
    sites.add(libc.range.clone());
    let found: Vec<usize> = sites.places().iter().map(|place| place.start).collect();
    for place in &expected {
        assert!(found.binary_search(place).is_ok(), "{:#x}", place - bias);
    }
    // Few are found too much.
    assert!(found.len() < expected.len() + 100, "{} of {}", found.len(), expected.len());
}
