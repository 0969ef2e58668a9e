//! Attributes of native calls: what is asked of one beyond its result.
//!
//! A call that is asked nothing never comes here. What is asked is carried beside the call, on the
//! stack of who issues it; in a block of the request's if it becomes pending. Each attribute is a few
//! lines at the points that all calls pass: before the system call, after it, and when its answer is
//! told.

mod again;
pub(super) mod can;
mod extensions;
mod ioprio;
mod pending;

use sysring_events::attr::{
    Answers, Attribute, Cache, CacheOutcome, Checksum, Credentials, Deadline, Full, Ioprio, Path,
    Place, Retry, RwFlags, Timing, Trace, Wanted,
};
use sysring_events::crc32c;
use sysring_sys::abi::Iovec;
use sysring_sys::abi::aio::{IOCB_FLAG_IOPRIO, Iocb};
use sysring_sys::{Errno, Result, User, call, vdso};

use super::{Attempt, Call, Placement};
use crate::user;

pub use again::Next;
pub use can::of_number as attributes_of;
use extensions::Extended;
pub use extensions::{ForeignHandler, Handler, Handlers};
pub use pending::{
    add_deadline, after, answer, attach, before, forget, hand_over, next, pause, release,
    take_back, take_path,
};

/// A call and what is asked of it.
#[derive(Debug)]
pub struct Asked {
    /// As it goes on: behind what has moved.
    pub call: Call,
    wanted: Wanted,
    agreed: u64,
    /// Where its data lies, all of it.
    data: (usize, usize),
    /// The buffer of a call that was given without a vector and is made with one.
    vector: Option<Iovec>,
    /// Bytes moved by earlier system calls.
    pub moved: usize,
    calls: u64,
    retries: u64,
    /// There is to be waited before the next try.
    pauses: bool,
    timing: Timing,
    path: Path,
    cache: Option<Cache>,
    place: Place,
    /// The thread's own I/O priority, while it is another.
    ioprio: usize,
    extended: Extended,
}

/// What can be told of any call without doing anything about it.
const TOLD: u64 = Timing::MASK | Path::MASK | Trace::MASK;

/// The short way of a call that is asked no more than [`TOLD`], and does not block: nothing is put
/// together. Of one that blocks, when it was queued.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    mask: u64,
    trace: u64,
    queued: u64,
}

impl Told {
    /// Before the call; nothing if more is wanted.
    #[inline]
    pub fn begin(wanted: &Wanted) -> Option<Told> {
        let mask = wanted.mask();
        if mask & !TOLD != 0 {
            return None;
        }
        let queued = if mask & Timing::MASK != 0 { vdso::monotonic() } else { 0 };
        Some(Told { mask, trace: wanted.trace(), queued })
    }

    /// After it.
    #[inline]
    pub fn answer(&self, answers: &mut Answers<'_>) {
        let mut given = Given { agreed: self.mask, answers };
        given.set(|| {
            let completed = vdso::monotonic();
            Some(Timing { queued: self.queued, issued: self.queued, completed })
        });
        given.set(|| Some(Path::Inline));
        given.set(|| Some(Trace(self.trace)));
    }

    /// What a call that blocks goes on with.
    pub fn go_on(&self, call: &Call, wanted: &Wanted) -> Asked {
        let mut asked = Asked::new(call, wanted, self.mask);
        asked.calls = 1;
        asked.timing = Timing { queued: self.queued, issued: self.queued, completed: 0 };
        asked
    }
}

