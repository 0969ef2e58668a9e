//! Signals: what `rt_sigaction` and a SIGSYS handler see.

/// The kernel's signal set: 64 bits, bit `n - 1` for signal `n`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(transparent)]
pub struct SigSet(pub u64);

impl SigSet {
    /// No signal.
    pub const EMPTY: SigSet = SigSet(0);
    /// Every signal.
    pub const ALL: SigSet = SigSet(!0);

    /// The set with `signal` in it.
    #[must_use]
    pub const fn with(self, signal: i32) -> SigSet {
        SigSet(self.0 | 1 << (signal - 1))
    }

    /// The set with `signal` taken out.
    #[must_use]
    pub const fn without(self, signal: i32) -> SigSet {
        SigSet(self.0 & !(1 << (signal - 1)))
    }

    /// Whether `signal` is in the set.
    #[must_use]
    pub const fn has(self, signal: i32) -> bool {
        self.0 & 1 << (signal - 1) != 0
    }
}

/// `struct sigaction` as the kernel has it (libc's differs).
#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
#[allow(missing_docs)]
pub struct SigAction {
    pub handler: usize,
    pub flags: u64,
    pub restorer: usize,
    pub mask: SigSet,
}

/// Size the kernel expects of a [`SigSet`].
pub const SIGSET_SIZE: usize = 8;

/// `siginfo_t` of a SIGSYS raised by seccomp.
#[derive(Clone, Copy)]
#[repr(C)]
#[allow(missing_docs)]
pub struct SigInfoSys {
    pub signo: i32,
    pub errno: i32,
    pub code: i32,
    _pad: i32,
    pub call_addr: usize,
    pub syscall: i32,
    pub arch: u32,
}

#[allow(missing_docs)]
pub const SIGSYS: i32 = 31;
#[allow(missing_docs)]
pub const SIG_DFL: usize = 0;
#[allow(missing_docs)]
pub const SIG_IGN: usize = 1;
#[allow(missing_docs)]
pub const SIG_BLOCK: i32 = 0;
#[allow(missing_docs)]
pub const SIG_UNBLOCK: i32 = 1;
#[allow(missing_docs)]
pub const SIG_SETMASK: i32 = 2;
#[allow(missing_docs)]
pub const SA_SIGINFO: u64 = 4;
#[allow(missing_docs)]
pub const SA_RESTORER: u64 = 0x0400_0000;
#[allow(missing_docs)]
pub const SA_ONSTACK: u64 = 0x0800_0000;
/// `si_code` of a SIGSYS raised by a seccomp filter.
pub const SYS_SECCOMP: i32 = 1;
/// `si_code` of a signal sent with `tkill` or `tgkill`.
pub const SI_TKILL: i32 = -6;
/// `si_code` of a signal that a timer has sent.
pub const SI_TIMER: i32 = -2;

const _: () = assert!(size_of::<SigAction>() == 32);
