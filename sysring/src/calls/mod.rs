//! Any system call, asynchronous.
//!
//! A [`Call`] is issued through a context, [`Calls`]. If it does not block, it is answered at once,
//! on the calling thread: nothing is allocated, nothing locked, and it costs what the bare call
//! does. If it does, it is [`Pending`](Issued::Pending): it goes on elsewhere, and its answer comes
//! to the context, or where else it was told to.
//!
//! ```
//! use sysring::calls::{Call, Calls, Issued, Statx, StatxFlags};
//! use sysring::Fd;
//!
//! # fn main() -> Result<(), sysring::Errno> {
//! let mut status = Statx::default();
//! Calls::scope(|calls| {
//!     let call = Call::statx(Fd::CWD, c"/proc/self/exe", StatxFlags::default(), &mut status);
//!     match calls.issue(call)? {
//!         Issued::Done(result) => assert_eq!(result, Ok(0)),
//!         Issued::Pending(id) => {
//!             for event in calls.wait(1)? {
//!                 assert_eq!((event.id(), event.result()), (id, Ok(0)));
//!             }
//!         }
//!     }
//!     Ok(())
//! })?;
//! assert_ne!(status.stx_size, 0);
//! # Ok(())
//! # }
//! ```
//!
//! # What blocks, and what is done then
//! For each number a table says how the call can be tried; `docs/calls.md` has all of it. A read of
//! a pipe that is empty waits until it is readable, a futex has a thread that sleeps, an fsync a
//! worker. Calls that work on names (`statx`, `mkdirat`, `getdents64` and their like) are answered
//! from the kernel's caches nearly always, and have no form that says whether they would be: they
//! are made at once, and may wait for the disk where they are issued, unless
//! [`Call::by_worker`] sends them to a worker. A single such call costs three times as much
//! there as it does in place. Transfers of files opened with `O_DIRECT` go to kernel AIO, several in
//! one call if they are issued together ([`Calls::issue_all`]). A number that the table does not
//! know goes to a worker: every number works, also those of kernels to come.
//!
//! What makes no sense elsewhere or later is refused with `EOPNOTSUPP`: `exit`, `fork`, `execve`,
//! `rt_sigreturn`, and what changes the thread that makes it.
//!
//! Many calls of that kind are best handed in together: [`Calls::run_all`] has as many under way as it
//! takes.
//!
//! # What can be asked
//! [Attributes](sysring_events::attr), when the call is issued ([`issue_with`](Calls::issue_with)) or made
//! in place ([`issue_sync_with`](Calls::issue_sync_with)): when it was queued, issued and completed, which
//! way it was served, by which thread on which processor, what came from the cache; that it end by
//! a deadline, move all of its data, be tried again, with an I/O priority or `RWF_*` flags of its
//! own; a checksum. Each is required or wanted by best effort, and answered or not handled; what is
//! not asked for costs one test.
//!
//! # What must be kept
//! Memory that a call writes to, and data that it reads, is borrowed by the context until the answer
//! is there: that is what the second lifetime of [`Call`] says. A context that lives on its own
//! takes only what lives for ever; [`Calls::scope`] gives one that ends before what it has borrowed
//! does, and [`Calls::issue_unchecked`] leaves it to the caller. Paths, addresses, times, and
//! vectors (not what they point to) are copied when a call becomes pending, and are free as soon as
//! `issue` returns. A descriptor may be closed then, too, if the call waits on it (it has a duplicate).
//! That goes when the call has ended, and takes with it, as any descriptor of a file that is closed, the
//! record locks (`F_SETLK`) that the process has on that file; those of open files (`F_OFD_SETLK`,
//! `flock`) stay.
//!
//! # Ways to hear
//! - the context's ring of events: [`wait`](Calls::wait), [`next`](Calls::next). Processes may share
//!   it ([`Builder::shared`]); a context may answer to another's ([`Builder::attach`]);
//! - an address, [`Slot`], which receives the result and wakes who sleeps on it;
//! - with `std`, a thread that tells callbacks and wakes futures ([`Listener`]);
//! - an eventfd ([`set_eventfd`](Calls::set_eventfd)), or a descriptor for `poll` and its kin
//!   ([`descriptor`](Calls::descriptor)): a program keeps its loop.
//!
//! # Threads, processes, signals
//! A context may be used by any number of threads; to aim an answer at another context, issue the
//! call there. A child of `fork` shares it: what either issues is answered to whichever asks first,
//! and what was pending stays the parent's. The credentials of a call are those of the thread that
//! issues it: workers that have others are replaced (`setuid` between two calls included). Calls
//! that are pending when the process ends, end with it. A signal handler must not use a context that
//! it may have interrupted. What a worker does raises no `SIGPIPE`.
#![cfg_attr(not(feature = "std"), doc = "", doc = "[`Listener`]: ../index.html#cargo-features")]

