//! Scopes, as programs see them.

use core::cell::Cell;
use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;

use sysring_events::attr::{Answers, Attribute, Path, Wanted};
use sysring_sys::{Errno, Result};

use crate::arch::{self, Request};
use crate::inside::{self, Inside};
use crate::refused;
use crate::store::{Arrived, Slot};
use crate::support::Unavailable;
use crate::told::{Noted, Told};

/// The most calls that may be pending at once in a scope: each is a thread.
const MOST_CALLS: u32 = 4096;

/// How a scope is to be.
#[derive(Clone, Copy, Debug)]
pub struct Builder {
    pub(crate) limit: u32,
    pub(crate) moves: bool,
    pub(crate) local: bool,
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// Up to 64 calls at once, safe whatever happens to the threads' processors.
    #[must_use]
    pub const fn new() -> Builder {
        Builder { limit: 64, moves: true, local: false }
    }

    /// How many calls may be pending at once, 1 to 4096. Each is a thread that sleeps in the kernel. A
    /// call beyond that is waited for where it is made, until another ends.
    #[must_use]
    pub const fn limit(mut self, calls: u32) -> Builder {
        self.limit = if calls == 0 {
            1
        } else if calls > MOST_CALLS {
            MOST_CALLS
        } else {
            calls
        };
        self
    }

    /// `false`: every call runs to its end in place, as where contexts cannot be moved.
    #[must_use]
    pub const fn moves(mut self, wanted: bool) -> Builder {
        self.moves = wanted;
        self
    }

    /// For programs with one thread per processor: spares each call a locked instruction, and putting
    /// the control words down.
    ///
    /// What else is different: the control words of SSE and x87 (rounding, flushing to zero, which
    /// exceptions trap) are the threads' own, who begin with those of their maker. A program that runs
    /// with others than the usual ones sets them before the scope; Rust's own rules leave no way to
    /// change them in between. If they are, a call that blocks may change them back.
    ///
    /// # Safety
    /// While the scope lasts nothing gives its threads another processor: no `sched_setaffinity(2)`
    /// from elsewhere, no change of the process's cpuset, no processor taken out of service.
    /// Otherwise two threads may go on as the caller.
    #[must_use]
    pub const unsafe fn cpu_local(mut self) -> Builder {
        self.local = true;
        self
    }

    /// Runs `f` inside such a scope; see [`scope`]. Inside another scope this is a part of that one,
    /// with that one's settings, which ends when its own calls have.
    pub fn scope<R>(&self, f: impl FnOnce(&Scope) -> R) -> R {
        let scope = Scope {
            inside: inside::enter(self),
            pending: Cell::new(0),
            arrived: Arrived::new(),
            not_send: PhantomData,
        };
        let _end = End(&scope);
        f(&scope)
    }
}

/// Waits for what is left when a scope is over. Results come to the scope by the address that was put
/// down for them, so its own `drop`, to which nobody else may have it, is too late for this.
struct End<'a>(&'a Scope);

impl Drop for End<'_> {
    fn drop(&mut self) {
        while self.0.pending() != 0 {
            self.0.wait(self.0.pending()).for_each(drop);
        }
    }
}

/// Runs `f`. Calls that it makes through the [`Scope`] become asynchronous if they block.
///
/// When this returns, or unwinds, all those calls have ended, their unread results are dropped, and
/// the caller is on the kernel thread it came on.
pub fn scope<R>(f: impl FnOnce(&Scope) -> R) -> R {
    Builder::new().scope(f)
}

/// What became of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Outcome {
    /// It did not block: its result.
    Done(Result<usize>),
    /// It blocked, and goes on; [`Scope::wait`] will have its result.
    Pending(Id),
}

/// The name of a call that is pending. No two calls of a scope, and of those inside it, share one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Id(u64);

impl Id {
    /// The number: 0, 1, 2 … in the order in which calls blocked.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// The end of a call that was pending.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Completion {
    /// Which one.
    pub id: Id,
    /// What it would have returned.
    pub result: Result<usize>,
    answers: Answers<'static>,
}

impl Completion {
    /// The value of an attribute; nothing if it was not asked for ([`Scope::call_with`]), or cannot be
    /// told.
    #[must_use]
    pub fn attr<A: Attribute>(&self) -> Option<A> {
        self.answers.get()
    }

    /// Which attributes were handled, by mask.
    #[must_use]
    pub fn handled(&self) -> u64 {
        self.answers.handled()
    }
}

/// A place where calls become asynchronous if they block: see [`scope`].
pub struct Scope {
    inside: core::result::Result<Inside, Unavailable>,
    /// Calls that have not been answered; some may have arrived.
    pending: Cell<usize>,
    arrived: Arrived,
    not_send: PhantomData<*const ()>,
}

