//! Attributes of a ring's operations.

use core::fmt;

use sysring_events::attr::{
    Answers, Attribute, Checksum, Credentials, Deadline, Full as Whole, Ioprio, Path, Retry,
    RwFlags, Timing, Trace, Wanted,
};
use sysring_events::crc32c;
use sysring_sys::abi::Timespec;
use sysring_sys::abi::io_uring::{self as abi, feat, op, sqe_flags, timeout};
use sysring_sys::{Errno, call, vdso};

use super::Ring;
use super::entry::{CqEntry, Cqe, SqEntry, Sqe};
use super::submission::{Full, Submission};

/// An operation of a ring's that is asked for attributes ([`events::attr`](crate::events::attr)), as
/// native calls can be.
///
/// | attribute | on a ring |
/// |---|---|
/// | timing | queued: when this was made; issued: when it was pushed, for the last time; completed: when its completion was handed to [`completed`](Asked::completed) |
/// | path | [`Path::IoUring`], of the kernel's io_uring; not handled on the engine, which does not tell here |
/// | deadline | by a linked timeout, which is an entry of its own |
/// | full | reads and writes of one buffer: short ones are to be pushed again |
/// | retry | likewise those that end with `EINTR` or `EAGAIN`: at once, or when the program thinks fit |
/// | I/O priority | reads and writes, in the entry's field, by the kernel's io_uring; the engine does not honour it |
/// | rw flags | reads and writes, in the entry's field |
/// | credentials | a number of [`Register::personality`](crate::Register::personality), of this ring |
/// | trace | echoed |
/// | checksum | reads and writes of one buffer, which is read once more |
/// | cache, place, extensions | not handled: the kernel does not tell, and runs no code of the program's |
///
/// ```
/// use sysring::events::attr::{Answers, Attribute, Path, Timing, Wanted};
/// use sysring::{Asked, Outcome, Ring, op};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut ring = Ring::new(8)?;
/// let wanted = Wanted::NONE.required(Timing::MASK).best_effort(Path::MASK);
/// let mut nop = Asked::on(&ring, op::Nop::new(), &wanted)?;
/// // SAFETY: a NOP has no memory, and `nop` stays until it is complete.
/// unsafe { nop.push(&mut ring.submission())? };
/// ring.submit_and_wait(1)?;
/// let completion = ring.completion().expect("waited for");
/// let mut answers = Answers::none();
/// // SAFETY: its completion; it had no memory.
/// let outcome = unsafe { nop.completed(&completion, &mut answers) };
/// assert_eq!(outcome, Outcome::Done(Ok(0)));
/// let timing: Timing = answers.get().expect("required");
/// println!("{} ns, {:?}", timing.completed - timing.issued, answers.get::<Path>());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy)]
pub struct Asked {
    /// As it is to be pushed: behind what has moved.
    entry: abi::Sqe,
    wanted: Wanted,
    agreed: u64,
    /// Where its data lies, all of it.
    data: (u64, u32),
    until: Timespec,
    /// What spares the completion of a deadline, where the ring knows it (Linux 5.17).
    skip: u8,
    moved: u32,
    pushes: u64,
    retries: u64,
    timing: Timing,
}

/// What a completion means for the operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It is over: its result, of all that was pushed for it.
    Done(Result<u32, Errno>),
    /// It goes on: [`push`](Asked::push) it once more. Part of it has been done, or nothing, for now.
    Again,
}

/// One buffer, at an address that the entry has.
const FLAT: [u8; 2] = [op::READ, op::WRITE];
const READS_AND_WRITES: [u8; 6] =
    [op::READ, op::WRITE, op::READV, op::WRITEV, op::READ_FIXED, op::WRITE_FIXED];

/// The position of the file.
const CURRENT: u64 = u64::MAX;

impl Asked {
    /// What the completions of deadlines carry, as far as there are any: they mean nothing.
    pub const TIMER: u64 = u64::MAX;

