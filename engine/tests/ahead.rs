//! Reads that follow each other in the queue and in their file.

mod client;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;

use client::{Client, sqe};
use sysring_sys::abi::io_uring::{Sqe, op, register, setup, sqe_flags};
use sysring_sys::{Errno, User};

const LEN: usize = 512;

/// A file of which every byte is known by its place.
fn file(name: &str, len: usize) -> File {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut options = File::options();
    let mut file = options.read(true).write(true).create(true).truncate(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let bytes: Vec<u8> = (0..len).map(byte).collect();
    file.write_all(&bytes).unwrap();
    file
}

fn byte(at: usize) -> u8 {
    (at / LEN * 7 + at) as u8
}

fn read(file: &File, to: *mut u8, from: usize, user_data: u64) -> Sqe {
    let (addr, len, off) = (to as u64, LEN as u32, from as u64);
    Sqe { addr, len, off, ..sqe(op::READ, file.as_raw_fd(), user_data) }
}

/// What one submission of reads into pieces of `memory` comes to.
fn answers(ring: &mut Client, sqes: &[Sqe]) -> Vec<i32> {
    sqes.iter().for_each(|sqe| ring.push(*sqe));
    let count = sqes.len() as u32;
    assert_eq!(ring.enter(count, count), Ok(sqes.len()));
    let mut seen = ring.reap();
    seen.sort_by_key(|cqe| cqe.user_data);
    assert!(seen.iter().zip(0..).all(|(cqe, at)| cqe.user_data == at));
    seen.iter().map(|cqe| cqe.res).collect()
}

/// System calls that read, of this thread.
fn calls() -> u64 {
    let mut io = String::new();
    File::open("/proc/thread-self/io").unwrap().read_to_string(&mut io).unwrap();
    let line = io.lines().find_map(|line| line.strip_prefix("syscr: ")).unwrap();
    line.parse().unwrap()
}

#[test]
fn one_call_reads_for_many() {
    let file = file("many", 64 * LEN);
    let mut memory = vec![0u8; 64 * LEN];
    let at = memory.as_mut_ptr();
    let all = |shift: usize| -> Vec<Sqe> {
        // Behind each other in the file; in memory the other way round.
        let to = |i: usize| at.wrapping_add((63 - i) * LEN);
        (0..64).map(|i| read(&file, to(i), (i + shift) % 64 * LEN, i as u64)).collect()
    };
    let registered = |sqe: Sqe| Sqe { fd: 0, flags: sqe_flags::FIXED_FILE, ..sqe };
    let (deferred, plain) = (setup::SINGLE_ISSUER | setup::DEFER_TASKRUN, setup::NO_SQARRAY);
    for (flags, fixed) in [(0, false), (deferred, false), (plain, true)] {
        let mut ring = Client::new(64, flags);
        let fd = file.as_raw_fd();
        let at = User::<u8>::new((&raw const fd) as u64);
        assert_eq!(sysring_engine::register(ring.fd.raw() as u32, register::FILES, at, 1), Ok(0));
        let all = |shift| -> Vec<Sqe> {
            let named = all(shift).into_iter();
            if fixed { named.map(registered).collect() } else { named.collect() }
        };
        answers(&mut ring, &all(0)[..1]);
        memory.fill(0);
        let before = calls();
        assert_eq!(answers(&mut ring, &all(5)), [LEN as i32; 64]);
        let made = calls() - before;
        // One, 32 and 26 up to the end of the file, then the first and those behind it, with what it takes to
        // ask.
        assert!(made < 10, "{made} calls for 64 reads");
        for (i, piece) in memory.chunks(LEN).rev().enumerate() {
            let from = (i + 5) % 64 * LEN;
            assert!(piece.iter().zip(from..).all(|(&is, at)| is == byte(at)), "piece {i}");
        }
    }
}

#[test]
fn each_hears_of_its_own_end() {
    let file = file("short", 2 * LEN + 100);
    let mut memory = vec![0u8; 8 * LEN];
    let at = memory.as_mut_ptr();
    let mut ring = Client::new(16, 0);
    let sqes: Vec<Sqe> =
        (0..5).map(|i| read(&file, at.wrapping_add(i * LEN), i * LEN, i as u64)).collect();
    let (len, wild) = (LEN as i32, Errno::EFAULT.to_res());
    assert_eq!(answers(&mut ring, &sqes), [len, len, 100, 0, 0]);
    // Memory that is not there, at the beginning and behind it; and what no program can have.
    for (bad, address) in [(0, 16u64), (1, 16), (1, u64::MAX - 7)] {
        let mut sqes = sqes.clone();
        sqes[bad].addr = address;
        let mut expected = [len, len, 100, 0, 0];
        expected[bad] = wild;
        assert_eq!(answers_of_all(&mut ring, &sqes), expected, "{bad} at {address:x}");
    }
    // One that is none of them, in between.
    for odd in [
        Sqe { ioprio: 7 << 13, ..sqes[1] },
        Sqe { fd: -1, ..sqes[1] },
        Sqe { off: u64::MAX - 5, ..sqes[1] },
        Sqe { op_flags: 0x8000, ..sqes[1] },
        Sqe { pad2: 1, ..sqes[1] },
        Sqe { personality: 9, ..sqes[1] },
    ] {
        let mut sqes = sqes.clone();
        sqes[1] = odd;
        let seen = answers_of_all(&mut ring, &sqes);
        assert!(seen[1] < 0, "{odd:?}");
        assert_eq!((seen[0], &seen[2..]), (len, &[100, 0, 0][..]), "{odd:?}");
    }
}

/// As `answers`, where the batch goes on behind an error.
fn answers_of_all(ring: &mut Client, sqes: &[Sqe]) -> Vec<i32> {
    sqes.iter().for_each(|sqe| ring.push(*sqe));
    let mut taken = 0;
    while taken < sqes.len() {
        taken += ring.enter((sqes.len() - taken) as u32, 0).unwrap();
    }
    let mut seen = ring.reap();
    seen.sort_by_key(|cqe| cqe.user_data);
    seen.iter().map(|cqe| cqe.res).collect()
}

/// What is refused, or must wait, has not been done meanwhile.
#[test]
fn nothing_is_read_before_its_turn() {
    let file = file("turns", 8 * LEN);
    let mut memory = vec![0u8; 4 * LEN];
    let at = memory.as_mut_ptr();
    let to = |i: usize| at.wrapping_add(i * LEN);
    let reads = |n: u64| read(&file, to(n as usize), n as usize * LEN, n);
    let mut ring = Client::new(16, 0);
    // Part of the batch: the rest is not the kernel's to look at.
    (0..4).for_each(|n| ring.push(reads(n)));
    assert_eq!(ring.enter(2, 0), Ok(2));
    assert_eq!(ring.reap().len(), 2);
    assert!(memory[2 * LEN..].iter().all(|&byte| byte == 0));
    assert_eq!(ring.enter(2, 2), Ok(2));
    assert_eq!(ring.reap().len(), 2);
    assert!(memory.iter().enumerate().all(|(at, &is)| is == byte(at)));
    // A write stands between two reads of the same place; a link writes before what is behind it reads.
    let new = [9u8; LEN];
    let write = Sqe { addr: new.as_ptr() as u64, ..read(&file, at, LEN, 1) };
    let write = Sqe { opcode: op::WRITE, ..write };
    let second = Sqe { user_data: 2, ..reads(1) };
    assert_eq!(answers(&mut ring, &[reads(0), write, second]), [LEN as i32; 3]);
    assert_eq!(memory[LEN..2 * LEN], new);
    memory.fill(0);
    let newer = [8u8; LEN];
    let write = Sqe { addr: newer.as_ptr() as u64, flags: sqe_flags::IO_LINK, ..write };
    let write = Sqe { user_data: 0, ..write };
    let linked = Sqe { user_data: 1, ..reads(0) };
    let behind = Sqe { user_data: 2, ..reads(1) };
    assert_eq!(answers(&mut ring, &[write, linked, behind]), [LEN as i32; 3]);
    assert_eq!(memory[LEN..2 * LEN], newer);
    // Behind a drain.
    let drained = Sqe { flags: sqe_flags::IO_DRAIN, ..reads(1) };
    assert_eq!(answers(&mut ring, &[reads(0), drained, reads(2)]), [LEN as i32; 3]);
}

/// A refused entry ends the batch. The last of a link, which runs after that, does not look behind it.
#[test]
fn what_is_not_taken_is_not_read() {
    let file = file("refused", 8 * LEN);
    let mut memory = vec![0u8; 2 * LEN];
    let at = memory.as_mut_ptr();
    let mut ring = Client::new(16, 0);
    assert_eq!(answers(&mut ring, &[read(&file, at, 0, 0)]), [LEN as i32]);
    memory.fill(0);
    let head = Sqe { flags: sqe_flags::IO_LINK, ..sqe(op::NOP, -1, 0) };
    for entry in
        [head, read(&file, at, 0, 1), sqe(200, -1, 2), read(&file, at.wrapping_add(LEN), LEN, 3)]
    {
        ring.push(entry);
    }
    assert_eq!(ring.enter(4, 0), Ok(3));
    assert_eq!(ring.reap().len(), 3);
    assert!(memory[..LEN].iter().enumerate().all(|(at, &is)| is == byte(at)));
    assert!(memory[LEN..].iter().all(|&byte| byte == 0));
    assert_eq!(ring.enter(1, 1), Ok(1));
    assert!(memory.iter().enumerate().all(|(at, &is)| is == byte(at)));
}
