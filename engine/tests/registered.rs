//! Operations that take registered buffers and files, on the engine called directly.

mod client;

use client::{Client, sqe};
use sysring_sys::abi::io_uring::{FILE_INDEX_ALLOC, op, register, sqe_flags};
use sysring_sys::{Errno, User};

impl Client {
    fn register(&mut self, opcode: u32, arg: *const u64, count: u32) -> i64 {
        let fd = self.fd.raw() as u32;
        match sysring_engine::register(fd, opcode, User::<u8>::new(arg as u64), count) {
            Ok(n) => n as i64,
            Err(e) => i64::from(e.to_res()),
        }
    }

    /// A table of empty slots for files.
    fn register_slots(&mut self, count: u32) {
        let none = vec![u64::MAX; count as usize / 2];
        assert_eq!(self.register(register::FILES, none.as_ptr(), count), 0);
    }

    fn one(&mut self, entry: sysring_sys::abi::io_uring::Sqe) -> i32 {
        self.push(entry);
        assert_eq!(self.enter(1, 1), Ok(1));
        self.reap()[0].res
    }
}

#[test]
fn an_update_says_first_that_its_range_wraps() {
    let mut ring = Client::new(8, 0);
    let (wrong, errors) = (&[-1i32; 2], [Errno::EOVERFLOW, Errno::ENXIO].map(|e| e.to_res()));
    for (opcode, size) in [(register::BUFFERS_UPDATE, 32), (register::FILES_UPDATE2, 32)] {
        for (offset, error) in [(u32::MAX, errors[0]), (0, errors[1])] {
            // `struct io_uring_rsrc_update2`, of one slot.
            let update = [offset.into(), wrong.as_ptr() as u64, 0, 1];
            assert_eq!(ring.register(opcode, update.as_ptr(), size), i64::from(error));
        }
    }
}

#[test]
fn slots_are_replaced_by_something() {
    let mut ring = Client::new(8, 0);
    let empty = [0u64; 4];
    assert_eq!(ring.register(register::BUFFERS, empty.as_ptr(), 2), 0);
    let (nothing, blank) = ([0, 0, 0, 2], [0, empty.as_ptr() as u64, 0, 2]);
    let refused = i64::from(Errno::EFAULT.to_res());
    assert_eq!(ring.register(register::BUFFERS_UPDATE, nothing.as_ptr(), 32), refused);
    assert_eq!(ring.register(register::BUFFERS_UPDATE, blank.as_ptr(), 32), 2);
}

#[test]
fn a_vector_in_a_registered_buffer_is_written_and_read_back() {
    let mut ring = Client::new(8, 0);
    let buffer = [[1u8; 4096], [2; 4096]].concat();
    let base = buffer.as_ptr() as u64;
    assert_eq!(ring.register(register::BUFFERS, [base, 8192].as_ptr(), 1), 0);
    ring.register_slots(4);
    let mut pipe = sqe(op::PIPE, 0, 0);
    let mut slots = [-1i32; 2];
    (pipe.addr, pipe.file_index) = (slots.as_mut_ptr() as u64, 2);
    assert_eq!(ring.one(pipe), 0);
    assert_eq!(slots, [1, 2]);

    let vector = [base, 4, base + 4096, 4];
    let mut write = sqe(op::WRITEV_FIXED, 2, 0);
    (write.addr, write.len, write.flags) = (vector.as_ptr() as u64, 2, sqe_flags::FIXED_FILE);
    assert_eq!(ring.one(write), 8);

    let vector = [base + 8, 2, base + 16, 6];
    let mut read = sqe(op::READV_FIXED, 1, 0);
    (read.addr, read.len, read.flags) = (vector.as_ptr() as u64, 2, sqe_flags::FIXED_FILE);
    assert_eq!(ring.one(read), 8);
    assert_eq!(buffer[8..10], [1, 1]);
    assert_eq!(buffer[16..22], [1, 1, 2, 2, 2, 2]);
}

#[test]
fn a_vector_that_leaves_its_buffer_is_refused_whole() {
    let mut ring = Client::new(8, 0);
    let buffer = [1u8; 4096];
    let base = buffer.as_ptr() as u64;
    assert_eq!(ring.register(register::BUFFERS, [base, 64].as_ptr(), 1), 0);
    let null = std::fs::OpenOptions::new().write(true).open("/dev/null").unwrap();
    for vector in [[base, 8, base + 60, 8], [base, 8, base + 8, 0], [base, 8, base - 1, 2]] {
        let mut write = sqe(op::WRITEV_FIXED, std::os::fd::AsRawFd::as_raw_fd(&null), 0);
        (write.addr, write.len) = (vector.as_ptr() as u64, 2);
        assert_eq!(ring.one(write), -14, "{vector:?}");
    }
}

#[test]
fn a_pipe_whose_second_end_finds_no_slot_leaves_none() {
    let mut ring = Client::new(8, 0);
    ring.register_slots(2);
    let mut slots = [-1i32; 2];
    let mut pipe = sqe(op::PIPE, 0, 0);
    (pipe.addr, pipe.file_index) = (slots.as_mut_ptr() as u64, 2);
    assert_eq!(ring.one(pipe), -22);
    // Both slots are free again; the one that was emptied last is looked at first.
    pipe.file_index = FILE_INDEX_ALLOC;
    assert_eq!(ring.one(pipe), 0);
    assert_eq!(slots, [1, 0]);
    assert_eq!(ring.one(pipe), -23);
}