impl Asked {
    /// What can be done of what is wanted: nothing of `barred`, which the way that the call is made
    /// rules out.
    ///
    /// # Errors
    /// `EOPNOTSUPP`: something is required that cannot be honoured for this call. `EPERM`, `EINVAL`:
    /// an I/O priority is required that may not be had.
    pub fn agree(call: &Call, wanted: &Wanted, handlers: &Handlers, barred: u64) -> Result<Asked> {
        let mut agreed = wanted.agree(can::of(call, wanted) & !barred)?;
        let extended = handlers.agree(call, wanted)?;
        if agreed & Ioprio::MASK != 0
            && let Err(e) = call::check_io_priority(wanted.ioprio())
        {
            if wanted.requires(Ioprio::MASK) {
                return Err(e);
            }
            agreed &= !Ioprio::MASK;
        }
        let mut asked = Asked::new(call, wanted, agreed);
        asked.extended = extended;
        if asked.is_asked::<Timing>() {
            asked.timing.queued = vdso::monotonic();
        }
        if asked.is_asked::<RwFlags>() {
            can::with_flags(&mut asked.call, &mut asked.vector, wanted.rw_flags());
        }
        Ok(asked)
    }

    fn new(call: &Call, wanted: &Wanted, agreed: u64) -> Asked {
        Asked {
            call: *call,
            wanted: *wanted,
            agreed,
            data: (call.args[1], call.args[2]),
            vector: None,
            moved: 0,
            calls: 0,
            retries: 0,
            pauses: false,
            timing: Timing::default(),
            path: Path::Inline,
            cache: None,
            place: Place { cpu: 0, thread: 0 },
            ioprio: 0,
            extended: Extended::default(),
        }
    }

    #[inline(always)]
    fn is_asked<A: Attribute>(&self) -> bool {
        self.agreed & A::MASK != 0
    }

    /// Makes the call as far as it does not block.
    ///
    /// # Safety
    /// As for [`super::attempt`].
    ///
    /// # Errors
    /// `EOPNOTSUPP`: the call makes no sense asynchronously.
    pub unsafe fn attempt(&mut self, placement: Placement) -> Result<Attempt> {
        if self.is_late() {
            return Ok(Attempt::failed(Errno::ECANCELED));
        }
        let waits = self.is_asked::<Deadline>() && can::may_wait_in_place(&self.call);
        if placement == Placement::Worker || waits {
            // SAFETY: passed on to the caller. The call is not made here.
            return unsafe { super::attempt(&self.call, Placement::Worker) };
        }
        loop {
            self.own_vector();
            if let Err(e) = self.before() {
                return Ok(Attempt::Done(self.whole(e.to_res() as isize)));
            }
            // SAFETY: passed on to the caller. A vector of our own has the caller's one member.
            let attempt = unsafe { super::attempt(&self.call, placement) }?;
            self.after();
            self.note_cache(attempt);
            let Attempt::Done(answer) = attempt else { return Ok(attempt) };
            match self.next(answer) {
                Next::Over => return Ok(Attempt::Done(self.whole(answer))),
                Next::Now => self.advance(answer),
                // Not on this thread, which would have to wait for that.
                Next::Later => return Ok(Attempt::SLEEPER),
            }
        }
    }

    /// Makes the call, whether it blocks or not.
    ///
    /// # Safety
    /// As for [`sysring_sys::arch::syscall`].
    pub unsafe fn make(&mut self) -> isize {
        self.path = Path::InPlace;
        loop {
            self.own_vector();
            if let Err(e) = self.before() {
                return self.whole(e.to_res() as isize);
            }
            // SAFETY: passed on to the caller.
            let answer = unsafe { self.call.make() };
            self.after();
            match self.next(answer) {
                Next::Over => return self.whole(answer),
                Next::Now => self.advance(answer),
                Next::Later => self.pause(),
            }
        }
    }

    /// The vector is where we are, which may have moved.
    pub fn own_vector(&mut self) {
        if let Some(vector) = &self.vector {
            self.call.args[1] = core::ptr::from_ref(vector) as usize;
        }
    }

    /// Before each system call, by the thread that makes it.
    ///
    /// # Errors
    /// `EPERM`: a priority is required that this thread may not have: the call is not to be made.
    #[inline]
    fn before(&mut self) -> Result<()> {
        self.calls += 1;
        if self.is_asked::<Timing>() {
            // The first time, it is issued when it is queued.
            let first = self.calls == 1 && matches!(self.path, Path::Inline | Path::InPlace);
            self.timing.issued = if first { self.timing.queued } else { vdso::monotonic() };
        }
        if self.is_asked::<Ioprio>() { self.raise() } else { Ok(()) }
    }

