//! Where contexts can be moved, and why not elsewhere.

use core::fmt;

use sysring_sys::Errno;

/// Why the calls of a scope run to their end in place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Unavailable {
    /// It was not wanted ([`Builder::moves`](crate::Builder::moves)).
    NotWanted,
    /// Only x86-64 has been done.
    Architecture,
    /// The processor or the kernel (before 5.9, or started with `nofsgsbase`) does not let programs
    /// set the base of FS.
    FsGsBase,
    /// A shadow stack is active, which cannot be moved.
    ShadowStack,
    /// The thread has no thread-local storage by which it could be told from others.
    ThreadPointer,
    /// Somebody else than glibc uses restartable sequences (`rseq(2)`) in this thread.
    RestartableSequences,
    /// No thread, no memory, or no `membarrier(2)` to be had.
    Refused(Errno),
    /// This process was forked inside the scope; its threads stayed with the parent.
    Forked,
    /// The scope was begun by a signal handler that interrupted a scope that waits.
    InHandler,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self {
            Unavailable::NotWanted => "moving was not wanted",
            Unavailable::Architecture => "not on this architecture",
            Unavailable::FsGsBase => "programs may not set the base of FS here",
            Unavailable::ShadowStack => "a shadow stack is active",
            Unavailable::ThreadPointer => "the thread has no thread-local storage",
            Unavailable::RestartableSequences => "restartable sequences are in use",
            Unavailable::Refused(errno) => {
                return write!(f, "what it needs was refused: {errno}");
            }
            Unavailable::Forked => "the scope was begun by the parent of this process",
            Unavailable::InHandler => "a signal handler interrupted another scope's wait",
        };
        f.write_str(why)
    }
}

impl core::error::Error for Unavailable {}

/// Whether a scope that this thread begins now could move its context, as far as can be told before.
///
/// # Errors
/// Why not.
pub fn available() -> Result<(), Unavailable> {
    #[cfg(target_arch = "x86_64")]
    return x86_64::available();
    #[cfg(not(target_arch = "x86_64"))]
    Err(Unavailable::Architecture)
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use core::sync::atomic::{AtomicU8, Ordering::Relaxed};

    use sysring_sys::raw::general as g;
    use sysring_sys::{User, call};

    use super::Unavailable;
    use crate::arch;

    pub fn available() -> Result<(), Unavailable> {
        if !may_set_fs_base() {
            return Err(Unavailable::FsGsBase);
        }
        if arch::has_shadow_stack() {
            return Err(Unavailable::ShadowStack);
        }
        // SAFETY: just asked.
        if unsafe { arch::fs_base() } == 0 {
            return Err(Unavailable::ThreadPointer);
        }
        Ok(())
    }

    /// `AT_HWCAP2` has the word of the kernel, once for all.
    fn may_set_fs_base() -> bool {
        const NO: u8 = 1;
        const YES: u8 = 2;
        static ANSWER: AtomicU8 = AtomicU8::new(0);
        match ANSWER.load(Relaxed) {
            0 => {
                let may = hwcap2() & 1 << 1 != 0;
                ANSWER.store(if may { YES } else { NO }, Relaxed);
                may
            }
            answer => answer == YES,
        }
    }

    /// The second word of hardware capabilities in the auxiliary vector; 0 if it cannot be had.
    fn hwcap2() -> u64 {
        const AT_HWCAP2: u64 = 26;
        const PR_GET_AUXV: u32 = 0x4155_5856;
        let mut vector = [[0u64; 2]; 64];
        let at = vector.as_mut_ptr() as usize;
        // SAFETY: the kernel writes at most the vector.
        let asked = unsafe { call::prctl(PR_GET_AUXV, [at, size_of_val(&vector), 0, 0]) };
        if asked.is_err() {
            // Before Linux 6.4.
            read(c"/proc/self/auxv", &mut vector);
        }
        let entry = vector.iter().find(|entry| entry[0] == AT_HWCAP2);
        entry.map_or(0, |entry| entry[1])
    }

    fn read(path: &core::ffi::CStr, into: &mut [[u64; 2]; 64]) {
        let path = User::of(path.as_ptr().cast());
        let Ok(fd) = call::openat(sysring_sys::Fd::CWD, path, g::O_RDONLY | g::O_CLOEXEC, 0) else {
            return;
        };
        let buffer = call::Buffer { address: User::of(into.as_mut_ptr()).cast(), len: 1024 };
        // SAFETY: the array is borrowed mutably, and so long.
        let _ = unsafe { call::read(fd, buffer) };
        let _ = call::close(fd);
    }
}
