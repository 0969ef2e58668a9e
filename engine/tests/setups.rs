//! What the flags of `io_uring_setup` make of a ring.

mod client;

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use client::{Client, sqe};
use sysring_engine::iopoll;
use sysring_sys::abi::io_uring::{Sqe, cqe_flags, enter, op, setup, sqe_flags};
use sysring_sys::{Errno, Fd, call};

const BLOCK: usize = 4096;
const O_DIRECT: i32 = sysring_sys::raw::general::O_DIRECT as i32;

#[repr(align(4096))]
struct Block([u8; BLOCK]);

/// A file of four blocks opened twice: cached, and past the cache; `None`, said aloud, where it
/// cannot be.
fn direct_file(name: &str) -> Option<(File, File)> {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut cached = File::create(&path).expect("a file");
    cached.write_all(&[7; 4 * BLOCK]).expect("write");
    cached.sync_all().expect("sync");
    let mut open = OpenOptions::new();
    let direct = open.read(true).write(true).custom_flags(O_DIRECT).open(&path);
    let cached = File::open(&path).expect("the file again");
    std::fs::remove_file(&path).expect("remove");
    match direct {
        Ok(direct) => Some((cached, direct)),
        Err(e) => {
            println!("skipped: no O_DIRECT in {}: {e}", path.display());
            None
        }
    }
}

#[test]
fn a_polled_ring_refuses_what_cannot_be_polled() {
    let Some((cached, _)) = direct_file("refused") else { return };
    let mut ring = Client::new(8, setup::IOPOLL);
    let mut block = Block([0; BLOCK]);
    let mut read = sqe(op::READ, cached.as_raw_fd(), 1);
    (read.addr, read.len) = (block.0.as_mut_ptr() as u64, BLOCK as u32);
    ring.push(read);
    ring.push(sqe(op::NOP, -1, 2));
    ring.push(sqe(op::FSYNC, cached.as_raw_fd(), 3));
    assert_eq!(ring.enter(3, 0), Ok(3));
    let seen: Vec<_> = ring.reap().iter().map(|c| (c.user_data, c.res)).collect();
    assert_eq!(seen, [(1, -95), (2, 0), (3, -22)]);
}

#[test]
fn polled_reads_come_to_who_enters() {
    let Some((_, direct)) = direct_file("polled") else { return };
    if !iopoll::can_poll(Fd::new(direct.as_raw_fd())) {
        eprintln!("skipped: the file system of the build directory cannot be polled");
        return;
    }
    let mut ring = Client::new(8, setup::IOPOLL | setup::HYBRID_IOPOLL);
    let mut blocks = [const { Block([0; BLOCK]) }; 4];
    for (i, block) in blocks.iter_mut().enumerate() {
        let mut read = sqe(op::READ, direct.as_raw_fd(), i as u64);
        (read.addr, read.len) = (block.0.as_mut_ptr() as u64, BLOCK as u32);
        read.off = (i * BLOCK) as u64;
        ring.push(read);
    }
    assert_eq!(ring.enter(4, 0), Ok(4));
    let mut seen = Vec::new();
    while seen.len() < 4 {
        // As the kernel: it may come back with fewer than were asked for.
        assert_eq!(ring.enter(0, 4), Ok(0));
        seen.extend(ring.reap());
    }
    assert!(seen.iter().all(|cqe| cqe.res == BLOCK as i32));
    assert!(blocks.iter().all(|block| block.0 == [7; BLOCK]));
    // Nothing is under way: there is nothing to wait for.
    assert_eq!(ring.enter_with(0, 1, enter::GETEVENTS), Ok(0));
}

/// What a transfer on a ring that polls answers, and what the request that is linked to it.
fn polled_and_linked(opcode: u8, fd: i32, addr: u64, off: u64) -> [i32; 2] {
    let mut ring = Client::new(8, setup::IOPOLL);
    let mut transfer = sqe(opcode, fd, 0);
    (transfer.addr, transfer.len) = (addr, BLOCK as u32);
    (transfer.off, transfer.flags) = (off, sqe_flags::IO_LINK);
    ring.push(transfer);
    ring.push(sqe(op::NOP, -1, 1));
    assert_eq!(ring.enter(2, 0), Ok(2));
    let mut seen = Vec::new();
    while seen.len() < 2 {
        assert_eq!(ring.enter(0, 1), Ok(0));
        seen.extend(ring.reap().iter().map(|cqe| (cqe.user_data, cqe.res)));
    }
    seen.sort_unstable();
    [seen[0].1, seen[1].1]
}