mod batch;
mod call;
mod event;
#[cfg(feature = "std")]
mod listener;
mod slot;

use core::marker::PhantomData;
use core::time::Duration;

use sysring_engine::native::{Context, Handler, Options};
use sysring_events::attr::{Answers, Wanted};
use sysring_sys::abi::signal::SigSet;
use sysring_sys::{Errno, Fd, Result};

pub use batch::Step;
pub use call::{Accept, Call, OpenHow, Statx, StatxFlags, Time};
pub use event::{Event, Events, Id, Issued};
#[cfg(feature = "std")]
pub use listener::{Answer, Listener};
pub use slot::Slot;

/// A context, for calls whose memory lives for `'m`.
///
/// Dropped, it cancels what is pending, and waits until nothing is.
#[derive(Debug)]
pub struct Calls<'m> {
    context: Context,
    /// What is lent is lent for exactly so long.
    memory: PhantomData<fn(&'m mut ()) -> &'m mut ()>,
}

/// What a context is to be like.
#[derive(Clone, Copy, Debug, Default)]
pub struct Builder {
    options: Options,
}

impl Builder {
    /// How many bytes the ring of events has, and the overflow area behind it: powers of two, 64 KiB
    /// to 1 GiB; if nothing is said, 64 KiB and 16 MiB. An event has 32 bytes, and what its
    /// attributes take. Memory is used for what is in it. Answers that find no room at all wait
    /// until there is: none is lost.
    #[must_use]
    pub fn sizes(mut self, ring: usize, overflow: usize) -> Builder {
        (self.options.events.size, self.options.events.overflow) = (ring, overflow);
        self
    }

    /// Other processes will use the ring of events: those that [`attach`](Builder::attach) to
    /// [`Calls::events`]' file, and readers in any language (`docs/events.md`).
    #[must_use]
    pub fn shared(mut self) -> Builder {
        self.options.events.shared = true;
        self
    }

    /// Makes a context whose answers come to another's ring of events, here or in another process:
    /// `file` is the ring's.
    ///
    /// # Errors
    /// Those of [`Ring::attach`](sysring_events::Ring::attach), and of [`build`](Builder::build).
    pub fn attach(self, file: Fd) -> Result<Calls<'static>> {
        let events = sysring_events::Ring::attach(file)?;
        let context = Context::on(events, self.options.limit)?.with_handlers(self.options.handlers);
        Ok(Calls { context, memory: PhantomData })
    }

    /// Has a handler of the attribute `number`, of which a context can have four: for a call that is
    /// asked for it it runs with the call's number, its arguments, and the argument that was given
    /// with the [`Extension`](sysring_events::attr::Extension). It runs when the call is issued, on the
    /// thread that issues it, before the call is made; its answer comes with the call's.
    ///
    /// # Errors
    /// `EINVAL`: a number of 0. `EEXIST`: there is one of that number. `ENOSPC`: there are four.
    pub fn extension(mut self, number: u32, handler: Handler) -> Result<Builder> {
        self.options.handlers.add(number, handler)?;
        Ok(self)
    }

    /// How many calls may be pending at a time: one more is refused with `EAGAIN`. No limit if
    /// nothing is said. Calls that do not block are not counted.
    #[must_use]
    pub fn limit(mut self, pending: u32) -> Builder {
        self.options.limit = pending;
        self
    }

    /// Makes the context.
    ///
    /// # Errors
    /// `EINVAL`: sizes that cannot be. `ENOMEM`, `EMFILE`, `ENFILE`.
    pub fn build(self) -> Result<Calls<'static>> {
        self.make()
    }

    fn make<'m>(self) -> Result<Calls<'m>> {
        Ok(Calls { context: Context::new(&self.options)?, memory: PhantomData })
    }
}

impl Calls<'static> {
    /// A context as it is without further words.
    ///
    /// # Errors
    /// As [`Builder::build`].
    pub fn new() -> Result<Calls<'static>> {
        Builder::default().build()
    }

    /// What else a context can be.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }
}

