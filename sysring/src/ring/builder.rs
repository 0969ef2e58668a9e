//! Making a ring: what it needs, and what it would like.

use core::marker::PhantomData;
use core::time::Duration;

use sysring_door::choice::{self, Why};
use sysring_door::{self as door, Engine as Serves};
use sysring_sys::abi::io_uring::{Params, setup};
use sysring_sys::{Errno, Fd, User};

use super::entry::{CqEntry, Cqe, Cqe32, SqEntry, Sqe, Sqe128};
use super::limit::Limit;
use super::memory::Memory;
use super::mixed::{MixedCqe, MixedSqe};
use super::operations::Operations;
use super::queue::{Cq, Sq};
use super::report::{HINTS, Reason, Report, SetupError, Step};
use super::{Handle, Ring};
use crate::Engine;

/// What a new ring is to be: [`Ring::builder`].
///
/// Two kinds of wishes can be made. **Hints** make a ring faster and change nothing else; a kernel
/// that does not know one of them makes the ring without it, and the [`Report`] says so. **Needs**
/// change what a ring does: where the kernel cannot fulfil one, the engine in userspace is asked
/// (unless [`engine`](Builder::engine) says otherwise), and if neither can, there is an error.
///
/// ```
/// use sysring::{Ring, op};
///
/// # fn main() -> Result<(), sysring::SetupError> {
/// let ring = Ring::builder()
///     .defer_taskrun() // a hint
///     .cq_entries(4096) // a need
///     .require(op::Socket::CODE)
///     .build(256)?;
/// # drop(ring); Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder<S: SqEntry = Sqe, C: CqEntry = Cqe> {
    hints: u32,
    needs: u32,
    cq_entries: u32,
    thread_cpu: u32,
    thread_idle: u32,
    attach: u32,
    required: Operations,
    engine: Engine,
    strict: bool,
    entries: PhantomData<(S, C)>,
}

impl Builder<Sqe, Cqe> {
    pub(super) fn new() -> Builder<Sqe, Cqe> {
        Builder {
            hints: setup::NO_SQARRAY,
            needs: 0,
            cq_entries: 0,
            thread_cpu: 0,
            thread_idle: 0,
            attach: 0,
            required: Operations::none(),
            engine: Engine::Auto,
            strict: false,
            entries: PhantomData,
        }
    }
}

/// Hints.
impl<S: SqEntry, C: CqEntry> Builder<S, C> {
    /// Hint: only one thread submits, that which makes the ring (`IORING_SETUP_SINGLE_ISSUER`,
    /// Linux 6.0). Where it is known, submission from another thread fails with `EEXIST`.
    pub fn single_issuer(mut self) -> Self {
        self.hints |= setup::SINGLE_ISSUER;
        self
    }

    /// Hint: completions are worked off when the program waits for them, not in the middle of its
    /// other work (`IORING_SETUP_DEFER_TASKRUN`, Linux 6.1; implies
    /// [`single_issuer`](Builder::single_issuer)). The best choice for a thread with a loop of its own.
    pub fn defer_taskrun(mut self) -> Self {
        self.hints |= setup::SINGLE_ISSUER | setup::DEFER_TASKRUN;
        self
    }

    /// Hint: completions do not interrupt the program; they are worked off in its next call
    /// (`IORING_SETUP_COOP_TASKRUN`, Linux 5.19).
    pub fn coop_taskrun(mut self) -> Self {
        self.hints |= setup::COOP_TASKRUN;
        self
    }

    /// Takes hints for needs.
    pub fn strict(mut self) -> Self {
        self.strict = true;
        self
    }
}

/// Needs.
impl<S: SqEntry, C: CqEntry> Builder<S, C> {
    /// So many completions find room (`IORING_SETUP_CQSIZE`, Linux 5.5), rounded up to a power of two;
    /// without it twice as many as submissions do.
    pub fn cq_entries(mut self, entries: u32) -> Self {
        self.needs |= setup::CQSIZE;
        self.cq_entries = entries;
        self
    }

    /// Sizes beyond what there can be become the largest ones (`IORING_SETUP_CLAMP`, Linux 5.6).
    pub fn clamp(mut self) -> Self {
        self.needs |= setup::CLAMP;
        self
    }

    /// A thread looks for submissions, and goes to sleep when there were none for so long
    /// (`IORING_SETUP_SQPOLL`; by other users than root since Linux 5.11). `submit` then makes a
    /// call only to wake it.
    pub fn sqpoll(mut self, idle: Duration) -> Self {
        self.needs |= setup::SQPOLL;
        self.thread_idle = u32::try_from(idle.as_millis()).unwrap_or(u32::MAX);
        self
    }