#[test]
fn what_a_polled_file_answers_breaks_no_link_but_the_error_of_a_read() {
    let Some((_, direct)) = direct_file("linked") else { return };
    let fd = direct.as_raw_fd();
    if !iopoll::can_poll(Fd::new(fd)) {
        eprintln!("skipped: the file system of the build directory cannot be polled");
        return;
    }
    const NOWHERE: u64 = 0x6660_0000_0000;
    let mut block = Block([0; BLOCK]);
    let addr = block.0.as_mut_ptr() as u64;
    let (fault, cancelled) = (Errno::EFAULT.to_res(), Errno::ECANCELED.to_res());
    assert_eq!(polled_and_linked(op::READ, fd, addr, 4 * BLOCK as u64), [0, 0]);
    assert_eq!(polled_and_linked(op::READ, fd, NOWHERE, 0), [fault, cancelled]);
    assert_eq!(polled_and_linked(op::WRITE, fd, NOWHERE, 0), [fault, 0]);
}

#[test]
fn hybrid_polling_is_a_kind_of_polling() {
    assert_eq!(Client::refused(8, setup::HYBRID_IOPOLL), Some(Errno::EINVAL));
}

/// Memory for a small ring: a page for the queues, one for the entries, one that stays ours.
fn pages(shared: bool) -> *mut u8 {
    call::map_anonymous(3 * BLOCK, shared).expect("memory")
}

fn sends_nops(ring: &mut Client) {
    for round in 0..20 {
        ring.push(sqe(op::NOP, -1, round));
        assert_eq!(ring.enter(1, 1), Ok(1));
        let seen: Vec<_> = ring.reap().iter().map(|c| (c.user_data, c.res)).collect();
        assert_eq!(seen, [(round, 0)]);
    }
}

#[test]
fn a_ring_in_the_applications_memory() {
    for shared in [true, false] {
        let memory = pages(shared);
        // SAFETY: the third page of the three.
        let beyond = unsafe { memory.add(2 * BLOCK) };
        // SAFETY: ours, and no ring's.
        unsafe { beyond.write_bytes(0x5a, BLOCK) };
        let mut ring = Client::over(8, 0, memory, memory.wrapping_add(BLOCK)).expect("setup");
        assert_eq!(ring.params.cq_off.user_addr, memory as u64);
        sends_nops(&mut ring);
        drop(ring);
        // The memory is the application's again, as it was left.
        // SAFETY: nobody else uses it now; the last word is in the page that was never lent.
        unsafe {
            assert_eq!(memory.add(2 * BLOCK).read(), 0x5a);
            memory.write_bytes(1, 2 * BLOCK);
            assert_eq!(memory.add(2 * BLOCK - 1).read(), 1);
        }
    }
}

#[test]
fn memory_that_is_unmapped_under_a_ring_harms_nobody() {
    for shared in [true, false] {
        let memory = pages(shared);
        let mut ring = Client::over(8, 0, memory, memory.wrapping_add(BLOCK)).expect("setup");
        sends_nops(&mut ring);
        // SAFETY: the test's own memory, which it does not touch again.
        unsafe { call::munmap(memory as usize, 3 * BLOCK) }.expect("munmap");
        assert_eq!(ring.enter_with(0, 0, enter::GETEVENTS), Ok(0));
        drop(ring);
    }
}

#[test]
fn a_ring_without_a_descriptor_goes_by_its_index() {
    let memory = pages(true);
    let flags = setup::REGISTERED_FD_ONLY;
    let mut ring = Client::over(8, flags, memory, memory.wrapping_add(BLOCK)).expect("setup");
    sends_nops(&mut ring);
    assert_eq!(Client::refused(8, flags), Some(Errno::EINVAL));
}

#[test]
fn memory_that_cannot_be_lent_is_refused() {
    let memory = pages(false);
    let second = memory.wrapping_add(BLOCK);
    let refused = |rings, sqes| Client::over(8, 0, rings, sqes).err();
    assert_eq!(refused(std::ptr::null_mut(), second), Some(Errno::EFAULT));
    assert_eq!(refused(memory, std::ptr::null_mut()), Some(Errno::EFAULT));
    assert_eq!(refused(memory.wrapping_add(64), second), Some(Errno::EINVAL));
    assert_eq!(refused(std::ptr::without_provenance_mut(0x10000), second), Some(Errno::EFAULT));
    let top = std::ptr::without_provenance_mut(usize::MAX - (BLOCK - 1));
    assert_eq!(refused(top, second), Some(Errno::EOVERFLOW));
}

#[test]
fn memory_that_cannot_be_written_is_not_lent() {
    const NO_ADVICE: u32 = 0x7fff;
    let memory = pages(false);
    // SAFETY: the test's own memory.
    unsafe { call::mprotect(memory as usize, BLOCK, 1) }.expect("mprotect");
    // SAFETY: no kernel knows this advice.
    if unsafe { call::madvise(memory as usize, BLOCK, NO_ADVICE) }.is_ok() {
        println!("skipped: madvise takes anything, and says nothing about memory (QEMU)");
        return;
    }
    let refused = Client::over(8, 0, memory, memory.wrapping_add(BLOCK)).err();
    assert_eq!(refused, Some(Errno::EFAULT));
}