impl Scope {
    /// Makes a system call by number.
    ///
    /// # Errors
    /// `Done(Err(EOPNOTSUPP))`, without the kernel being asked, for the calls of [`refuses`]. Any
    /// other error is the kernel's.
    ///
    /// # Safety
    /// The call must be sound for this process. If it becomes [`Outcome::Pending`] the kernel goes on
    /// to read and write the memory it was given until the call is answered by [`Scope::wait`], or
    /// the scope ends: so that memory must stay, and not be used otherwise, until then. What lies
    /// outside of the scope's closure, and is not touched inside before the answer, does.
    ///
    /// [`refuses`]: crate::refuses
    #[inline]
    pub unsafe fn call(&self, number: u32, args: [usize; 6]) -> Outcome {
        if refused::refuses(number, &args) {
            return Outcome::Done(Err(Errno::EOPNOTSUPP));
        }
        let request = Request { number: number as usize, args };
        match &self.inside {
            // SAFETY: passed on to the caller.
            Ok(inside) => match unsafe { inside.call(&request) } {
                Some(result) => Outcome::Done(Errno::from_ret(result)),
                None => Outcome::Pending(self.blocked(inside, &Told::NOTHING)),
            },
            // SAFETY: passed on to the caller.
            Err(_) => Outcome::Done(unsafe { in_place(&request) }),
        }
    }

    /// Makes a system call, and asks for attributes. Of a call that is done, `answers` has their values;
    /// of one that is pending, its [`Completion`] will.
    ///
    /// A scope tells [`Timing`](crate::attr::Timing), [`Path`], [`Place`](crate::attr::Place) and
    /// [`Trace`](crate::attr::Trace); of anything else it is not handled. A
    /// path is [`Path::Inline`] of a call that was done where it was made; [`Path::TakenOver`] of one
    /// that blocked, and was left behind; [`Path::InPlace`] where nobody was there to take over, and it would have been
    /// waited for: contexts are not moved ([`Scope::moves`]), as many calls are pending as may be, or the
    /// scope's first thread has not come up yet. A child of `fork` is told no more than the trace of calls that its parent had pending.
    ///
    /// ```
    /// use sysring_syslet::attr::{Answers, Attribute, Path, Timing, Wanted};
    /// use sysring_syslet::{Outcome, scope};
    /// # if sysring_syslet::available().is_err() { return }
    ///
    /// let time = [0i64, 20_000_000]; // 20 ms
    /// let wanted = Wanted::NONE.best_effort(Timing::MASK | Path::MASK);
    /// let mut answers = Answers::none();
    /// scope(|s| {
    ///     let args = [time.as_ptr() as usize, 0, 0, 0, 0, 0];
    ///     // SAFETY: the time outlives the scope.
    ///     let outcome = unsafe { s.call_with(35, args, &wanted, &mut answers) }; // nanosleep
    ///     if let Outcome::Done(_) = outcome {
    ///         assert_eq!(answers.get(), Some(Path::InPlace)); // nobody was there yet
    ///     }
    ///     for done in s.wait(1) {
    ///         assert_eq!(done.attr(), Some(Path::TakenOver));
    ///         let timing: Timing = done.attr().expect("can always be told");
    ///         assert!(timing.completed - timing.issued >= 20_000_000);
    ///     }
    /// });
    /// ```
    ///
    /// # Errors
    /// As [`call`](Scope::call), and `Done(Err(EOPNOTSUPP))`, without the kernel being asked, where an
    /// attribute is required that a scope does not tell.
    ///
    /// # Safety
    /// As [`call`](Scope::call).
    pub unsafe fn call_with(
        &self,
        number: u32,
        args: [usize; 6],
        wanted: &Wanted,
        answers: &mut Answers<'_>,
    ) -> Outcome {
        answers.clear();
        if refused::refuses(number, &args) {
            return Outcome::Done(Err(Errno::EOPNOTSUPP));
        }
        let told = match Told::begin(wanted) {
            Ok(told) => told,
            Err(error) => return Outcome::Done(Err(error)),
        };
        let request = Request { number: number as usize, args };
        let (result, path) = match &self.inside {
            Ok(inside) => {
                let covered = told.asks_for::<Path>() && inside.is_covered();
                // SAFETY: passed on to the caller.
                let Some(result) = (unsafe { inside.call_asked(&request, told.mask()) }) else {
                    return Outcome::Pending(self.blocked(inside, &told));
                };
                (Errno::from_ret(result), if covered { Path::Inline } else { Path::InPlace })
            }
            // SAFETY: passed on to the caller.
            Err(_) => (unsafe { in_place(&request) }, Path::InPlace),
        };
        let noted = Noted::default();
        noted.note(told.mask());
        told.answer(&noted, path, answers);
        Outcome::Done(result)
    }

    /// The call has been left behind, and this is another thread.
    #[cold]
    fn blocked(&self, inside: &Inside, told: &Told) -> Id {
        self.pending.set(self.pending.get() + 1);
        Id(inside.blocked(self, told))
    }

