//! Buffers that operations provide: where they lie, and how many there may be.

mod client;

use std::io::{Write, pipe};
use std::os::fd::AsRawFd;
use std::ptr;

use client::{Client, sqe};
use sysring_sys::Errno;
use sysring_sys::abi::io_uring::{Sqe, op, sqe_flags};

const GROUP: u16 = 1;

fn provide(at: u64, len: u32, count: u32, first: u64) -> Sqe {
    let (fd, buf_index) = (count as i32, GROUP);
    Sqe { fd, addr: at, len, off: first, buf_index, ..sqe(op::PROVIDE_BUFFERS, 0, 1) }
}

fn remove(count: u32) -> Sqe {
    Sqe { buf_index: GROUP, ..sqe(op::REMOVE_BUFFERS, count as i32, 1) }
}

fn answer(ring: &mut Client, entry: Sqe) -> i32 {
    ring.push(entry);
    ring.enter(1, 1).unwrap();
    ring.reap()[0].res
}

/// A buffer longer than a transfer may be still lies where the one before it ends.
#[test]
fn long_buffers_lie_one_behind_the_other() {
    const LEN: usize = 0x8000_0000;
    let mut ring = Client::new(8, 0);
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: new memory, wherever there is room.
    let memory = unsafe { libc::mmap(ptr::null_mut(), 2 * LEN, access, flags, -1, 0) };
    assert_ne!(memory, libc::MAP_FAILED);
    let (reader, mut writer) = pipe().unwrap();
    assert_eq!(answer(&mut ring, provide(memory as u64, LEN as u32, 2, 0)), 0);
    for word in [b"first", b"other"] {
        writer.write_all(word).unwrap();
        let mut read = sqe(op::READ, reader.as_raw_fd(), 2);
        (read.flags, read.buf_index) = (sqe_flags::BUFFER_SELECT, GROUP);
        assert_eq!(answer(&mut ring, read), 5);
    }
    // SAFETY: five bytes of what is mapped above; the reads are over.
    let at = |offset| unsafe { memory.cast::<[u8; 5]>().byte_add(offset).read() };
    assert_eq!((at(0), at(LEN)), (*b"first", *b"other"));
}

/// Provided are as many as there is room for; without any it fails.
#[test]
fn a_group_holds_as_many_buffers_as_numbers_can_name() {
    let mut ring = Client::new(8, 0);
    let at = (&raw mut ring) as u64;
    let full = Errno::EOVERFLOW.to_res();
    assert_eq!(answer(&mut ring, provide(at, 8, 65_530, 0)), 0);
    assert_eq!(answer(&mut ring, provide(at, 8, 10, 0)), 0);
    assert_eq!(answer(&mut ring, provide(at, 8, 1, 0)), full);
    assert_eq!(answer(&mut ring, remove(1)), 1);
    assert_eq!(answer(&mut ring, provide(at, 8, 2, 0)), 0);
    assert_eq!(answer(&mut ring, provide(at, 8, 1, 3)), full);
    assert_eq!(answer(&mut ring, remove(65_536)), 65_535);
    assert_eq!(answer(&mut ring, remove(1)), 0);
    assert_eq!(answer(&mut ring, provide(at, 8, 65_536, 0)), 0);
    assert_eq!(answer(&mut ring, remove(65_536)), 65_535);
}