impl<'m> Calls<'m> {
    /// A context that lasts as long as `act` does, for calls with memory that lasts longer.
    ///
    /// Nothing is pending when this returns: what was is cancelled. Wait inside for what is wanted.
    ///
    /// # Errors
    /// As [`Builder::build`], and what `act` answers.
    pub fn scope<T>(act: impl FnOnce(&Calls<'m>) -> Result<T>) -> Result<T> {
        let calls = Builder::default().make()?;
        act(&calls)
    }

    /// Issues a call.
    ///
    /// # Errors
    /// `EOPNOTSUPP`: the call makes no sense asynchronously. `EAGAIN`: as many as the limit allows
    /// are pending. `ENOMEM`. What the call itself answers is in [`Issued::Done`], or in its event.
    #[inline]
    pub fn issue(&self, call: Call<'_, 'm>) -> Result<Issued> {
        // SAFETY: the call is sound (its constructor's promise); what it keeps lives longer than the
        // context, which does not go before nothing is pending.
        unsafe { self.issue_unchecked(call) }
    }

    /// Issues a call with memory that the context knows nothing of.
    ///
    /// # Safety
    /// If the call is pending, what it has borrowed stays so until its answer has come, whatever
    /// becomes of the borrow; also if the context is leaked.
    ///
    /// # Errors
    /// As [`issue`](Calls::issue).
    #[inline]
    pub unsafe fn issue_unchecked(&self, call: Call<'_, '_>) -> Result<Issued> {
        let (call, order) = call.parts();
        // SAFETY: the call was sound to be made when it was put together, and stays so (above).
        unsafe { self.context.issue(&call, &order) }.map(Issued::from_native)
    }

    /// Issues a call and asks for attributes. Of a call that is done, `answers` has their values; of
    /// one that is pending, its event will.
    ///
    /// ```
    /// use sysring::Fd;
    /// use sysring::calls::{Call, Calls, Issued};
    /// use sysring::events::attr::{Answers, Attribute, Path, Timing, Wanted};
    ///
    /// # fn main() -> Result<(), sysring::Errno> {
    /// let mut target = [0; 4096];
    /// Calls::scope(|calls| {
    ///     let wanted = Wanted::NONE.best_effort(Timing::MASK | Path::MASK);
    ///     let mut answers = Answers::none();
    ///     let call = Call::readlinkat(Fd::CWD, c"/proc/self/exe", &mut target);
    ///     if let Issued::Done(len) = calls.issue_with(call, &wanted, &mut answers)? {
    ///         let timing: Timing = answers.get().expect("can always be told");
    ///         println!("{} bytes in {} ns", len?, timing.completed - timing.issued);
    ///         assert_eq!(answers.get(), Some(Path::Inline));
    ///     }
    ///     Ok(())
    /// })
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`issue`](Calls::issue). `EOPNOTSUPP`: an attribute is required that cannot be honoured for
    /// this call. `EPERM`, `EINVAL`: an I/O priority is required that may not be had. `EINVAL`: the
    /// answer is aimed at a [`Slot`], which has no room for values, or credentials are required that
    /// are not registered. `E2BIG`: more than four extensions are asked for.
    #[inline]
    pub fn issue_with(
        &self,
        call: Call<'_, 'm>,
        wanted: &Wanted,
        answers: &mut Answers<'_>,
    ) -> Result<Issued> {
        let (call, order) = call.parts();
        // SAFETY: as in `issue`.
        let issued = unsafe { self.context.issue_with(&call, &order, wanted, answers) };
        issued.map(Issued::from_native)
    }

    /// Makes a call here and now, whether it blocks or not, with attributes.
    ///
    /// # Errors
    /// The call's own. `EOPNOTSUPP`: an attribute is required that cannot be honoured; a deadline, what
    /// the cache had and other credentials never can, for the caller itself is in the call.
    #[inline]
    pub fn issue_sync_with(
        call: Call<'_, '_>,
        wanted: &Wanted,
        answers: &mut Answers<'_>,
    ) -> Result<usize> {
        let (call, _) = call.parts();
        // SAFETY: what the call has borrowed is there: it was just handed in.
        unsafe { Context::make_with(&call, wanted, answers) }.and_then(Errno::from_ret)
    }

    /// Makes a call here and now, whether it blocks or not.
    ///
    /// # Errors
    /// The call's own.
    #[inline]
    pub fn issue_sync(call: Call<'_, '_>) -> Result<usize> {
        let (call, _) = call.parts();
        // SAFETY: what the call has borrowed is there: it was just handed in.
        Errno::from_ret(unsafe { call.make() })
    }

    /// Waits until `count` answers are there, and gives them. (Of a ring that is shared with other
    /// processes: until there is one.)
    ///
    /// # Errors
    /// `EINTR`: a signal was handled, and no answer is there.
    pub fn wait(&self, count: u32) -> Result<Events<'_, 'm>> {
        self.context.wait(count, None, None)?;
        Ok(Events::of(self))
    }

