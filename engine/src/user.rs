//! Copies of the application's memory that answer `EFAULT` where a load would have crashed.

use core::mem::MaybeUninit;

use sysring_sys::{Errno, Result, User, call};

use crate::process;

/// Types any bit pattern is a value of, without padding: safe to copy in and out as bytes.
///
/// # Safety
/// The implementor must be `Copy`, valid for every bit pattern, and free of padding.
pub unsafe trait Plain: Copy {}

macro_rules! plain {
    ($($t:ty),* $(,)?) => {
        $(
            // SAFETY: integers, or C structures of the kernel's made of integers without padding.
            unsafe impl Plain for $t {}
        )*
    };
}

plain!(u8, u16, u32, u64, i32, i64, usize);
plain!(sysring_sys::abi::FutexWaitv);
plain!(sysring_sys::abi::Iovec, sysring_sys::abi::Msghdr, sysring_sys::abi::Timespec);
plain!(sysring_sys::abi::EpollEvent, sysring_sys::abi::signal::SigSet, call::OpenHow);
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
// SAFETY: an array of plain values has no padding either.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

/// Reads a value.
///
/// # Errors
/// `EFAULT` where any byte of it is not readable.
pub fn read<T: Plain>(from: User<T>) -> Result<T> {
    let mut value = MaybeUninit::<T>::uninit();
    read_bytes(value.as_mut_ptr().cast(), from.cast(), size_of::<T>())?;
    // SAFETY: all bytes were written, and every pattern is a value of a `Plain` type.
    Ok(unsafe { value.assume_init() })
}

/// Writes a value.
///
/// # Errors
/// `EFAULT` where any byte of it is not writable.
pub fn write<T: Plain>(to: User<T>, value: &T) -> Result<()> {
    write_bytes(to.cast(), core::ptr::from_ref(value).cast(), size_of::<T>())
}

/// Whether an array can be read to its end.
///
/// # Errors
/// `EFAULT`.
pub fn readable<T: Plain>(from: User<T>, count: usize) -> Result<()> {
    const PAGE: usize = 4096;
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
pub fn read_slice<T: Plain>(to: &mut [T], from: User<T>) -> Result<()> {
    read_bytes(to.as_mut_ptr().cast(), from.cast(), size_of_val(to))
}

fn read_bytes(to: *mut u8, from: User<u8>, len: usize) -> Result<()> {
    if len == 0 {
        return Ok(());
    }
    match call::whole(call::process_vm_read(process::id(), to, from, len), len) {
        Ok(()) => Ok(()),
        Err(Errno::EFAULT) => Err(Errno::EFAULT),
        // The call itself is refused (an old container's filter, a kernel without it).
        Err(_) => through_a_pipe(|read, write| {
            call::whole(call::write(write, call::Buffer { address: from, len }), len)?;
            let buf = call::Buffer { address: User::of(to), len };
            call::whole(call::read(read, buf), len)
        }),
    }
}

/// Writes a slice.
///
/// # Errors
/// `EFAULT` where any byte of it is not writable.
pub fn write_slice<T: Plain>(to: User<T>, values: &[T]) -> Result<()> {
    write_bytes(to.cast(), values.as_ptr().cast(), size_of_val(values))
}

fn write_bytes(to: User<u8>, from: *const u8, len: usize) -> Result<()> {
    match call::whole(call::process_vm_write(process::id(), to, from, len), len) {
        Ok(()) => Ok(()),
        Err(Errno::EFAULT) => Err(Errno::EFAULT),
        Err(_) => through_a_pipe(|read, write| {
            call::whole(call::write(write, call::Buffer { address: User::of(from), len }), len)?;
            call::whole(call::read(read, call::Buffer { address: to, len }), len)
        }),
    }
}

/// Lets the kernel do the copy, in and out of a pipe: `write` and `read` answer `EFAULT` too. A
/// pipe holds 64 KiB, more than anything the engine copies.
fn through_a_pipe(copy: impl FnOnce(sysring_sys::Fd, sysring_sys::Fd) -> Result<()>) -> Result<()> {
    use sysring_sys::Fd;
    let mut ends = [-1i32; 2];
    call::pipe2(User::of(&raw mut ends), linux_flags())?;
    let (read, write) = (Fd::new(ends[0]), Fd::new(ends[1]));
    let result = copy(read, write);
    let _ = call::close(read);
    let _ = call::close(write);
    result
}

fn linux_flags() -> u32 {
    use sysring_sys::raw::general as g;
    g::O_CLOEXEC | g::O_NONBLOCK
}