    /// An operation that is to go to that ring, with what can be done of what is wanted.
    ///
    /// # Errors
    /// `EOPNOTSUPP`: something is required that cannot be honoured for this operation, by this ring.
    /// `EINVAL`: credentials are required that are not registered with this ring. `EPERM`, `EINVAL`: an
    /// I/O priority is required that this thread may not have.
    pub fn on<S: SqEntry, C: CqEntry>(
        ring: &Ring<S, C>,
        entry: impl Into<Sqe>,
        wanted: &Wanted,
    ) -> Result<Asked, Errno> {
        let mut entry = *entry.into().raw();
        let mut can = can(&entry);
        if ring.report().is_kernel() {
            can |= Path::MASK;
        } else {
            can &= !Ioprio::MASK;
        }
        let known = |id: &u16| ring.handle.personalities.has(*id);
        let personality = u16::try_from(wanted.credentials()).ok().filter(known);
        if personality.is_none() {
            if wanted.requires(Credentials::MASK) {
                return Err(Errno::EINVAL);
            }
            can &= !Credentials::MASK;
        }
        let mut agreed = wanted.agree(can)?;
        if agreed & Ioprio::MASK != 0 {
            match call::check_io_priority(wanted.ioprio()) {
                Ok(()) => entry.ioprio = wanted.ioprio(),
                Err(e) if wanted.requires(Ioprio::MASK) => return Err(e),
                Err(_) => agreed &= !Ioprio::MASK,
            }
        }
        if agreed & RwFlags::MASK != 0 {
            entry.op_flags |= wanted.rw_flags();
        }
        if let Some(personality) = personality.filter(|_| agreed & Credentials::MASK != 0) {
            entry.personality = personality;
        }
        let skips = ring.report().features() & feat::CQE_SKIP != 0;
        let queued = if agreed & Timing::MASK != 0 { vdso::monotonic() } else { 0 };
        Ok(Asked {
            data: (entry.addr, entry.len),
            entry,
            wanted: *wanted,
            agreed,
            until: Timespec { tv_sec: 0, tv_nsec: 0 },
            skip: if skips { sqe_flags::CQE_SKIP_SUCCESS } else { 0 },
            moved: 0,
            pushes: 0,
            retries: 0,
            timing: Timing { queued, ..Timing::default() },
        })
    }

    /// The attributes that are honoured, but for those that have no answer.
    #[must_use]
    pub fn agreed(&self) -> u64 {
        self.agreed
    }

