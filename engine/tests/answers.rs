//! Answers that random programs were given differently by the kernel.

mod client;

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use client::{Client, sqe};
use sysring_sys::abi::io_uring::{
    FileIndexRange, FilesUpdate, Probe, ProbeOp, RsrcUpdate, SyncCancelReg, cancel, op, register,
    sqe_flags,
};
use sysring_sys::{Errno, User};

fn call<T: ?Sized>(ring: &Client, number: u32, arg: *const T, count: u32) -> Result<usize, Errno> {
    let arg = User::<u8>::new(arg.cast::<u8>() as u64);
    sysring_engine::register(ring.fd.raw() as u32, number, arg, count)
}

/// Whether this machine tells if two descriptors are one open file: without that numbers decide.
fn files_can_be_compared(file: &UnixStream) -> bool {
    let fd = sysring_sys::Fd::new(file.as_raw_fd());
    let can = sysring_sys::call::same_file(fd, fd) == Ok(true);
    if !can {
        println!("skipped: neither F_DUPFD_QUERY nor kcmp(2) here");
    }
    can
}

#[test]
fn what_is_cancelled_by_descriptor_is_the_open_file() {
    let (near, _far) = UnixStream::pair().unwrap();
    if !files_can_be_compared(&near) {
        return;
    }
    let other_name = near.try_clone().unwrap();
    let mut ring = Client::new(8, 0);
    assert_eq!(call(&ring, register::FILES, &near.as_raw_fd(), 1), Ok(0));
    let mut poll = sqe(op::POLL_ADD, near.as_raw_fd(), 1);
    poll.op_flags = 1;
    // By another number, and by its place in the table.
    for (fd, flags) in [(other_name.as_raw_fd(), 0), (0, cancel::FD_FIXED)] {
        ring.push(poll);
        assert_eq!(ring.enter(1, 0), Ok(1));
        let mut stop = sqe(op::ASYNC_CANCEL, fd, 2);
        stop.op_flags = cancel::FD | flags;
        ring.push(stop);
        assert_eq!(ring.enter(1, 2), Ok(1));
        let mut seen: Vec<_> = ring.reap().iter().map(|c| (c.user_data, c.res)).collect();
        seen.sort_unstable();
        assert_eq!(seen, [(1, Errno::ECANCELED.to_res()), (2, 0)]);
    }
}

#[test]
fn another_file_under_the_same_number_is_not_cancelled() {
    let (near, far) = UnixStream::pair().unwrap();
    if !files_can_be_compared(&near) {
        return;
    }
    let mut ring = Client::new(8, 0);
    assert_eq!(call(&ring, register::FILES, &near.as_raw_fd(), 1), Ok(0));
    let mut poll = sqe(op::POLL_ADD, 0, 1);
    (poll.op_flags, poll.flags) = (1, sqe_flags::FIXED_FILE);
    ring.push(poll);
    assert_eq!(ring.enter(1, 0), Ok(1));
    let fds = [far.as_raw_fd()];
    let update = FilesUpdate { fds: fds.as_ptr() as u64, ..FilesUpdate::default() };
    assert_eq!(call(&ring, register::FILES_UPDATE, &raw const update, 1), Ok(1));
    let mut stop = sqe(op::ASYNC_CANCEL, 0, 2);
    stop.op_flags = cancel::FD | cancel::FD_FIXED;
    ring.push(stop);
    assert_eq!(ring.enter(1, 1), Ok(1));
    let seen: Vec<_> = ring.reap().iter().map(|c| (c.user_data, c.res)).collect();
    assert_eq!(seen, [(2, Errno::ENOENT.to_res())]);
}

#[test]
fn a_synchronous_cancel_of_any_looks_at_its_descriptor_all_the_same() {
    let ring = Client::new(8, 0);
    let flags = cancel::ANY | cancel::FD;
    let given = |fd| SyncCancelReg {
        fd,
        flags,
        timeout_sec: -1,
        timeout_nsec: -1,
        ..SyncCancelReg::default()
    };
    assert_eq!(call(&ring, register::SYNC_CANCEL, &given(-1), 1), Err(Errno::EBADF));
    let (near, _far) = UnixStream::pair().unwrap();
    assert_eq!(call(&ring, register::SYNC_CANCEL, &given(near.as_raw_fd()), 1), Ok(0));
}

#[test]
fn a_probe_needs_no_more_memory_than_there_are_operations() {
    const PAGE: usize = 4096;
    let ring = Client::new(8, 0);
    // SAFETY: new mappings where the kernel chooses; the second page is taken away from the first.
    let end = unsafe {
        let start = libc::mmap(
            std::ptr::null_mut(),
            2 * PAGE,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        );
        assert_ne!(start, libc::MAP_FAILED);
        let end = start.byte_add(PAGE);
        assert_eq!(libc::munmap(end, PAGE), 0);
        end
    };
    let size = size_of::<Probe>() + op::COUNT * size_of::<ProbeOp>();
    let probe = end.wrapping_byte_sub(size);
    assert_eq!(call(&ring, register::PROBE, probe, 256), Ok(0));
}

#[test]
fn what_is_wrong_first_is_what_is_told() {
    let ring = Client::new(8, 0);
    // An index that there cannot be, before a descriptor that is none.
    let update = RsrcUpdate { offset: 16, data: u64::MAX, ..RsrcUpdate::default() };
    assert_eq!(call(&ring, register::RING_FDS, &raw const update, 1), Err(Errno::EINVAL));
    // A range past the end of all numbers, before a reserved word.
    let range = FileIndexRange { off: u32::MAX, len: 2, resv: 1 };
    assert_eq!(call(&ring, register::FILE_ALLOC_RANGE, &raw const range, 0), Err(Errno::EOVERFLOW));
}

#[test]
fn a_splice_of_nothing_needs_its_files() {
    let (near, far) = UnixStream::pair().unwrap();
    let (_read, write) = std::io::pipe().unwrap();
    let mut ring = Client::new(8, 0);
    let splice = |from: i32, to: i32, opcode, user_data| {
        let mut splice = sqe(opcode, to, user_data);
        splice.file_index = from as u32;
        splice
    };
    for opcode in [op::SPLICE, op::TEE] {
        ring.push(splice(near.as_raw_fd(), write.as_raw_fd(), opcode, 1));
        ring.push(splice(near.as_raw_fd(), -1, opcode, 2));
        ring.push(splice(-1, far.as_raw_fd(), opcode, 3));
        assert_eq!(ring.enter(3, 3), Ok(3));
        let mut seen: Vec<_> = ring.reap().iter().map(|c| (c.user_data, c.res)).collect();
        seen.sort_unstable();
        assert_eq!(seen, [(1, 0), (2, Errno::EBADF.to_res()), (3, Errno::EBADF.to_res())]);
    }
}
