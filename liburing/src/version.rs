//! Which liburing this stands in for.

use core::ffi::c_int;

const MAJOR: c_int = 2;
const MINOR: c_int = 15;

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_major_version() -> c_int {
    MAJOR
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_minor_version() -> c_int {
    MINOR
}

/// Whether the version asked for is newer than this one.
#[unsafe(no_mangle)]
pub extern "C" fn io_uring_check_version(major: c_int, minor: c_int) -> bool {
    (major, minor) > (MAJOR, MINOR)
}
