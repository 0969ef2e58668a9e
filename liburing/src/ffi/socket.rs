//! Sockets.

use core::ffi::{c_int, c_void};

use sysring_sys::User;
use sysring_sys::abi::io_uring::{FILE_INDEX_ALLOC, Sqe, accept, op, recvsend};

use super::memory::command;
use super::prep::{into_slots, prepares};

type Ptr = User<c_void>;

/// `SOCKET_URING_OP_GETSOCKNAME`.
const GETSOCKNAME: c_int = 5;

prepares! {
    io_uring_prep_accept(fd: c_int, addr: Ptr, len: Ptr, flags: c_int)
        = ACCEPT(fd, addr.address(), 0, len.address()) { op_flags = flags };
    io_uring_prep_connect(fd: c_int, addr: Ptr, len: u32)
        = CONNECT(fd, addr.address(), 0, len);
    io_uring_prep_bind(fd: c_int, addr: Ptr, len: u32)
        = BIND(fd, addr.address(), 0, len);
    io_uring_prep_listen(fd: c_int, backlog: c_int)
        = LISTEN(fd, 0, backlog, 0);
    io_uring_prep_shutdown(fd: c_int, how: c_int)
        = SHUTDOWN(fd, 0, how, 0);
    io_uring_prep_socket(domain: c_int, kind: c_int, protocol: c_int, flags: u32)
        = SOCKET(domain, 0, protocol, kind) { op_flags = flags };

    io_uring_prep_send(fd: c_int, buf: Ptr, len: usize, flags: c_int)
        = SEND(fd, buf.address(), len, 0) { op_flags = flags };
    io_uring_prep_recv(fd: c_int, buf: Ptr, len: usize, flags: c_int)
        = RECV(fd, buf.address(), len, 0) { op_flags = flags };
    io_uring_prep_send_zc(fd: c_int, buf: Ptr, len: usize, flags: c_int, how: u32)
        = SEND_ZC(fd, buf.address(), len, 0) { op_flags = flags, ioprio = how };
    io_uring_prep_sendmsg(fd: c_int, message: Ptr, flags: u32)
        = SENDMSG(fd, message.address(), 1, 0) { op_flags = flags };
    io_uring_prep_sendmsg_zc(fd: c_int, message: Ptr, flags: u32)
        = SENDMSG_ZC(fd, message.address(), 1, 0) { op_flags = flags };
    io_uring_prep_recvmsg(fd: c_int, message: Ptr, flags: u32)
        = RECVMSG(fd, message.address(), 1, 0) { op_flags = flags };
}

into_slots! {
    io_uring_prep_accept_direct(fd: c_int, addr: Ptr, len: Ptr, flags: c_int; slot)
        = io_uring_prep_accept;
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_prep_socket_direct(
    sqe: &mut Sqe,
    domain: c_int,
    kind: c_int,
    protocol: c_int,
    slot: u32,
    flags: u32,
) {
    io_uring_prep_socket(sqe, domain, kind, protocol, flags);
    super::prep::into_slot(sqe, slot);
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_prep_socket_direct_alloc(
    sqe: &mut Sqe,
    domain: c_int,
    kind: c_int,
    protocol: c_int,
    flags: u32,
) {
    io_uring_prep_socket_direct(sqe, domain, kind, protocol, FILE_INDEX_ALLOC, flags);
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_prep_multishot_accept(
    sqe: &mut Sqe,
    fd: c_int,
    addr: Ptr,
    len: Ptr,
    flags: c_int,
) {
    io_uring_prep_accept(sqe, fd, addr, len, flags);
    sqe.ioprio |= accept::MULTISHOT;
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_prep_multishot_accept_direct(
    sqe: &mut Sqe,
    fd: c_int,
    addr: Ptr,
    len: Ptr,
    flags: c_int,
) {
    io_uring_prep_multishot_accept(sqe, fd, addr, len, flags);
    sqe.file_index = FILE_INDEX_ALLOC;
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_prep_send_bundle(sqe: &mut Sqe, fd: c_int, len: usize, flags: c_int) {
    io_uring_prep_send(sqe, fd, Ptr::NULL, len, flags);
    sqe.ioprio |= recvsend::BUNDLE;
}

/// The address that a datagram goes to.
#[unsafe(no_mangle)]
pub extern "C" fn io_uring_prep_send_set_addr(sqe: &mut Sqe, addr: Ptr, len: u16) {
    sqe.off = addr.address();
    sqe.file_index = sqe.file_index & !0xffff | u32::from(len);
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_prep_sendto(
    sqe: &mut Sqe,
    fd: c_int,
    buf: Ptr,
    len: usize,
    flags: c_int,
    addr: Ptr,
    addr_len: u32,
) {
    io_uring_prep_send(sqe, fd, buf, len, flags);
    io_uring_prep_send_set_addr(sqe, addr, addr_len as u16);
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_prep_send_zc_fixed(
    sqe: &mut Sqe,
    fd: c_int,
    buf: Ptr,
    len: usize,
    flags: c_int,
    how: u32,
    index: u32,
) {
    io_uring_prep_send_zc(sqe, fd, buf, len, flags, how);
    from_registered(sqe, index);
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_prep_sendmsg_zc_fixed(
    sqe: &mut Sqe,
    fd: c_int,
    message: Ptr,
    flags: u32,
    index: u32,
) {
    io_uring_prep_sendmsg_zc(sqe, fd, message, flags);
    from_registered(sqe, index);
}

fn from_registered(sqe: &mut Sqe, index: u32) {
    sqe.ioprio |= recvsend::FIXED_BUF;
    sqe.buf_index = index as u16;
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_prep_recv_multishot(
    sqe: &mut Sqe,
    fd: c_int,
    buf: Ptr,
    len: usize,
    flags: c_int,
) {
    io_uring_prep_recv(sqe, fd, buf, len, flags);
    sqe.ioprio |= recvsend::RECV_MULTISHOT;
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_prep_recvmsg_multishot(
    sqe: &mut Sqe,
    fd: c_int,
    message: Ptr,
    flags: u32,
) {
    io_uring_prep_recvmsg(sqe, fd, message, flags);
    sqe.ioprio |= recvsend::RECV_MULTISHOT;
}

/// `getsockopt`, `setsockopt` and their kin.
#[unsafe(no_mangle)]
pub extern "C" fn io_uring_prep_cmd_sock(
    sqe: &mut Sqe,
    number: c_int,
    fd: c_int,
    level: c_int,
    name: c_int,
    value: Ptr,
    len: c_int,
) {
    command(sqe, op::URING_CMD, number, fd);
    // Two halves of one field, in the order of the structure.
    let [a, b, c, d] = level.to_ne_bytes();
    let [e, f, g, h] = name.to_ne_bytes();
    sqe.addr = u64::from_ne_bytes([a, b, c, d, e, f, g, h]);
    sqe.addr3 = value.address();
    sqe.file_index = len as u32;
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_prep_cmd_getsockname(
    sqe: &mut Sqe,
    fd: c_int,
    addr: Ptr,
    len: Ptr,
    peer: c_int,
) {
    command(sqe, op::URING_CMD, GETSOCKNAME, fd);
    sqe.addr = addr.address();
    sqe.addr3 = len.address();
    sqe.file_index = peer as u32;
}
