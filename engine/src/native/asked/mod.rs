//! Attributes of native calls: what is asked of one beyond its result.
//!
//! A call that is asked nothing never comes here. What is asked is carried beside the call, on the
//! stack of who issues it; in a block of the request's if it becomes pending. Each attribute is a few
//! lines at the points that all calls pass: before the system call, after it, and when its answer is
//! told.

pub(super) mod can;
mod extensions;
mod pending;

use sysring_events::attr::{
    Answers, Attribute, Cache, CacheOutcome, Checksum, Credentials, Deadline, Full, Ioprio, Path,
    Place, Retry, RwFlags, Timing, Trace, Wanted,
};
use sysring_events::crc32c;
use sysring_sys::abi::Iovec;
use sysring_sys::abi::aio::{IOCB_FLAG_IOPRIO, Iocb};
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Result, User, call, vdso};

use super::{Attempt, Call, Placement};
use crate::user;

use extensions::Extended;
pub use extensions::{ForeignHandler, Handler, Handlers};
pub use pending::{
    add_deadline, after, answer, attach, before, forget, goes_on, hand_over, may_go_on, release,
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
    timing: Timing,
    path: Path,
    cache: Option<Cache>,
    place: Place,
    /// The thread's own I/O priority, while it is another.
    ioprio: usize,
    extended: Extended,
}

/// `IOPRIO_WHO_PROCESS`, of this thread.
const THIS_THREAD: [usize; 2] = [1, 0];

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
    /// What can be done of what is wanted.
    ///
    /// # Errors
    /// `EOPNOTSUPP`: something is required that cannot be honoured for this call. `EPERM`, `EINVAL`:
    /// an I/O priority is required that may not be had.
    pub fn agree(call: &Call, wanted: &Wanted, handlers: &Handlers) -> Result<Asked> {
        let mut agreed = wanted.agree(can::of(call))?;
        let extended = handlers.agree(call, wanted)?;
        if agreed & Ioprio::MASK != 0
            && let Err(e) = try_ioprio(wanted.ioprio())
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
        loop {
            self.own_vector();
            self.before();
            // SAFETY: passed on to the caller. A vector of our own has the caller's one member.
            let attempt = unsafe { super::attempt(&self.call, placement) }?;
            self.after();
            self.note_cache(attempt);
            match attempt {
                Attempt::Done(answer) if self.is_to_go_on(answer) => self.advance(answer),
                Attempt::Done(answer) => return Ok(Attempt::Done(self.whole(answer))),
                blocked => return Ok(blocked),
            }
        }
    }

    /// Makes the call, whether it blocks or not.
    ///
    /// # Safety
    /// As for [`sysring_sys::arch::syscall`].
    pub unsafe fn make(&mut self) -> isize {
        loop {
            self.own_vector();
            self.before();
            // SAFETY: passed on to the caller, as above.
            let answer = unsafe { self.call.make() };
            self.after();
            if !self.is_to_go_on(answer) {
                return self.whole(answer);
            }
            self.advance(answer);
        }
    }

    /// The vector is where we are, which may have moved.
    pub fn own_vector(&mut self) {
        if let Some(vector) = &self.vector {
            self.call.args[1] = core::ptr::from_ref(vector) as usize;
        }
    }

    #[inline]
    fn before(&mut self) {
        self.calls += 1;
        if self.is_asked::<Timing>() {
            // The first time, it is issued when it is queued.
            let first = self.calls == 1 && self.path == Path::Inline;
            self.timing.issued = if first { self.timing.queued } else { vdso::monotonic() };
        }
        if self.is_asked::<Ioprio>() {
            self.ioprio = ioprio_get();
            let _ = ioprio_set(self.wanted.ioprio().into());
        }
    }

    #[inline]
    fn after(&mut self) {
        if self.is_asked::<Ioprio>() {
            let _ = ioprio_set(self.ioprio);
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

    fn may_go_on(&self) -> bool {
        self.is_asked::<Full>() || self.is_asked::<Retry>()
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

    /// Whether the call is to be made once more after this answer.
    fn is_to_go_on(&mut self, answer: isize) -> bool {
        match Errno::from_ret(answer) {
            Err(Errno::EINTR | Errno::EAGAIN) if self.is_asked::<Retry>() => {
                let again = self.retries < self.wanted.retries().into() && !self.is_late();
                self.retries += u64::from(again);
                again
            }
            Ok(n) => self.is_asked::<Full>() && n != 0 && n < self.left(),
            Err(_) => false,
        }
    }

    /// Bytes that have not moved.
    fn left(&self) -> usize {
        match &self.vector {
            Some(vector) => vector.iov_len as usize,
            None => self.call.args[2],
        }
    }

    fn advance(&mut self, answer: isize) {
        let Ok(n) = Errno::from_ret(answer) else { return };
        self.moved += n;
        match &mut self.vector {
            Some(vector) => {
                vector.iov_base = vector.iov_base.cast::<u8>().wrapping_add(n).cast();
                vector.iov_len -= n as u64;
            }
            None => {
                self.call.args[1] = self.call.args[1].wrapping_add(n);
                self.call.args[2] -= n;
            }
        }
        if can::has_offset(&self.call) {
            self.call.args[3] += n;
        }
    }

    /// With what had moved before.
    fn whole(&self, answer: isize) -> isize {
        match (Errno::from_ret(answer), self.moved) {
            (_, 0) => answer,
            (Ok(n), moved) => (moved + n) as isize,
            (Err(_), moved) => moved as isize,
        }
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

fn ioprio_get() -> usize {
    let [which, who] = THIS_THREAD;
    // SAFETY: takes numbers.
    unsafe { call::raw(g::__NR_ioprio_get, [which, who, 0, 0, 0, 0]) }.unwrap_or(0)
}

fn ioprio_set(value: usize) -> Result<()> {
    let [which, who] = THIS_THREAD;
    // SAFETY: takes numbers.
    unsafe { call::raw(g::__NR_ioprio_set, [which, who, value, 0, 0, 0]) }.map(drop)
}

/// Whether this thread may have a priority, which is then its own again.
fn try_ioprio(value: u16) -> Result<()> {
    let own = ioprio_get();
    ioprio_set(value.into())?;
    let _ = ioprio_set(own);
    Ok(())
}
