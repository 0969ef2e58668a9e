//! How much memory a ring takes.

use core::ffi::c_long;

use sysring_sys::abi::PAGE;
use sysring_sys::abi::io_uring::{MAX_CQ_ENTRIES, MAX_ENTRIES, Params, feat, setup};
use sysring_sys::{Errno, Result};

use crate::queue::{cqe_size, io_uring_queue_exit, io_uring_queue_init_params, sqe_size};
use crate::ring::IoUring;

/// The words before the completions.
const HEADER: usize = 64;

/// The two parts of a ring, in whole pages.
pub struct Sizes {
    pub sqes: usize,
    pub queues: usize,
}

impl Sizes {
    pub fn of(entries: u32, params: &Params) -> Result<Sizes> {
        let flags = params.flags;
        let sq_entries = bounded(entries, MAX_ENTRIES, flags)?;
        let cq_entries = if flags & setup::CQSIZE == 0 {
            2 * sq_entries
        } else {
            let cq_entries = bounded(params.cq_entries, MAX_CQ_ENTRIES, flags)?;
            if cq_entries < sq_entries {
                return Err(Errno::EINVAL);
            }
            cq_entries
        };
        let array = if flags & setup::NO_SQARRAY == 0 { size_of::<u32>() } else { 0 };
        let queues = HEADER + cq_entries as usize * cqe_size(flags) + sq_entries as usize * array;
        Ok(Sizes { sqes: pages(sq_entries as usize * sqe_size(flags)), queues: pages(queues) })
    }
}

fn bounded(entries: u32, most: u32, flags: u32) -> Result<u32> {
    match entries {
        0 => Err(Errno::EINVAL),
        n if n <= most => Ok(n.next_power_of_two()),
        _ if flags & setup::CLAMP != 0 => Ok(most),
        _ => Err(Errno::EINVAL),
    }
}

fn pages(len: usize) -> usize {
    len.next_multiple_of(page_size())
}

#[cfg(target_arch = "x86_64")]
pub fn page_size() -> usize {
    PAGE
}

/// What the kernel told this program at its start; where there is no `/proc`, the smallest.
#[cfg(target_arch = "aarch64")]
pub fn page_size() -> usize {
    use sysring_sys::call::{self, Buffer};
    use sysring_sys::raw::general::{O_CLOEXEC, O_RDONLY};
    use sysring_sys::{Fd, User};
    const AT_PAGESZ: usize = 6;
    let path = User::of(c"/proc/self/auxv".as_ptr().cast());
    let mut pairs = [[0usize; 2]; 32];
    if let Ok(file) = call::openat(Fd::CWD, path, O_RDONLY | O_CLOEXEC, 0) {
        let address = User::of(pairs.as_mut_ptr().cast());
        // SAFETY: an array of ours, so long.
        let _ = unsafe { call::read(file, Buffer { address, len: size_of_val(&pairs) }) };
        let _ = call::close(file);
    }
    let told = pairs.iter().find(|pair| pair[0] == AT_PAGESZ);
    told.map_or(PAGE, |pair| pair[1])
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_memory_size(entries: u32, flags: u32) -> c_long {
    io_uring_memory_size_params(entries, &Params { flags, ..Params::default() })
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_memory_size_params(entries: u32, params: &Params) -> c_long {
    let size = Sizes::of(entries, params).map(|sizes| sizes.sqes + sizes.queues);
    Errno::to_ret(size) as c_long
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_mlock_size(entries: u32, flags: u32) -> c_long {
    io_uring_mlock_size_params(entries, &Params { flags, ..Params::default() })
}

/// What a ring counts towards the limit on locked memory: nothing, since Linux 5.12.
#[unsafe(no_mangle)]
pub extern "C" fn io_uring_mlock_size_params(entries: u32, params: &Params) -> c_long {
    let mut ring = IoUring::blank();
    let mut plain = Params::default();
    // SAFETY: structures of ours to fill.
    if unsafe { io_uring_queue_init_params(entries, &mut ring, &mut plain) } == 0 {
        io_uring_queue_exit(&mut ring);
    }
    // Where no ring could be made, it may be that limit which was in the way.
    if plain.features & feat::NATIVE_WORKERS != 0 {
        return 0;
    }
    io_uring_memory_size_params(entries, params)
}
