//! Room for the engine's descriptors, beside the program's.

/// What suffices for many rings and registered files: both take descriptors above
/// `sysring_engine::descriptors::FLOOR`, where the usual limit of 1024 leaves room for few.
pub const ENOUGH: libc::rlim_t = 4096;

/// What one ring, its threads, and a few files of theirs take. With less, rings are not to be had, or
/// nothing can be done with them.
pub const LEAST: libc::rlim_t = sysring_engine::descriptors::FLOOR.raw() as libc::rlim_t + 16;

/// The limit on open files.
pub fn now() -> libc::rlimit {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes into a local. It cannot fail: the resource is known, the address good.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    limit
}

/// Why the engine cannot work below this limit, however far it is raised.
pub fn shortfall(limit: &libc::rlimit) -> Option<String> {
    (limit.rlim_max < LEAST).then(|| {
        let (hard, floor) = (limit.rlim_max, sysring_engine::descriptors::FLOOR.raw());
        format!(
            "the hard limit on open files (ulimit -Hn) is {hard}, and the engine's descriptors begin at {floor}"
        )
    })
}

/// Raises the limit on open files to what suffices, or as far as it may be: no further than the hard limit,
/// where the engine has room for fewer rings and registered files, from [`LEAST`] on for some.
pub fn raise() {
    let mut limit = now();
    if limit.rlim_cur < ENOUGH {
        limit.rlim_cur = ENOUGH.min(limit.rlim_max);
        // SAFETY: reads a local.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
    }
}