    /// The thread of [`sqpoll`](Builder::sqpoll) stays on this processor (`IORING_SETUP_SQ_AFF`).
    pub fn sqpoll_cpu(mut self, cpu: u32) -> Self {
        self.needs |= setup::SQ_AFF;
        self.thread_cpu = cpu;
        self
    }

    /// Completions of storage are polled for, not told by interrupt (`IORING_SETUP_IOPOLL`): only
    /// for transfers with `O_DIRECT`, and few operations else.
    pub fn iopoll(mut self) -> Self {
        self.needs |= setup::IOPOLL;
        self
    }

    /// As [`iopoll`](Builder::iopoll), but asleep for about half of the time that a transfer takes
    /// (`IORING_SETUP_HYBRID_IOPOLL`, Linux 6.13).
    pub fn hybrid_iopoll(mut self) -> Self {
        self.needs |= setup::IOPOLL | setup::HYBRID_IOPOLL;
        self
    }

    /// `submit` goes on behind an entry that is invalid (`IORING_SETUP_SUBMIT_ALL`, Linux 5.18);
    /// without it, it ends there.
    pub fn submit_all(mut self) -> Self {
        self.needs |= setup::SUBMIT_ALL;
        self
    }

    /// The ring does nothing until [`Register::enable`](crate::Register::enable), so that
    /// restrictions can be set before (`IORING_SETUP_R_DISABLED`, Linux 5.10).
    pub fn disabled(mut self) -> Self {
        self.needs |= setup::R_DISABLED;
        self
    }

    /// Shares worker threads, and the thread of [`sqpoll`](Builder::sqpoll), with another ring of
    /// the same engine (`IORING_SETUP_ATTACH_WQ`, Linux 5.6).
    pub fn attach<T: SqEntry, D: CqEntry>(mut self, ring: &Ring<T, D>) -> Self {
        self.needs |= setup::ATTACH_WQ;
        self.attach = ring.fd().raw() as u32;
        self
    }

    /// The operation with this code must exist: `op::Socket::CODE`.
    pub fn require(mut self, code: u8) -> Self {
        self.required.add(code);
        self
    }

    /// Who is to serve. With [`Engine::Auto`], which is the default, `SYSRING_ENGINE` decides, or
    /// what works.
    pub fn engine(mut self, engine: Engine) -> Self {
        self.engine = engine;
        self
    }

    /// Submission entries of 128 bytes (`IORING_SETUP_SQE128`, Linux 5.19).
    pub fn large_submissions(self) -> Builder<Sqe128, C> {
        self.resized()
    }

    /// Completions of 32 bytes (`IORING_SETUP_CQE32`, Linux 5.19).
    pub fn large_completions(self) -> Builder<S, Cqe32> {
        self.resized()
    }

    /// Submission entries of 64 bytes, and some of 128, which take two places
    /// ([`Ring::push_large`], `IORING_SETUP_SQE_MIXED`, Linux 6.19).
    pub fn mixed_submissions(self) -> Builder<MixedSqe, C> {
        self.resized()
    }

    /// Completions of 16 bytes, and of 32 where an operation has more to tell
    /// (`IORING_SETUP_CQE_MIXED`, Linux 6.18). These take two places.
    pub fn mixed_completions(self) -> Builder<S, MixedCqe> {
        self.resized()
    }

    fn resized<T: SqEntry, D: CqEntry>(self) -> Builder<T, D> {
        Builder {
            hints: self.hints,
            needs: self.needs,
            cq_entries: self.cq_entries,
            thread_cpu: self.thread_cpu,
            thread_idle: self.thread_idle,
            attach: self.attach,
            required: self.required,
            engine: self.engine,
            strict: self.strict,
            entries: PhantomData,
        }
    }
}

impl<S: SqEntry, C: CqEntry> Builder<S, C> {
    /// Makes the ring, with room for so many submissions (rounded up to a power of two).
    ///
    /// # Errors
    /// A [`SetupError`], whose number is that of `io_uring_setup(2)` or `mmap(2)`:
    /// - `EINVAL`: no entries, or more than 32,768 without [`clamp`](Builder::clamp); fewer
    ///   completions than submissions; or a need that is not known, or does not go with another.
    /// - `EPERM`, `EACCES`, `ENOSYS`: the kernel refuses, and no other engine may serve.
    /// - `EOPNOTSUPP`: an operation that is required does not exist.
    /// - `ENOMEM`: out of memory, or the kernel may lock no more of it (`RLIMIT_MEMLOCK`), and no other
    ///   engine may serve.
    /// - `EMFILE`, `ENFILE`: out of descriptors; those of the engine lie at 960 and above.
    /// - `EBADF`, `EINVAL`: the ring to attach to is another engine's.
    pub fn build(&self, entries: u32) -> Result<Ring<S, C>, SetupError> {
        let (serves, reason) = match self.engine {
            Engine::Kernel => (Serves::Kernel, Reason::Asked),
            Engine::User => (Serves::User, Reason::Asked),
            Engine::Auto => {
                let why = choice::chosen();
                let reason = Reason::of_process(why);
                return match self.build_on(why.engine(), reason, entries) {
                    Err(error) if matches!(why, Why::KernelWorks | Why::Untried(_)) => {
                        self.elsewhere(error, entries)
                    }
                    Err(error) if matches!(reason, Reason::Refused { .. }) => {
                        Err(SetupError { refusal: Some(reason), ..error })
                    }
                    result => result,
                };
            }
        };
        self.build_on(serves, reason, entries).map_err(|mut error| {
            let refused = matches!(error.errno, Errno::EPERM | Errno::EACCES | Errno::ENOSYS);
            if serves == Serves::Kernel && refused {
                error.refusal = Reason::of_refusal();
            }
            error
        })
    }

