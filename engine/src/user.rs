//! Copies of the application's memory that answer `EFAULT` where a load would have crashed.
//!
//! Writing is not `unsafe` in this crate, though the address may be any. It comes from an SQE, from an
//! argument of the three calls or of a native one, or from what these point to: where the application asks
//! to be written, it answers for what it has there, to the engine as to the kernel. Nothing outside of the
//! crate can write this way but by those calls.

use core::mem::MaybeUninit;

use sysring_sys::abi::PAGE;
use sysring_sys::{Result, User, call, copy};

use crate::process;

/// Types any bytes are a value of: safe to copy in.
///
/// # Safety
/// Every bit pattern is a value of the implementor.
pub unsafe trait AnyBits: Copy {}

/// Types without padding, too: safe to copy out.
///
/// # Safety
/// No byte of the implementor's values is padding.
pub unsafe trait Plain: AnyBits {}

macro_rules! plain {
    ($($t:ty),* $(,)?) => {
        $(
            // SAFETY: integers, or C structures of the kernel's made of integers.
            unsafe impl AnyBits for $t {}
            // SAFETY: the kernel's have no padding.
            unsafe impl Plain for $t {}
        )*
    };
}

plain!(u8, u16, u32, u64, i32, i64, usize);
plain!(sysring_sys::abi::FutexWaitv);
plain!(sysring_sys::abi::Iovec, sysring_sys::abi::Msghdr, sysring_sys::abi::Timespec);
plain!(sysring_sys::abi::signal::SigSet, call::OpenHow);
plain!(
    sysring_sys::abi::io_uring::Params,
    sysring_sys::abi::io_uring::GeteventsArg,
    sysring_sys::abi::io_uring::Probe,
    sysring_sys::abi::io_uring::ProbeOp,
    sysring_sys::abi::io_uring::FilesUpdate,
    sysring_sys::abi::io_uring::RsrcRegister,
    sysring_sys::abi::io_uring::RsrcUpdate,
    sysring_sys::abi::io_uring::RsrcUpdate2,
    sysring_sys::abi::io_uring::SyncCancelReg,
    sysring_sys::abi::io_uring::FileIndexRange,
    sysring_sys::abi::io_uring::BufEntry,
    sysring_sys::abi::io_uring::BufReg,
    sysring_sys::abi::io_uring::BufStatus,
    sysring_sys::abi::io_uring::RecvmsgOut,
    sysring_sys::abi::io_uring::Restriction,
    sysring_sys::abi::io_uring::TaskRestriction,
    sysring_sys::abi::io_uring::RegWait,
    sysring_sys::abi::io_uring::Bpf,
    sysring_sys::abi::io_uring::BpfInstruction,
    sysring_sys::abi::io_uring::RegionDesc,
    sysring_sys::abi::io_uring::MemRegionReg,
    sysring_sys::abi::io_uring::ClockRegister,
    sysring_sys::abi::io_uring::CloneBuffers,
    sysring_sys::abi::io_uring::Napi,
    sysring_sys::abi::io_uring::QueryHead,
    sysring_sys::abi::io_uring::QueryOpcodes,
    sysring_sys::abi::io_uring::Sqe,
);
// SAFETY: two integers, with padding between them but on x86-64.
unsafe impl AnyBits for sysring_sys::abi::EpollEvent {}
// SAFETY: an array's values are its elements'.
unsafe impl<T: AnyBits, const N: usize> AnyBits for [T; N] {}
// SAFETY: an array of plain values has no padding either.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

/// Reads a value.
///
/// # Errors
/// `EFAULT` where any byte of it is not readable.
pub fn read<T: AnyBits>(from: User<T>) -> Result<T> {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: the place is so large; all its bytes are written, and any are a value.
    unsafe {
        copy::copy_in(process::id(), value.as_mut_ptr().cast(), from.cast(), size_of::<T>())?;
        Ok(value.assume_init())
    }
}

/// Writes a value.
///
/// # Errors
/// `EFAULT` where any byte of it is not writable.
pub(crate) fn write<T: Plain>(to: User<T>, value: &T) -> Result<()> {
    write_slice(to, core::slice::from_ref(value))
}

/// Whether an array can be read to its end.
///
/// # Errors
/// `EFAULT`.
pub fn readable<T: AnyBits>(from: User<T>, count: usize) -> Result<()> {
    let (first, len) = (from.cast::<u8>(), count * size_of::<T>());
    for at in (0..len).step_by(PAGE).chain(len.checked_sub(1)) {
        read::<u8>(first.add(at))?;
    }
    Ok(())
}

/// Fills a slice from consecutive values.
///
/// # Errors
/// `EFAULT` where any byte is not readable.
pub fn read_slice<T: AnyBits>(to: &mut [T], from: User<T>) -> Result<()> {
    if to.is_empty() {
        return Ok(());
    }
    let len = size_of_val(to);
    // SAFETY: the slice is so long.
    unsafe { copy::copy_in(process::id(), to.as_mut_ptr().cast(), from.cast(), len) }
}

/// Writes a slice.
///
/// # Errors
/// `EFAULT` where any byte of it is not writable.
pub(crate) fn write_slice<T: Plain>(to: User<T>, values: &[T]) -> Result<()> {
    let len = size_of_val(values);
    // SAFETY: the slice is so long; `to` is the application's, as the module says.
    unsafe { copy::copy_out(process::id(), to.cast(), values.as_ptr().cast(), len) }
}
