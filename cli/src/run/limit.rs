//! Room for the engine's descriptors, beside the program's.

/// What suffices for many rings and registered files: both take descriptors above
/// `sysring_engine::descriptors::FLOOR`, where the usual limit of 1024 leaves room for few.
pub const ENOUGH: libc::rlim_t = 4096;

/// Raises the limit on open files to what suffices, or as far as it may be.
pub fn raise() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes into a local.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } == 0;
    if known && limit.rlim_cur < ENOUGH {
        limit.rlim_cur = ENOUGH.min(limit.rlim_max);
        // Where it may not be raised, the engine gets along with less.
        // SAFETY: reads a local.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
    }
}