    /// The same, no longer than `timeout` (`None`: for ever), with another signal mask while it
    /// sleeps (`None`: the thread's).
    ///
    /// # Errors
    /// Where no answer is there: `ETIME`: the time is over. `EINTR`: a signal was handled. `EINVAL`: a
    /// mask, and a ring that is shared.
    pub fn wait_timeout(
        &self,
        count: u32,
        timeout: Option<Duration>,
        mask: Option<&SigSet>,
    ) -> Result<Events<'_, 'm>> {
        let ns = timeout.map(|time| time.as_nanos().try_into().unwrap_or(i64::MAX));
        self.context.wait(count, ns, mask)?;
        Ok(Events::of(self))
    }

    /// Takes the oldest answer, if there is one.
    #[must_use]
    pub fn next(&self) -> Option<Event> {
        let mut memory = [0; 32];
        match self.context.next(&mut memory) {
            Err(Errno::EMSGSIZE) => self.next_long(),
            taken => taken.ok()?.map(Event::of),
        }
    }

    /// An event with answers of extensions, or of a later version.
    #[cold]
    fn next_long(&self) -> Option<Event> {
        let mut memory = [0; sysring_events::MAX_LEN / 8];
        self.context.next(&mut memory).ok()?.map(Event::of)
    }

    /// The ring of events: to be passed to other processes ([`file`](sysring_events::Ring::file)).
    #[must_use]
    pub fn events(&self) -> &sysring_events::Ring {
        self.context.events()
    }

    /// Cancels a pending call. Its answer still comes: `ECANCELED`, if this was in time.
    ///
    /// # Errors
    /// `ENOENT`: no such call is pending. `EALREADY`: a thread is making it, and was told to stop; or a
    /// device has it, and does not. It may yet succeed.
    pub fn cancel(&self, id: Id) -> Result<()> {
        self.context.cancel(id.raw())
    }

    /// Cancels all that is pending.
    pub fn cancel_all(&self) {
        // Of all of them nothing can be said but that they were told.
        let _ = self.context.cancel_all();
    }

    /// How many calls are pending that this process has issued.
    #[must_use]
    pub fn pending(&self) -> u32 {
        self.context.pending()
    }

    /// Has a number for the credentials that the calling thread has now: user and group ids, groups,
    /// capabilities. A call that is asked for
    /// [`Credentials`](sysring_events::attr::Credentials) with that number
    /// ([`Wanted::with_credentials`]) is made with them, whoever issues it and whatever that thread has
    /// by then: at once, if it has the same, else by a thread of the engine that was made for them.
    ///
    /// ```
    /// use sysring::Fd;
    /// use sysring::calls::{Call, Calls, Issued};
    /// use sysring::events::attr::{Answers, Attribute, Credentials, Wanted};
    ///
    /// # fn main() -> Result<(), sysring::Errno> {
    /// let calls = Calls::new()?;
    /// let mine = calls.register_credentials()?;
    /// // … a change of the thread's ids …
    /// let wanted = Wanted::NONE.required(Credentials::MASK).with_credentials(mine);
    /// let open = Call::openat(Fd::CWD, c"/etc/hostname", 0, 0);
    /// match calls.issue_with(open, &wanted, &mut Answers::none())? {
    ///     Issued::Done(file) => println!("opened: {file:?}"),
    ///     Issued::Pending(_) => println!("{:?}", calls.wait(1)?.next()),
    /// }
    /// calls.unregister_credentials(mine)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `EAGAIN`: no thread to be had, which would keep them. `ENOMEM`: that, or this process has
    /// registered 64 different ones. `EBUSY`: all 65535 numbers are in use.
    pub fn register_credentials(&self) -> Result<u32> {
        self.context.register_credentials()
    }

    /// Takes such a number back. Calls that are pending keep what they have.
    ///
    /// # Errors
    /// `EINVAL`: it is nobody's.
    pub fn unregister_credentials(&self, number: u32) -> Result<()> {
        self.context.unregister_credentials(number)
    }

    /// Adds one to this eventfd whenever answers have come, from now on; `None`: no longer. It is
    /// duplicated, and may be closed. One that was set before stays if this fails.
    ///
    /// # Errors
    /// `EBADF`: not open. `EINVAL`: not an eventfd. `EMFILE`.
    pub fn set_eventfd(&self, eventfd: Option<Fd>) -> Result<()> {
        self.context.set_eventfd(eventfd)
    }

    /// A new descriptor that is readable while answers are there to be taken: to be polled, not
    /// read. It is the caller's to close.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn descriptor(&self) -> Result<Fd> {
        self.context.descriptor()
    }
}

impl Calls<'_> {
    /// Cancels what is pending, and waits until nothing is. The answers are there to be taken.
    pub fn settle(&self) {
        self.context.settle();
    }
}

impl Drop for Calls<'_> {
    fn drop(&mut self) {
        self.settle();
    }
}
