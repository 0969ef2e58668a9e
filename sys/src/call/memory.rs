//! Mappings, and copies of the application's memory that can fail.

use super::sys;
use crate::abi::Iovec;
use crate::{Errno, Fd, Result, User};

/// `mmap(2)`, all arguments given.
///
/// # Safety
/// With `MAP_FIXED` the mapping replaces what was at the address.
pub unsafe fn mmap(
    address: usize,
    len: usize,
    protection: u32,
    flags: u32,
    fd: Fd,
    offset: u64,
) -> Result<usize> {
    // SAFETY: the caller vouches for the address range.
    unsafe {
        sys!(
            __NR_mmap,
            address,
            len,
            protection as usize,
            flags as usize,
            fd.arg(),
            offset as usize
        )
    }
}

/// Zeroed memory of our own, readable and writable; `shared` survives `fork` as one memory.
pub fn map_anonymous(len: usize, shared: bool) -> Result<*mut u8> {
    use linux_raw_sys::general as g;
    let flags =
        g::MAP_ANONYMOUS | g::MAP_NORESERVE | if shared { g::MAP_SHARED } else { g::MAP_PRIVATE };
    // SAFETY: no address is asked for, so nothing is replaced.
    unsafe { mmap(0, len, g::PROT_READ | g::PROT_WRITE, flags, Fd::NONE, 0) }.map(|a| a as *mut u8)
}

/// `munmap(2)`.
///
/// # Safety
/// Nothing may use the range afterwards.
pub unsafe fn munmap(address: usize, len: usize) -> Result<()> {
    // SAFETY: the caller vouches for the range.
    unsafe { sys!(__NR_munmap, address, len) }.map(drop)
}

/// `mremap(2)`.
///
/// # Safety
/// The old range may go, and with `MREMAP_FIXED` what was at the new address.
pub unsafe fn mremap(
    address: usize,
    old_len: usize,
    new_len: usize,
    flags: u32,
    new_address: usize,
) -> Result<usize> {
    // SAFETY: the caller vouches for both ranges.
    unsafe { sys!(__NR_mremap, address, old_len, new_len, flags as usize, new_address) }
}

/// `madvise(2)`.
///
/// # Safety
/// Some advice discards the contents of the range.
pub unsafe fn madvise(address: usize, len: usize, advice: u32) -> Result<()> {
    // SAFETY: the caller vouches for the range.
    unsafe { sys!(__NR_madvise, address, len, advice as usize) }.map(drop)
}

/// `mprotect(2)`.
///
/// # Safety
/// The range must be the caller's.
pub unsafe fn mprotect(address: usize, len: usize, protection: u32) -> Result<()> {
    // SAFETY: the caller vouches for the range.
    unsafe { sys!(__NR_mprotect, address, len, protection as usize) }.map(drop)
}

/// `process_vm_readv(2)` of one range each side.
///
/// # Safety
/// What is written to is memory of the caller's alone, or the application's, which asked for it.
pub unsafe fn process_vm_read(pid: i32, to: *mut u8, from: User<u8>, len: usize) -> Result<usize> {
    let local = Iovec { iov_base: to.cast(), iov_len: len as _ };
    let remote = Iovec { iov_base: from.address() as usize as *mut _, iov_len: len as _ };
    // SAFETY: the kernel checks both sides; the caller vouches for what is written to.
    unsafe {
        sys!(
            __NR_process_vm_readv,
            pid as usize,
            &raw const local as usize,
            1,
            &raw const remote as usize,
            1,
            0
        )
    }
}

/// `process_vm_writev(2)` of one range each side.
///
/// # Safety
/// What is written to is memory of the caller's alone, or the application's, which asked for it.
pub unsafe fn process_vm_write(
    pid: i32,
    to: User<u8>,
    from: *const u8,
    len: usize,
) -> Result<usize> {
    let local = Iovec { iov_base: from.cast_mut().cast(), iov_len: len as _ };
    let remote = Iovec { iov_base: to.address() as usize as *mut _, iov_len: len as _ };
    // SAFETY: the kernel checks both sides; the caller vouches for what is written to.
    unsafe {
        sys!(
            __NR_process_vm_writev,
            pid as usize,
            &raw const local as usize,
            1,
            &raw const remote as usize,
            1,
            0
        )
    }
}

/// `memfd_create(2)`, close-on-exec.
pub fn memfd_create(name: &core::ffi::CStr, flags: u32) -> Result<Fd> {
    // SAFETY: the name is a C string of ours.
    unsafe { sys!(__NR_memfd_create, name.as_ptr() as usize, flags as usize) }
        .map(|n| Fd::new(n as i32))
}

/// An all-or-nothing form of a partial copy.
pub fn whole(result: Result<usize>, len: usize) -> Result<()> {
    match result {
        Ok(n) if n == len => Ok(()),
        Ok(_) => Err(Errno::EFAULT),
        Err(e) => Err(e),
    }
}

/// Sees that every thread of the process looks at its code again before it goes on: `membarrier(2)`
/// with `PRIVATE_EXPEDITED_SYNC_CORE`, registered for if need be. On kernels without (before 4.16)
/// nothing happens.
pub fn membarrier_sync_core() {
    const SYNC_CORE: usize = 1 << 5;
    const REGISTER: usize = 1 << 6;
    // SAFETY: barriers touch no memory.
    unsafe {
        if sys!(__NR_membarrier, REGISTER, 0, 0).is_ok() {
            let _ = sys!(__NR_membarrier, SYNC_CORE, 0, 0);
        }
    }
}
