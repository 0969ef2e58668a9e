//! Attributes in C's words.

use core::ffi::{c_int, c_void};

use sysring_events::MAX_LEN;
use sysring_events::attr::{self, Wanted};
use sysring_sys::{Errno, Result};

use crate::types::{SYSRING_EVENT_LONGEST, sysring_asked_extension, sysring_event, sysring_wanted};

/// When the call was queued, issued and completed: struct sysring_timing.
pub const SYSRING_ATTR_TIMING: u32 = 0;
/// Which way it was served: uint64_t, SYSRING_PATH_*.
pub const SYSRING_ATTR_PATH: u32 = 1;
/// What came from the cache: struct sysring_cache. Of reads from files and disks, and of opens that
/// create nothing, where they are attempted without blocking.
pub const SYSRING_ATTR_CACHE: u32 = 2;
/// It is cancelled at a time: uint64_t, 1 if it was. What may wait where it is issued goes to another
/// thread for that.
pub const SYSRING_ATTR_DEADLINE: u32 = 3;
/// A short transfer is continued: uint64_t, how many system calls it took.
pub const SYSRING_ATTR_FULL: u32 = 4;
/// With an I/O priority of its own; no value. Not with credentials of others.
pub const SYSRING_ATTR_IOPRIO: u32 = 5;
/// With RWF_* flags; no value.
pub const SYSRING_ATTR_RW_FLAGS: u32 = 6;
/// With the credentials of sysring_credentials_register(); no value.
pub const SYSRING_ATTR_CREDENTIALS: u32 = 7;
/// Who made it, where: struct sysring_place.
pub const SYSRING_ATTR_PLACE: u32 = 8;
/// EINTR and EAGAIN are tried again: uint64_t, how often they were. EAGAIN after a pause: 1 ms, twice as
/// long each time, up to 128 ms.
pub const SYSRING_ATTR_RETRY: u32 = 9;
/// A number of the caller's: uint64_t.
pub const SYSRING_ATTR_TRACE: u32 = 10;
/// CRC-32C of the data that moved: struct sysring_checksum.
pub const SYSRING_ATTR_CHECKSUM: u32 = 11;
/// Attributes of the program's own: see struct sysring_extension and sysring_extension_answer().
pub const SYSRING_ATTR_EXTENSIONS: u32 = 63;

/// Without blocking, where it was issued.
pub const SYSRING_PATH_INLINE: u64 = 1;
/// When its descriptor was ready.
pub const SYSRING_PATH_READINESS: u64 = 2;
/// By the kernel's AIO.
pub const SYSRING_PATH_AIO: u64 = 3;
/// By another thread.
pub const SYSRING_PATH_WORKER: u64 = 4;
/// By sysring_issue_sync(), in place: if it blocked, the caller waited in it.
pub const SYSRING_PATH_IN_PLACE: u64 = 5;
/// By the kernel's io_uring.
pub const SYSRING_PATH_IO_URING: u64 = 6;
/// By a thread that another took over from when it blocked: a call of a scope (Rust).
pub const SYSRING_PATH_TAKEN_OVER: u64 = 7;

/// SYSRING_ATTR_TIMING, in nanoseconds of CLOCK_MONOTONIC.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct sysring_timing {
    /// Given to the context.
    pub queued: u64,
    /// The system call was begun, for the last time.
    pub issued: u64,
    /// Its result was there.
    pub completed: u64,
}

/// SYSRING_ATTR_CACHE
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct sysring_cache {
    /// 0: a miss, 1: a hit, 2: part of it.
    pub outcome: u64,
    /// Bytes that came from the cache.
    pub bytes: u64,
}

/// SYSRING_ATTR_PLACE
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct sysring_place {
    /// The processor.
    pub cpu: u32,
    /// The thread's id.
    pub thread: u32,
}

/// SYSRING_ATTR_CHECKSUM
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct sysring_checksum {
    /// As of iSCSI, ext4 and Btrfs.
    pub crc32c: u64,
    /// Of so many bytes.
    pub bytes: u64,
}