/// What the engine put into the queue, place by place.
fn places(ring: &mut Client) -> Vec<(u64, u32)> {
    ring.reap().iter().map(|cqe| (cqe.user_data, cqe.flags)).collect()
}

const WIDE: u32 = cqe_flags::CQE32;

fn wide_nop(user_data: u64) -> Sqe {
    const NOP_CQE32: u32 = 1 << 5;
    let mut nop = sqe(op::NOP, -1, user_data);
    (nop.op_flags, nop.off, nop.addr) = (NOP_CQE32, user_data + 100, user_data + 200);
    nop
}

#[test]
fn completions_of_both_sizes_share_a_queue() {
    let mut ring = Client::sized(4, setup::CQE_MIXED | setup::CQSIZE, 4);
    ring.push(sqe(op::NOP, -1, 1));
    ring.push(wide_nop(2));
    assert_eq!(ring.enter(2, 0), Ok(2));
    // The second half is two words, the first of which stands where a user_data would.
    assert_eq!(places(&mut ring)[..2], [(1, 0), (2, WIDE)]);
    // One place is left before the queue begins anew: it is filled up.
    ring.push(wide_nop(3));
    ring.push(wide_nop(4));
    assert_eq!(ring.enter(2, 0), Ok(2));
    assert_eq!(places(&mut ring)[..2], [(0, cqe_flags::SKIP), (3, WIDE)]);
    // The other did not fit, and comes from the overflow list.
    assert_eq!(ring.enter_with(0, 0, enter::GETEVENTS), Ok(0));
    let late = places(&mut ring);
    assert_eq!((late[0], late[1].0), ((4, WIDE), 104));
}

#[test]
fn one_that_is_refused_with_its_link_has_a_narrow_completion() {
    let mut ring = Client::new(8, setup::CQE_MIXED);
    let mut first = wide_nop(1);
    first.flags = sqe_flags::IO_LINK;
    ring.push(first);
    ring.push(sqe(0xff, -1, 2));
    assert_eq!(ring.enter(2, 2), Ok(2));
    assert_eq!(places(&mut ring), [(1, 0), (2, 0)]);
}

#[test]
fn the_flag_of_wide_completions_is_for_mixed_queues() {
    let mut ring = Client::new(4, 0);
    ring.push(wide_nop(1));
    assert_eq!(ring.enter(1, 1), Ok(1));
    assert_eq!(ring.reap()[0].res, -22);
    assert_eq!(Client::refused(4, setup::CQE_MIXED | setup::CQE32), Some(Errno::EINVAL));
}

#[test]
fn a_wide_entry_takes_two_places() {
    let mut ring = Client::new(4, setup::SQE_MIXED);
    for round in 0..4 {
        ring.push(sqe(op::NOP128, -1, round));
        ring.push(sqe(op::NOP, -1, 99));
        assert_eq!(ring.enter(2, 1), Ok(2), "both places count");
        let seen: Vec<_> = ring.reap().iter().map(|c| (c.user_data, c.res)).collect();
        assert_eq!(seen, [(round, 0)]);
    }
    // Its second half would lie beyond the end, or beyond what is submitted.
    for _ in 0..3 {
        ring.push(sqe(op::NOP, -1, 0));
    }
    ring.push(sqe(op::NOP128, -1, 1));
    assert_eq!(ring.enter(4, 4), Ok(4));
    assert_eq!(ring.reap()[3].res, -22);
    ring.push(sqe(op::NOP128, -1, 2));
    assert_eq!(ring.enter(1, 1), Ok(1));
    assert_eq!(ring.reap()[0].res, -22);
    assert_eq!(Client::refused(4, setup::SQE_MIXED | setup::SQE128), Some(Errno::EINVAL));
    assert_eq!(Client::refused(1, setup::SQE_MIXED), Some(Errno::EOVERFLOW));
}

#[test]
fn a_wide_operation_needs_wide_entries() {
    let mut ring = Client::new(4, 0);
    ring.push(sqe(op::NOP128, -1, 1));
    ring.push(sqe(op::NOP, -1, 2));
    assert_eq!(ring.enter(2, 0), Ok(1));
    assert_eq!(ring.reap()[0].res, -22);
}

#[test]
fn a_rewound_queue_begins_at_its_first_place() {
    let flags = setup::SQ_REWIND | setup::NO_SQARRAY;
    let mut ring = Client::new(4, flags);
    for round in 0..3 {
        ring.place(0, sqe(op::NOP, -1, round));
        ring.place(1, sqe(op::NOP, -1, round + 100));
        assert_eq!(ring.enter(2, 2), Ok(2));
        let seen: Vec<_> = ring.reap().iter().map(|c| c.user_data).collect();
        assert_eq!(seen, [round, round + 100]);
    }
    assert_eq!(Client::refused(4, setup::SQ_REWIND), Some(Errno::EINVAL));
    assert_eq!(Client::refused(4, flags | setup::SQPOLL), Some(Errno::EINVAL));
}
