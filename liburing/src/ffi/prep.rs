//! What all of them do: the five arguments that an entry for most operations has.

use core::ffi::{c_int, c_void};

use sysring_sys::User;
use sysring_sys::abi::io_uring::{FILE_INDEX_ALLOC, Sqe};

/// The entry's operation, and the arguments that lie in the same place for nearly all of them.
/// Everything else stays what [`super::sqe::clear`] made it.
#[inline(always)]
pub fn prep(sqe: &mut Sqe, op: u8, fd: c_int, addr: u64, len: u32, off: u64) {
    sqe.opcode = op;
    sqe.fd = fd;
    sqe.off = off;
    sqe.addr = addr;
    sqe.len = len;
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_prep_rw(
    op: c_int,
    sqe: &mut Sqe,
    fd: c_int,
    addr: User<c_void>,
    len: u32,
    offset: u64,
) {
    prep(sqe, op as u8, fd, addr.address(), len, offset);
}

/// The slot of the registered files that the new file goes to. The entry counts from one; to
/// choose a free slot has a number of its own.
#[inline(always)]
pub fn into_slot(sqe: &mut Sqe, slot: u32) {
    sqe.file_index = if slot == FILE_INDEX_ALLOC { slot } else { slot + 1 };
}

/// Functions that only fill an entry: `name(arguments) = OPERATION(fd, addr, len, off)`, and what
/// else they set.
macro_rules! prepares {
    ($(
        $name:ident($($arg:ident: $type:ty),* $(,)?) = $op:ident($fd:expr, $addr:expr, $len:expr, $off:expr)
            $({ $($field:ident = $value:expr),* $(,)? })?;
    )*) => {
        $(
            #[unsafe(no_mangle)]
            pub extern "C" fn $name(
                sqe: &mut sysring_sys::abi::io_uring::Sqe,
                $($arg: $type),*
            ) {
                let op = sysring_sys::abi::io_uring::op::$op;
                $crate::ffi::prep::prep(sqe, op, $fd as i32, $addr as u64, $len as u32, $off as u64);
                $($(sqe.$field = $value as _;)*)?
            }
        )*
    };
}
pub(super) use prepares;

/// The same for functions whose new file may go to a slot of the registered ones: the plain
/// function, and what the slot is called.
macro_rules! into_slots {
    ($($name:ident($($arg:ident: $type:ty),* ; $slot:ident) = $plain:ident;)*) => {
        $(
            #[unsafe(no_mangle)]
            pub extern "C" fn $name(
                sqe: &mut sysring_sys::abi::io_uring::Sqe,
                $($arg: $type,)*
                $slot: u32,
            ) {
                $plain(sqe, $($arg),*);
                $crate::ffi::prep::into_slot(sqe, $slot);
            }
        )*
    };
}
pub(super) use into_slots;