const _: () = {
    assert!(size_of::<sysring_wanted>() == size_of::<Wanted>());
    assert!(size_of::<sysring_asked_extension>() == size_of::<attr::Extension>());
    assert!(1 << SYSRING_ATTR_EXTENSIONS == attr::EXTENSIONS);
    assert!(size_of::<sysring_event>() == 512);
    assert!(SYSRING_EVENT_LONGEST as usize == MAX_LEN);
    assert!(1 << SYSRING_ATTR_CHECKSUM == <attr::Checksum as attr::Attribute>::MASK);
    assert!(SYSRING_PATH_TAKEN_OVER == attr::Path::TakenOver as u64);
};

/// Copies an attribute's value out of an event, as much as `size` bytes hold. Its length in bytes,
/// 0 for one without a value; -ENODATA: it was not handled.
///
/// # Safety
/// `event` is one, and as long as it says; `value` has room for `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysring_attribute(
    event: *const sysring_event,
    attribute: u32,
    value: *mut c_void,
    size: usize,
) -> c_int {
    // SAFETY: the caller's promise.
    let (handled, values) = unsafe { values_of(event) };
    let Some(words) = attr::value(attribute, handled, values) else {
        return Errno::ENODATA.to_res();
    };
    let len = size_of_val(words);
    // SAFETY: the room is the caller's promise.
    unsafe {
        core::ptr::copy_nonoverlapping(words.as_ptr().cast(), value.cast::<u8>(), len.min(size))
    };
    len as c_int
}

/// What the handler of an attribute of the program's own has returned, out of an event into
/// `*answer`. 0; -ENODATA: it was not asked.
///
/// # Safety
/// `event` is one, and as long as it says; `answer` may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysring_extension_answer(
    event: *const sysring_event,
    number: u32,
    answer: *mut u64,
) -> c_int {
    // SAFETY: the caller's promise.
    let (handled, values) = unsafe { values_of(event) };
    let found = attr::extension(number, handled, values);
    let Some(&[word]) = found else { return Errno::ENODATA.to_res() };
    // SAFETY: the caller's promise.
    unsafe { answer.write(word) };
    0
}

/// What was handled of an event, and the values that it has, which may be more than the structure holds.
///
/// # Safety
/// It is as long as it says.
unsafe fn values_of<'a>(event: *const sysring_event) -> (u64, &'a [u64]) {
    const MOST: usize = MAX_LEN / 8 - 4;
    // SAFETY: the caller's promise.
    unsafe {
        let used = ((*event).length as usize).saturating_sub(32) / 8;
        let values = (&raw const (*event).values).cast::<u64>();
        ((*event).handled, core::slice::from_raw_parts(values, used.min(MOST)))
    }
}

/// What a program asks for.
///
/// # Safety
/// It is null, or as long as it says.
pub(crate) unsafe fn wanted(given: *const sysring_wanted) -> Result<Wanted> {
    /// No version of the structure will be longer.
    const LONGEST: usize = 4096;
    if given.is_null() {
        return Ok(Wanted::NONE);
    }
    // SAFETY: the caller's promise.
    let size = unsafe { (*given).size } as usize;
    if size > LONGEST {
        return Err(Errno::E2BIG);
    }
    // SAFETY: the caller's promise: as long as it says.
    Wanted::parse(unsafe { core::slice::from_raw_parts(given.cast(), size) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two structures are one, field by field.
    #[test]
    fn what_is_wanted_is_understood() {
        let given = sysring_wanted {
            size: size_of::<sysring_wanted>() as u32,
            rw_flags: 1,
            required: 2,
            best_effort: 4,
            deadline: 5,
            trace: 6,
            retries: 7,
            ioprio: 8,
            reserved: 0,
            credentials: 9,
            extension_count: 10,
            extensions: core::ptr::without_provenance(11),
        };
        // SAFETY: it is as long as it says.
        let wanted = unsafe { wanted(&raw const given) }.unwrap();
        assert_eq!((wanted.rw_flags(), wanted.deadline(), wanted.trace()), (1, 5, 6));
        assert_eq!((wanted.retries(), wanted.ioprio(), wanted.credentials()), (7, 8, 9));
        assert_eq!(wanted.extensions(), (11, 10));
        assert!(wanted.requires(2) && !wanted.requires(4));
        assert_eq!(wanted.agree(6), Ok(6));
    }
}
