//! Reading, writing, opening and closing files.

use core::ffi::{c_int, c_void};

use sysring_sys::User;
use sysring_sys::abi::io_uring::{Sqe, op, sqe_flags};

use super::prep::{into_slots, prep, prepares};

type Ptr = User<c_void>;

const HERE: c_int = -100;
/// `sizeof(struct open_how)`.
const OPEN_HOW: u32 = 24;

prepares! {
    io_uring_prep_read(fd: c_int, buf: Ptr, len: u32, off: u64)
        = READ(fd, buf.address(), len, off);
    io_uring_prep_write(fd: c_int, buf: Ptr, len: u32, off: u64)
        = WRITE(fd, buf.address(), len, off);
    io_uring_prep_readv(fd: c_int, iov: Ptr, count: u32, off: u64)
        = READV(fd, iov.address(), count, off);
    io_uring_prep_writev(fd: c_int, iov: Ptr, count: u32, off: u64)
        = WRITEV(fd, iov.address(), count, off);
    io_uring_prep_readv2(fd: c_int, iov: Ptr, count: u32, off: u64, flags: c_int)
        = READV(fd, iov.address(), count, off) { op_flags = flags };
    io_uring_prep_writev2(fd: c_int, iov: Ptr, count: u32, off: u64, flags: c_int)
        = WRITEV(fd, iov.address(), count, off) { op_flags = flags };
    io_uring_prep_read_fixed(fd: c_int, buf: Ptr, len: u32, off: u64, index: c_int)
        = READ_FIXED(fd, buf.address(), len, off) { buf_index = index };
    io_uring_prep_write_fixed(fd: c_int, buf: Ptr, len: u32, off: u64, index: c_int)
        = WRITE_FIXED(fd, buf.address(), len, off) { buf_index = index };
    io_uring_prep_readv_fixed(fd: c_int, iov: Ptr, count: u32, off: u64, flags: c_int, index: c_int)
        = READV_FIXED(fd, iov.address(), count, off) { op_flags = flags, buf_index = index };
    io_uring_prep_writev_fixed(fd: c_int, iov: Ptr, count: u32, off: u64, flags: c_int, index: c_int)
        = WRITEV_FIXED(fd, iov.address(), count, off) { op_flags = flags, buf_index = index };
    io_uring_prep_read_multishot(fd: c_int, len: u32, off: u64, group: c_int)
        = READ_MULTISHOT(fd, 0, len, off) { buf_index = group, flags = sqe_flags::BUFFER_SELECT };

    io_uring_prep_fsync(fd: c_int, flags: u32)
        = FSYNC(fd, 0, 0, 0) { op_flags = flags };
    io_uring_prep_sync_file_range(fd: c_int, len: u32, off: u64, flags: c_int)
        = SYNC_FILE_RANGE(fd, 0, len, off) { op_flags = flags };
    io_uring_prep_fallocate(fd: c_int, mode: c_int, off: u64, len: u64)
        = FALLOCATE(fd, len, mode, off);
    io_uring_prep_ftruncate(fd: c_int, len: i64)
        = FTRUNCATE(fd, 0, 0, len);
    io_uring_prep_fadvise(fd: c_int, off: u64, len: u32, advice: c_int)
        = FADVISE(fd, 0, len, off) { op_flags = advice };
    io_uring_prep_fadvise64(fd: c_int, off: u64, len: i64, advice: c_int)
        = FADVISE(fd, len, 0, off) { op_flags = advice };
    io_uring_prep_splice(from: c_int, from_off: i64, to: c_int, to_off: i64, len: u32, flags: u32)
        = SPLICE(to, from_off, len, to_off) { file_index = from, op_flags = flags };
    io_uring_prep_tee(from: c_int, to: c_int, len: u32, flags: u32)
        = TEE(to, 0, len, 0) { file_index = from, op_flags = flags };

    io_uring_prep_openat(dir: c_int, path: Ptr, flags: c_int, mode: u32)
        = OPENAT(dir, path.address(), mode, 0) { op_flags = flags };
    io_uring_prep_open(path: Ptr, flags: c_int, mode: u32)
        = OPENAT(HERE, path.address(), mode, 0) { op_flags = flags };
    io_uring_prep_openat2(dir: c_int, path: Ptr, how: Ptr)
        = OPENAT2(dir, path.address(), OPEN_HOW, how.address());
    io_uring_prep_close(fd: c_int)
        = CLOSE(fd, 0, 0, 0);
    io_uring_prep_files_update(fds: Ptr, count: u32, off: c_int)
        = FILES_UPDATE(-1, fds.address(), count, off);
    io_uring_prep_fixed_fd_install(slot: c_int, flags: u32)
        = FIXED_FD_INSTALL(slot, 0, 0, 0) { flags = sqe_flags::FIXED_FILE, op_flags = flags };
    io_uring_prep_pipe(fds: Ptr, flags: c_int)
        = PIPE(0, fds.address(), 0, 0) { op_flags = flags };
}

into_slots! {
    io_uring_prep_openat_direct(dir: c_int, path: Ptr, flags: c_int, mode: u32; slot)
        = io_uring_prep_openat;
    io_uring_prep_open_direct(path: Ptr, flags: c_int, mode: u32; slot)
        = io_uring_prep_open;
    io_uring_prep_openat2_direct(dir: c_int, path: Ptr, how: Ptr; slot)
        = io_uring_prep_openat2;
    io_uring_prep_pipe_direct(fds: Ptr, flags: c_int; slot)
        = io_uring_prep_pipe;
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_prep_close_direct(sqe: &mut Sqe, slot: u32) {
    prep(sqe, op::CLOSE, 0, 0, 0, 0);
    sqe.file_index = slot.wrapping_add(1);
}