    #[inline]
    fn after(&mut self) {
        if self.is_asked::<Ioprio>() {
            self.lower();
        }
        if self.is_asked::<Timing>() {
            self.timing.completed = vdso::monotonic();
        }
        if self.is_asked::<Place>() {
            self.place = here();
        }
    }

    /// Before kernel AIO is given the call.
    fn hand_over(&mut self, request: &mut Iocb) {
        if self.is_asked::<Timing>() {
            self.timing.issued = vdso::monotonic();
        }
        if self.is_asked::<Ioprio>() {
            request.reqprio = self.wanted.ioprio() as i16;
            request.flags |= IOCB_FLAG_IOPRIO;
        }
        if self.is_asked::<Place>() {
            self.place = here();
        }
    }

    /// After it, or a thread, is done.
    fn take_back(&mut self) {
        if self.path == Path::Aio && self.is_asked::<Timing>() {
            self.timing.completed = vdso::monotonic();
        }
    }

    fn note_cache(&mut self, attempt: Attempt) {
        if !self.is_asked::<Cache>() || self.calls != 1 {
            return;
        }
        let (outcome, bytes) = match attempt {
            Attempt::Done(answer) if answer < 0 => return,
            Attempt::Done(answer) => {
                (CacheOutcome::Hit, if can::is_open(&self.call) { 0 } else { answer as u64 })
            }
            Attempt::Blocked { moved: 0, .. } => (CacheOutcome::Miss, 0),
            Attempt::Blocked { moved, .. } => (CacheOutcome::Partial, moved as u64),
        };
        self.cache = Some(Cache { outcome, bytes });
    }

    fn is_late(&self) -> bool {
        self.deadline().is_some_and(|at| vdso::monotonic() >= at)
    }

    /// Until when, if it matters.
    pub fn deadline(&self) -> Option<u64> {
        self.is_asked::<Deadline>().then(|| self.wanted.deadline())
    }

    /// The values, now that the result is there.
    pub fn answer(&self, result: isize, answers: &mut Answers<'_>) {
        answers.clear();
        let mut given = Given { agreed: self.agreed, answers };
        given.set(|| Some(self.timing));
        given.set(|| Some(self.path));
        given.set(|| self.cache);
        given.set(|| {
            let cancelled = result == Errno::ECANCELED.to_res() as isize;
            Some(Deadline { expired: cancelled && self.is_late() })
        });
        given.set(|| Some(Full(self.calls)));
        given.set(|| Some(Ioprio));
        given.set(|| Some(RwFlags));
        given.set(|| Some(Credentials));
        given.set(|| Some(self.place));
        given.set(|| Some(Retry(self.retries)));
        given.set(|| Some(Trace(self.wanted.trace())));
        given.set(|| self.checksum(result));
        self.extended.answer(answers);
    }

    /// Of the data that has moved, read as it lies there now.
    fn checksum(&self, result: isize) -> Option<Checksum> {
        let mut left = Errno::from_ret(result).unwrap_or(0).min(self.data.1);
        let mut checksum = Checksum { crc32c: 0, bytes: left as u64 };
        let mut some = [0u8; 1024];
        let mut from = User::<u8>::new(self.data.0 as u64);
        while left != 0 {
            let part = &mut some[..left.min(1024)];
            user::read_slice(part, from).ok()?;
            checksum.crc32c = crc32c(checksum.crc32c, part);
            from = from.add(part.len());
            left -= part.len();
        }
        Some(checksum)
    }
}

/// Answers, of which only those that were agreed on are given.
struct Given<'a, 'b> {
    agreed: u64,
    answers: &'a mut Answers<'b>,
}

impl Given<'_, '_> {
    #[inline(always)]
    fn set<A: Attribute>(&mut self, value: impl FnOnce() -> Option<A>) {
        if self.agreed & A::MASK != 0
            && let Some(value) = value()
        {
            self.answers.set(&value);
        }
    }
}

fn here() -> Place {
    Place { cpu: vdso::processor(), thread: call::gettid() as u32 }
}