    /// Waits until `count` results are there, or those of all pending calls if they are fewer, and
    /// hands over all that there are, oldest first. `wait(0)` does not wait.
    ///
    /// While it sleeps, signals are handled, and it goes on to wait.
    pub fn wait(&self, count: usize) -> Completions<'_> {
        self.gather(count, None);
        Completions { scope: self }
    }

    /// As [`Scope::wait`], but no longer than `most`.
    pub fn wait_at_most(&self, count: usize, most: Duration) -> Completions<'_> {
        self.gather(count, Some(most));
        Completions { scope: self }
    }

    /// Tells a pending call to end before its time. Its answer still comes: `ECANCELED`, if this was in
    /// time and the call can be ended; what it would have been, if not. A call that only a signal can
    /// end ends so: a read of a pipe or a socket, a sleep, a lock, a wait; not what a disk is busy with.
    /// What had been done before is not undone: a transfer that was under way answers how far it came.
    ///
    /// The call may have been left behind a moment before it began, and then nothing ends: where it
    /// must not be waited for, cancel it again after a while.
    ///
    /// ```
    /// # use sysring_syslet::{Errno, Outcome, scope};
    /// # if sysring_syslet::available().is_err() { return }
    /// let time = [3600i64, 0];
    /// scope(|s| {
    ///     let args = [time.as_ptr() as usize, 0, 0, 0, 0, 0];
    ///     // SAFETY: the time outlives the scope.
    ///     let Outcome::Pending(hour) = (unsafe { s.call(35, args) }) else { return }; // nanosleep
    ///     while s.pending() != 0 {
    ///         s.cancel(hour).expect("it is pending");
    ///         for done in s.wait_at_most(1, std::time::Duration::from_millis(10)) {
    ///             assert_eq!(done.result, Err(Errno::ECANCELED));
    ///         }
    ///     }
    /// });
    /// ```
    ///
    /// # Errors
    /// `ENOENT`: no such call of this scope is pending, or its result is there. `EOPNOTSUPP`: the
    /// program handles SIGSYS in its own way, or this thread has blocked it; that signal is what calls
    /// the thread back, and gets a handler that does nothing if it has none.
    pub fn cancel(&self, id: Id) -> Result<()> {
        match &self.inside {
            Ok(inside) => inside.cancel(self, id.0),
            Err(_) => Err(Errno::ENOENT),
        }
    }

    /// How many calls are pending: begun, blocked, and not handed over by [`Scope::wait`].
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.get()
    }

    /// Whether calls become asynchronous here when they block.
    ///
    /// # Errors
    /// Why not: then every call runs to its end.
    pub fn moves(&self) -> core::result::Result<(), Unavailable> {
        match &self.inside {
            Ok(inside) => inside.moves(),
            Err(why) => Err(*why),
        }
    }

    /// Brings the caller back to its own kernel thread until the next call that blocks; waits for the
    /// call that that thread is in, if it is.
    ///
    /// For what asks who the thread is: a priority-inheriting lock, a `SINGLE_ISSUER` ring.
    pub fn go_home(&self) {
        if let Ok(inside) = &self.inside {
            inside.go_home();
        }
    }

    fn gather(&self, count: usize, most: Option<Duration>) {
        if let Ok(inside) = &self.inside {
            let enough = || self.arrived.count() >= count.min(self.pending.get());
            inside.gather(&enough, most);
        }
    }

    /// A result of this scope's has come.
    pub(crate) fn arrive(&self, slot: &Slot) {
        self.arrived.push(slot);
    }

    fn next(&self) -> Option<Completion> {
        let slot = self.arrived.pop()?;
        self.pending.set(self.pending.get() - 1);
        let result = Errno::from_ret(slot.result.load(core::sync::atomic::Ordering::Relaxed));
        let cancelled = slot.cancelled.get() && result == Err(Errno::EINTR);
        let mut completion = Completion {
            id: Id(slot.id.get()),
            result: if cancelled { Err(Errno::ECANCELED) } else { result },
            answers: Answers::none(),
        };
        slot.told.get().answer(&slot.noted, Path::TakenOver, &mut completion.answers);
        if let Ok(inside) = &self.inside {
            inside.give_back(slot);
        }
        Some(completion)
    }
}

/// A call where contexts do not move.
///
/// # Safety
/// The call must be sound.
#[cold]
unsafe fn in_place(request: &Request) -> Result<usize> {
    // SAFETY: passed on to the caller.
    Errno::from_ret(unsafe { arch::plain(request) })
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Scope");
        shown
            .field("pending", &self.pending())
            .field("moves", &self.moves())
            .finish_non_exhaustive()
    }
}

/// Results that have come. Those that are not taken stay for the next [`Scope::wait`].
#[derive(Debug)]
pub struct Completions<'a> {
    scope: &'a Scope,
}

impl Iterator for Completions<'_> {
    type Item = Completion;

    fn next(&mut self) -> Option<Completion> {
        self.scope.next()
    }
}
