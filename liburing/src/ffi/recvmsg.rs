//! What a multishot `RECVMSG` puts into a buffer: a header, the name, control data, the payload.

use core::ffi::c_int;
use core::ptr;

use sysring_sys::abi::Msghdr;
use sysring_sys::abi::io_uring::RecvmsgOut;

/// `struct cmsghdr`; what follows begins at a multiple of a word.
#[repr(C)]
pub struct ControlHeader {
    len: usize,
    level: i32,
    kind: i32,
}

const HEADER: usize = size_of::<RecvmsgOut>();

fn name_len(message: &Msghdr) -> usize {
    message.msg_namelen as u32 as usize
}

fn control_len(message: &Msghdr) -> usize {
    message.msg_controllen
}

/// The header, if the buffer has room for what the message describes.
#[unsafe(no_mangle)]
pub extern "C" fn io_uring_recvmsg_validate(
    buf: *mut RecvmsgOut,
    len: c_int,
    message: &Msghdr,
) -> *mut RecvmsgOut {
    let rest = usize::try_from(len)
        .ok()
        .and_then(|len| len.checked_sub(HEADER))
        .and_then(|rest| rest.checked_sub(name_len(message)))
        .and_then(|rest| rest.checked_sub(control_len(message)));
    if rest.is_some() { buf } else { ptr::null_mut() }
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_recvmsg_name(out: *mut RecvmsgOut) -> *mut u8 {
    out.cast::<u8>().wrapping_add(HEADER)
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_recvmsg_payload(out: *mut RecvmsgOut, message: &Msghdr) -> *mut u8 {
    io_uring_recvmsg_name(out).wrapping_add(name_len(message)).wrapping_add(control_len(message))
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_recvmsg_payload_length(
    out: *mut RecvmsgOut,
    len: c_int,
    message: &Msghdr,
) -> u32 {
    let start = io_uring_recvmsg_payload(out, message) as usize;
    let end = (out as usize).wrapping_add(len.max(0) as usize);
    end.saturating_sub(start) as u32
}

/// The first piece of control data, or null.
#[unsafe(no_mangle)]
pub extern "C" fn io_uring_recvmsg_cmsg_firsthdr(
    out: &mut RecvmsgOut,
    message: &Msghdr,
) -> *mut ControlHeader {
    if (out.controllen as usize) < size_of::<ControlHeader>() {
        return ptr::null_mut();
    }
    io_uring_recvmsg_name(out).wrapping_add(name_len(message)).cast()
}

/// The piece behind `piece`, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_uring_recvmsg_cmsg_nexthdr(
    out: &mut RecvmsgOut,
    message: &Msghdr,
    piece: *mut ControlHeader,
) -> *mut ControlHeader {
    let aligned = |len: usize| len.wrapping_add(size_of::<usize>() - 1) & !(size_of::<usize>() - 1);
    // SAFETY: a piece that one of these functions found in the buffer.
    let len = unsafe { (*piece).len };
    if len < size_of::<ControlHeader>() {
        return ptr::null_mut();
    }
    let control = out.controllen as usize;
    let end = (io_uring_recvmsg_cmsg_firsthdr(out, message) as usize).wrapping_add(control);
    let next = piece.wrapping_byte_add(aligned(len));
    if next.wrapping_add(1) as usize > end {
        return ptr::null_mut();
    }
    // SAFETY: its header lies before the end of the control data.
    let next_len = unsafe { (*next).len };
    if (next as usize).wrapping_add(aligned(next_len)) > end {
        return ptr::null_mut();
    }
    next
}