    /// The kernel's io_uring works, but not for this ring: the engine may do.
    fn elsewhere(&self, error: SetupError, entries: u32) -> Result<Ring<S, C>, SetupError> {
        let reason = match (error.step, error.errno) {
            (Step::Operation(code), _) => Reason::Lacks { code },
            (Step::Setup, errno @ (Errno::EINVAL | Errno::EPERM)) => Reason::SetupRefused { errno },
            // The engine locks no memory.
            (Step::Setup, errno) if matches!(error.limit, Some(Limit::LockedMemory { .. })) => {
                Reason::SetupRefused { errno }
            }
            _ => return Err(error),
        };
        if cfg!(not(feature = "engine")) {
            return Err(error);
        }
        self.build_on(Serves::User, reason, entries).map_err(|_| error)
    }

    fn build_on(
        &self,
        serves: Serves,
        reason: Reason,
        entries: u32,
    ) -> Result<Ring<S, C>, SetupError> {
        let fail = |step| {
            move |errno| {
                let limit = Limit::behind(errno, serves);
                SetupError { errno, step, serves, refusal: None, limit }
            }
        };
        if serves == Serves::User && cfg!(not(feature = "engine")) && reason != Reason::Placed {
            return Err(fail(Step::NoEngine)(Errno::ENOSYS));
        }
        let (fd, params, left_out) = self.set_up(serves, entries).map_err(fail(Step::Setup))?;
        let handle = Handle::new(serves, fd, &params);
        let (sqe, cqe) = (size_of::<S>(), size_of::<C::Slot>());
        let memory = Memory::map(serves, fd, &params, sqe, cqe).map_err(fail(Step::Map))?;
        if !self.required.is_empty() {
            let known = Operations::of(&handle).map_err(fail(Step::Probe))?;
            if let Some(code) = self.required.first_not_in(&known) {
                return Err(fail(Step::Operation(code))(Errno::EOPNOTSUPP));
            }
        }
        let (flags, features) = (params.flags, params.features);
        // SAFETY: the memory was mapped for this ring, and goes with it.
        let (sq, cq) = unsafe { (Sq::new(&memory, &params), Cq::new(&memory, &params)) };
        let report = Report { serves, reason, flags, features, left_out };
        Ok(Ring { sq, cq, handle, _memory: memory, report })
    }

    /// Makes the ring with as many of the hints as are known. `EINVAL` does not say what it is
    /// about, so they are given up one by one, the newest first.
    fn set_up(&self, serves: Serves, entries: u32) -> Result<(Fd, Params, u32), Errno> {
        let mut hints = self.hints;
        // These do not go together: a thread of the kernel's has no other work to be interrupted in.
        if self.needs & setup::SQPOLL != 0 && !self.strict {
            hints &= !(setup::DEFER_TASKRUN | setup::COOP_TASKRUN);
        }
        loop {
            // Who holds work back is to say so: both are as old as each other.
            let told = match hints & (setup::DEFER_TASKRUN | setup::COOP_TASKRUN) {
                0 => 0,
                _ => setup::TASKRUN_FLAG,
            };
            let mut params = Params {
                cq_entries: self.cq_entries,
                flags: self.needs | hints | told | S::SETUP | C::SETUP,
                sq_thread_cpu: self.thread_cpu,
                sq_thread_idle: self.thread_idle,
                wq_fd: self.attach,
                ..Params::default()
            };
            match door::setup(serves, entries, User::of(&raw mut params)) {
                Ok(fd) => return Ok((Fd::new(fd as i32), params, self.hints & !hints)),
                Err(Errno::EINVAL) => {
                    let newest = HINTS.iter().find(|(flag, ..)| hints & flag != 0);
                    match newest {
                        Some((flag, ..)) if !self.strict || *flag == setup::NO_SQARRAY => {
                            hints &= !flag;
                        }
                        _ => return Err(Errno::EINVAL),
                    }
                }
                Err(errno) => return Err(errno),
            }
        }
    }
}