    /// Adds its entry, and that of its deadline behind it.
    ///
    /// # Safety
    /// As for [`Ring::push`], of the entry. This value stays where it is until the entries are
    /// submitted: the deadline lies in it.
    ///
    /// # Errors
    /// [`Full`]: nothing was added.
    pub unsafe fn push<S>(&mut self, to: &mut Submission<'_, S>) -> Result<(), Full>
    where
        S: SqEntry + From<Sqe>,
    {
        let has_deadline = self.agrees::<Deadline>();
        if to.room() < 1 + usize::from(has_deadline) {
            return Err(Full);
        }
        self.pushes += 1;
        if self.agrees::<Timing>() {
            self.timing.issued = vdso::monotonic();
        }
        let mut entry = self.entry;
        if !has_deadline {
            // SAFETY: the caller's promise.
            return unsafe { to.push(Sqe::from_raw(entry)) };
        }
        const NSEC: u64 = 1_000_000_000;
        let at = self.wanted.deadline();
        let (tv_sec, tv_nsec) = ((at / NSEC) as i64, (at % NSEC) as i64);
        self.until = Timespec { tv_sec, tv_nsec };
        entry.flags |= sqe_flags::IO_LINK;
        let timer = abi::Sqe {
            opcode: op::LINK_TIMEOUT,
            flags: self.skip,
            fd: -1,
            addr: (&raw const self.until) as u64,
            len: 1,
            op_flags: timeout::ABS,
            user_data: Asked::TIMER,
            ..abi::Sqe::default()
        };
        // SAFETY: the caller's promise; the time is in this value.
        unsafe {
            to.push(Sqe::from_raw(entry))?;
            to.push(Sqe::from_raw(timer))
        }
    }

    /// What its completion means: one with its `user_data`. If it is over, `answers` has the values of
    /// what was honoured.
    ///
    /// # Safety
    /// The completion is of what was [pushed](Asked::push) last, and what that read or wrote is still
    /// there: a checksum is of this memory.
    pub unsafe fn completed(
        &mut self,
        completion: &impl AsRef<Cqe>,
        answers: &mut Answers<'_>,
    ) -> Outcome {
        let completion = completion.as_ref();
        let result = completion.result();
        if self.agrees::<Timing>() {
            self.timing.completed = vdso::monotonic();
        }
        if !completion.more() && self.goes_on(result) {
            return Outcome::Again;
        }
        let whole = match (result, self.moved) {
            (Ok(n), moved) => Ok(moved.saturating_add(n)),
            (Err(e), 0) => Err(e),
            (Err(_), moved) => Ok(moved),
        };
        self.answer(whole, answers);
        Outcome::Done(whole)
    }

    fn agrees<A: Attribute>(&self) -> bool {
        self.agreed & A::MASK != 0
    }

    fn goes_on(&mut self, result: Result<u32, Errno>) -> bool {
        match result {
            Err(Errno::EINTR | Errno::EAGAIN) if self.agrees::<Retry>() => {
                let again = self.retries < self.wanted.retries().into() && !self.is_late();
                self.retries += u64::from(again);
                again
            }
            Ok(n) if self.agrees::<Whole>() && n != 0 && n < self.entry.len => {
                self.moved += n;
                self.entry.addr += u64::from(n);
                self.entry.len -= n;
                if self.entry.off != CURRENT {
                    self.entry.off += u64::from(n);
                }
                true
            }
            _ => false,
        }
    }

    fn is_late(&self) -> bool {
        self.agrees::<Deadline>() && vdso::monotonic() >= self.wanted.deadline()
    }

    fn answer(&self, result: Result<u32, Errno>, answers: &mut Answers<'_>) {
        answers.clear();
        self.set(answers, || self.timing);
        self.set(answers, || Path::IoUring);
        self.set(answers, || Deadline {
            expired: result == Err(Errno::ECANCELED) && self.is_late(),
        });
        self.set(answers, || Whole(self.pushes));
        self.set(answers, || Ioprio);
        self.set(answers, || RwFlags);
        self.set(answers, || Credentials);
        self.set(answers, || Retry(self.retries));
        self.set(answers, || Trace(self.wanted.trace()));
        self.set(answers, || {
            let len = result.unwrap_or(0).min(self.data.1) as usize;
            let data: &[u8] = if len == 0 {
                &[]
            } else {
                // SAFETY: so much has moved from or to there, and it is still there: the promise made to
                // `completed`, which alone gets here.
                unsafe { core::slice::from_raw_parts(self.data.0 as *const u8, len) }
            };
            Checksum { crc32c: crc32c(0, data), bytes: len as u64 }
        });
    }

    fn set<A: Attribute>(&self, answers: &mut Answers<'_>, value: impl FnOnce() -> A) {
        if self.agrees::<A>() {
            answers.set(&value());
        }
    }
}

/// What can be honoured for an operation by any ring.
fn can(entry: &abi::Sqe) -> u64 {
    let mut mask = Timing::MASK | Trace::MASK | Retry::MASK | Credentials::MASK;
    // A link of the program's own ends where ours would begin.
    if entry.flags & (sqe_flags::IO_LINK | sqe_flags::IO_HARDLINK) == 0 {
        mask |= Deadline::MASK;
    }
    if READS_AND_WRITES.contains(&entry.opcode) {
        mask |= Ioprio::MASK | RwFlags::MASK;
    }
    if FLAT.contains(&entry.opcode) && entry.flags & sqe_flags::BUFFER_SELECT == 0 {
        mask |= Whole::MASK | Checksum::MASK;
    }
    mask
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked")
            .field("entry", &self.entry)
            .field("agreed", &format_args!("{:#x}", self.agreed))
            .field("moved", &self.moved)
            .finish_non_exhaustive()
    }
}
