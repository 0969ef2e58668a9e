//! Registered files and buffers.

use core::ffi::{c_int, c_void};

use sysring_sys::abi::Iovec;
use sysring_sys::abi::io_uring::{
    FilesUpdate, RSRC_REGISTER_SPARSE, RsrcRegister, RsrcUpdate2, register,
};
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Result, User, call};

use crate::door::fold;
use crate::ring::{IoUring, own};

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_register_buffers(
    ring: &IoUring,
    buffers: User<Iovec>,
    count: u32,
) -> c_int {
    fold(ring.register(register::BUFFERS, buffers.cast(), count))
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_register_buffers_tags(
    ring: &IoUring,
    buffers: User<Iovec>,
    tags: User<u64>,
    count: u32,
) -> c_int {
    fold(ring.register_resources(register::BUFFERS2, table(count, buffers.cast(), tags)))
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_register_buffers_sparse(ring: &IoUring, count: u32) -> c_int {
    fold(ring.register_resources(register::BUFFERS2, sparse(count)))
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_register_buffers_update_tag(
    ring: &IoUring,
    offset: u32,
    buffers: User<Iovec>,
    tags: User<u64>,
    count: u32,
) -> c_int {
    fold(ring.update_resources(register::BUFFERS_UPDATE, offset, buffers.cast(), tags, count))
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_register_files(ring: &IoUring, files: User<c_int>, count: u32) -> c_int {
    fold(with_room(count, || ring.register(register::FILES, files.cast(), count)))
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_register_files_tags(
    ring: &IoUring,
    files: User<c_int>,
    tags: User<u64>,
    count: u32,
) -> c_int {
    let table = table(count, files.cast(), tags);
    fold(with_room(count, || ring.register_resources(register::FILES2, table)))
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_register_files_sparse(ring: &IoUring, count: u32) -> c_int {
    fold(with_room(count, || ring.register_resources(register::FILES2, sparse(count))))
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_register_files_update(
    ring: &IoUring,
    offset: u32,
    files: User<c_int>,
    count: u32,
) -> c_int {
    let update = FilesUpdate { offset, resv: 0, fds: files.address() };
    fold(ring.register(register::FILES_UPDATE, User::of(&update).cast(), count))
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_register_files_update_tag(
    ring: &IoUring,
    offset: u32,
    files: User<c_int>,
    tags: User<u64>,
    count: u32,
) -> c_int {
    fold(ring.update_resources(register::FILES_UPDATE2, offset, files.cast(), tags, count))
}

fn table(nr: u32, data: User<c_void>, tags: User<u64>) -> RsrcRegister {
    RsrcRegister { nr, data: data.address(), tags: tags.address(), ..RsrcRegister::default() }
}

fn sparse(nr: u32) -> RsrcRegister {
    RsrcRegister { nr, flags: RSRC_REGISTER_SPARSE, ..RsrcRegister::default() }
}

impl IoUring {
    fn register_resources(&self, opcode: u32, table: RsrcRegister) -> Result<usize> {
        self.register(opcode, User::of(&table).cast(), size_of::<RsrcRegister>() as u32)
    }

    fn update_resources(
        &self,
        opcode: u32,
        offset: u32,
        data: User<c_void>,
        tags: User<u64>,
        nr: u32,
    ) -> Result<usize> {
        let (data, tags) = (data.address(), tags.address());
        let update = RsrcUpdate2 { offset, data, tags, nr, ..RsrcUpdate2::default() };
        self.register(opcode, User::of(&update).cast(), size_of::<RsrcUpdate2>() as u32)
    }
}

/// Registers `count` files; where the limit on open files is in the way, raises it by as many and
/// tries once more.
fn with_room(count: u32, attempt: impl Fn() -> Result<usize>) -> Result<usize> {
    match attempt() {
        Err(Errno::EMFILE) => {
            // The second attempt says whether that was enough.
            let _ = raise_file_limit(u64::from(count));
            attempt()
        }
        result => result,
    }
}

/// `RLIMIT_NOFILE`.
const OPEN_FILES: usize = 7;

fn raise_file_limit(by: u64) -> Result<()> {
    let mut limit = [0u64; 2];
    let arguments = |new, old| [0, OPEN_FILES, new, old, 0, 0];
    // SAFETY: the kernel writes the two words of a limit.
    unsafe { call::raw(g::__NR_prlimit64, arguments(0, &raw mut limit as usize)) }?;
    if limit[0] >= by {
        return Ok(());
    }
    let raised = [limit[0] + by, limit[1]];
    // SAFETY: the kernel reads them.
    unsafe { call::raw(g::__NR_prlimit64, arguments(&raw const raised as usize, 0)) }.map(drop)
}

/// `struct io_uring_clone_buffers`.
#[repr(C)]
#[derive(Default)]
struct CloneBuffers {
    src_fd: i32,
    flags: u32,
    src_off: u32,
    dst_off: u32,
    nr: u32,
    pad: [u32; 3],
}

const _: () = assert!(size_of::<CloneBuffers>() == 32);

/// The source is named by its registered index.
const SOURCE_IS_REGISTERED: u32 = 1 << 0;

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_clone_buffers(to: &IoUring, from: &IoUring) -> c_int {
    __io_uring_clone_buffers(to, from, SOURCE_IS_REGISTERED)
}

#[unsafe(no_mangle)]
pub extern "C" fn __io_uring_clone_buffers(to: &IoUring, from: &IoUring, flags: u32) -> c_int {
    __io_uring_clone_buffers_offset(to, from, 0, 0, 0, flags)
}

/// As the other one, with the registered index of the source where it has one.
#[unsafe(no_mangle)]
pub extern "C" fn io_uring_clone_buffers_offset(
    to: &IoUring,
    from: &IoUring,
    to_offset: u32,
    from_offset: u32,
    count: u32,
    flags: u32,
) -> c_int {
    let flags = flags | SOURCE_IS_REGISTERED;
    __io_uring_clone_buffers_offset(to, from, to_offset, from_offset, count, flags)
}

#[unsafe(no_mangle)]
pub extern "C" fn __io_uring_clone_buffers_offset(
    to: &IoUring,
    from: &IoUring,
    to_offset: u32,
    from_offset: u32,
    count: u32,
    flags: u32,
) -> c_int {
    // Asked for, it is done where it can be.
    let registered = flags & SOURCE_IS_REGISTERED != 0 && from.is(own::REGISTERED_REGISTER);
    let (src_fd, flags) = if registered {
        (from.enter_ring_fd.get(), flags)
    } else {
        (from.ring_fd.get(), flags & !SOURCE_IS_REGISTERED)
    };
    let clone = CloneBuffers {
        src_fd,
        flags,
        src_off: from_offset,
        dst_off: to_offset,
        nr: count,
        ..CloneBuffers::default()
    };
    fold(to.register(register::CLONE_BUFFERS, User::of(&clone).cast(), 1))
}
