//! A ring: two queues, and a call that hands over what is in one and waits for what comes into the
//! other.

mod abilities;
#[cfg(feature = "engine")]
mod asked;
mod builder;
mod cause;
mod completion;
mod entry;
mod handle;
mod limit;
mod local;
mod memory;
mod mixed;
mod operations;
#[cfg(feature = "engine")]
mod personalities;
mod queue;
mod register;
mod report;
mod submission;
mod time;
mod wait;

use core::fmt;
use core::time::Duration;

use sysring_sys::abi::io_uring::{Params, enter, register as regs, setup};
use sysring_sys::abi::signal::SIGSET_SIZE;
use sysring_sys::{Errno, Fd, User};

pub use abilities::Abilities;
#[cfg(feature = "engine")]
pub use asked::{Asked, Outcome};
pub use builder::Builder;
pub use cause::Cause;
pub use completion::Completions;
pub use entry::{CqEntry, Cqe, Cqe32, SqEntry, Sqe, Sqe128};
#[cfg(feature = "std")]
pub(crate) use handle::Entrance;
pub use limit::Limit;
pub use local::LocalRing;
pub use mixed::{MixedCqe, MixedSqe};
pub use operations::Operations;
pub use register::{
    Buffer, BufferPool, BufferRing, Bundle, Field, Filter, PoolBuffer, Register, Restrictions,
    SyncCancel,
};
pub use report::{Reason, Report, SetupError, Step};
pub use submission::{Full, Submission};
pub use time::Timespec;
pub use wait::{Wait, Waits};

use handle::{Answer, Handle, Way};
use memory::Memory;
use queue::{Cq, Sq};

/// A ring: entries are [pushed](Ring::push), [submitted](Ring::submit), and their
/// [completions](Ring::completions) taken.
///
/// It is the kernel's where io_uring works, and otherwise served by the engine in this process,
/// which is called as a function: nothing is installed, no call is trapped. [`Ring::report`] says
/// which, and why.
///
/// ```
/// use sysring::{Ring, op};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let file = std::fs::File::open("/proc/self/cmdline")?;
/// let mut buffer = [0; 64];
///
/// let mut ring = Ring::new(8)?;
/// let read = op::Read::new(&file, buffer.as_mut_ptr(), 64).build().user_data(7);
/// // SAFETY: file and buffer stay until the completion is taken.
/// unsafe { ring.push(read)? };
/// ring.submit_and_wait(1)?;
///
/// let completion = ring.completion().ok_or("none")?;
/// assert_eq!(completion.user_data(), 7);
/// let len = completion.result()? as usize;
/// println!("{}", buffer[..len].escape_ascii());
/// # Ok(()) }
/// ```
///
/// # Forking
/// The queues are shared memory, and a child of `fork` has the same ring. One of the two may push to it
/// from then on (where the next entry goes is known to who pushes alone); both may
/// [wait](Ring::wait) and take completions, if they agree on who does. Where the engine in
/// userspace serves, what a process has under way is cancelled when it ends.
///
/// # Dropping
/// The descriptor is closed and the queues are unmapped. Operations under way are cancelled, but
/// not waited for: until each has ended, the memory it was given must stay.
pub struct Ring<S: SqEntry = Sqe, C: CqEntry = Cqe> {
    sq: Sq<S>,
    cq: Cq<C>,
    handle: Handle,
    /// What the queues point to: goes last.
    _memory: Memory,
    report: Report,
}

// SAFETY: what the queues point to is the ring's own mapping; every change is made through `&mut`,
// or is a system call.
unsafe impl<S: SqEntry, C: CqEntry> Send for Ring<S, C> {}
// SAFETY: a shared reference only loads atomics and makes system calls.
unsafe impl<S: SqEntry, C: CqEntry> Sync for Ring<S, C> {}

impl Ring {
    /// A ring with room for so many submissions (rounded up to a power of two), and twice as many
    /// completions.
    ///
    /// # Errors
    /// As [`Builder::build`].
    pub fn new(entries: u32) -> Result<Ring, SetupError> {
        Builder::new().build(entries)
    }

    /// A ring with more to say about it.
    pub fn builder() -> Builder {
        Builder::new()
    }
}

impl<S: SqEntry, C: CqEntry> Ring<S, C> {
    /// Adds an entry to the submission queue; the next `submit` hands it over.
    ///
    /// # Safety
    /// An entry names memory by address, and files by number, which the operation uses until it has
    /// ended: its last completion was taken (that without [`more`](Cqe::more)), and that of each
    /// entry that reads through it. Until then
    /// - what it reads must stay as it is, and what it writes must not be looked at nor touched;
    /// - none of it may be freed or moved, not even when the ring is dropped: neither the memory of the
    ///   entry, nor the registered buffer or the group of buffers that it selects from.
    ///
    /// What only describes the operation (paths, `iovec`s, `msghdr`s, times) need not stay longer than
    /// until `submit` has taken the entry, on Linux 5.5 and later without [`Builder::sqpoll`].
    ///
    /// # Errors
    /// [`Full`]: the entry was not added. `submit` makes room.
    #[inline(always)]
    pub unsafe fn push(&mut self, entry: impl Into<S>) -> Result<(), Full> {
        if self.sq.push(entry.into()) { Ok(()) } else { Err(Full) }
    }

    /// The submission queue, to add several entries.
    #[inline(always)]
    pub fn submission(&mut self) -> Submission<'_, S> {
        Submission::new(&mut self.sq)
    }

    /// The completions that are there. No call is made: [`submit_and_wait`](Ring::submit_and_wait)
    /// waits for them.
    #[inline(always)]
    pub fn completions(&mut self) -> Completions<'_, C> {
        Completions::new(&mut self.cq)
    }

    /// Takes the first completion, if there is one: for loops that push meanwhile.
    #[inline(always)]
    pub fn completion(&mut self) -> Option<C> {
        loop {
            let head = self.cq.head();
            if head == self.cq.tail() {
                return None;
            }
            // SAFETY: below the tail.
            let completion = unsafe { self.cq.at(head) };
            self.cq.take_until(head.wrapping_add(completion.slots()));
            if !completion.is_filler() {
                return Some(completion);
            }
        }
    }

    /// Both queues at once.
    #[inline(always)]
    pub fn split(&mut self) -> (Submission<'_, S>, Completions<'_, C>) {
        (Submission::new(&mut self.sq), Completions::new(&mut self.cq))
    }

    /// Hands over what was pushed; how many entries were taken.
    ///
    /// # Errors
    /// Those of `io_uring_enter(2)`, and no entry was taken:
    /// - `EAGAIN`: out of memory for requests: take completions, and try again.
    /// - `EBUSY`: completions wait for room in their queue (before Linux 5.19): take some.
    /// - `EBADR`: completions were lost, for want of memory.
    /// - `EEXIST`: with [`Builder::single_issuer`], from another thread than the first.
    /// - `EBADFD`: the ring was made [disabled](Builder::disabled), and still is.
    /// - `EINTR`: a signal came while it waited.
    /// - `EOWNERDEAD`: the thread of [`Builder::sqpoll`] has ended.
    ///
    /// What is wrong with an entry is said by its completion.
    #[inline(always)]
    pub fn submit(&mut self) -> Result<u32, Errno> {
        self.submit_and_wait(0)
    }

    /// The same, and waits until at least `want` completions lie in the queue, or a
    /// [`Timeout`](crate::op::Timeout) goes off.
    ///
    /// # Errors
    /// As [`submit`](Ring::submit). If entries were taken, their number is the answer, even where
    /// the wait was cut short.
    #[inline(always)]
    pub fn submit_and_wait(&mut self, want: u32) -> Result<u32, Errno> {
        self.submit_by(self.handle.way(), want)
    }

    #[inline(always)]
    fn submit_by(&mut self, way: Way, want: u32) -> Result<u32, Errno> {
        let submit = self.sq.publish();
        let answer = if self.handle.is_special() {
            self.enter_otherwise(way, submit, want, 0, User::NULL, SIGSET_SIZE)
        } else {
            let must_ask = want != 0 || self.sq.holds_completions_back();
            let flags = if must_ask { enter::GETEVENTS } else { 0 };
            if submit != 0 || must_ask {
                way.enter(submit, want, flags, User::NULL, SIGSET_SIZE)
            } else {
                Answer::taken(0)
            }
        };
        answer.result()
    }

    /// The same, for so long at most.
    ///
    /// # Errors
    /// As [`submit`](Ring::submit), and `ETIME` if time ran out, no entry was taken and no completion is
    /// there; `EINVAL` before Linux 5.11.
    pub fn submit_and_wait_timeout(&mut self, want: u32, span: Duration) -> Result<u32, Errno> {
        self.submit_with(&Wait::at_least(want).timeout(span))
    }

    /// The same, with all that a wait can be told.
    ///
    /// # Errors
    /// As [`submit_and_wait_timeout`](Ring::submit_and_wait_timeout); `EINVAL` for what is not known.
    pub fn submit_with(&mut self, wait: &Wait) -> Result<u32, Errno> {
        self.submit_with_by(self.handle.way(), wait)
    }

    fn submit_with_by(&mut self, way: Way, wait: &Wait) -> Result<u32, Errno> {
        let submit = self.sq.publish();
        wait.with(|want, flags, argument, size| {
            self.enter_otherwise(way, submit, want, flags, argument, size).result()
        })
    }

    /// The same with a wait that was [written down](Waits::set) before (Linux 6.13).
    ///
    /// # Errors
    /// As [`submit_with`](Ring::submit_with); `EINVAL`: the waits are of another ring, or there are not
    /// as many.
    pub fn submit_with_registered(&mut self, waits: &Waits, index: u32) -> Result<u32, Errno> {
        let (submit, way) = (self.sq.publish(), self.handle.way());
        waits.with(index, self.handle.id, |want, flags, argument, size| {
            self.enter_otherwise(way, submit, want, flags, argument, size).result()
        })
    }

    /// Waits without submitting.
    ///
    /// # Errors
    /// As [`submit_and_wait_timeout`](Ring::submit_and_wait_timeout).
    pub fn wait(&self, wait: &Wait) -> Result<(), Errno> {
        self.wait_by(self.handle.way(), wait)
    }

    fn wait_by(&self, way: Way, wait: &Wait) -> Result<(), Errno> {
        wait.with(|want, flags, argument, size| way.enter(0, want, flags, argument, size).result())
            .map(drop)
    }

    /// Makes the call, if there is need of one: where a thread of the other side submits, which must
    /// be woken if anything; where completions must be asked for; and with all that a wait is told.
    #[cold]
    fn enter_otherwise(
        &self,
        way: Way,
        submit: u32,
        want: u32,
        mut flags: u32,
        argument: User<u8>,
        size: usize,
    ) -> Answer {
        if want != 0 || self.handle.is_polled() || self.sq.holds_completions_back() {
            flags |= enter::GETEVENTS;
        }
        if self.handle.has_thread() {
            flags |= self.wake_up(submit);
            if flags == 0 {
                return Answer::taken(submit);
            }
        } else if flags == 0 && submit == 0 {
            return Answer::taken(0);
        }
        way.enter(submit, want, flags, argument, size)
    }

    /// The flag that wakes the polling thread, where it sleeps and there is work.
    fn wake_up(&self, submit: u32) -> u32 {
        if submit != 0 && self.sq.thread_sleeps() { enter::SQ_WAKEUP } else { 0 }
    }

    /// Waits until the thread of [`Builder::sqpoll`] has made room in the submission queue (Linux
    /// 5.10).
    ///
    /// # Errors
    /// `EINVAL` before Linux 5.10, `EOWNERDEAD` if the thread has ended.
    pub fn wait_for_room(&mut self) -> Result<(), Errno> {
        self.sq.publish();
        if self.sq.room() > 0 || !self.handle.has_thread() {
            return Ok(());
        }
        let flags = enter::SQ_WAIT | self.wake_up(self.sq.len());
        self.handle.way().enter(0, 0, flags, User::NULL, SIGSET_SIZE).result().map(drop)
    }

    /// Gives the ring other queues, with what is in them; sizes as of [`Builder::build`] and
    /// [`Builder::cq_entries`] (`IORING_REGISTER_RESIZE_RINGS`, Linux 6.13). Only of rings with
    /// [`defer_taskrun`](Builder::defer_taskrun).
    ///
    /// # Errors
    /// - `EINVAL`: another kind of ring, or sizes that cannot be; before Linux 6.13.
    /// - `EOVERFLOW`: what is in the queues has no room in the new ones.
    /// - `EEXIST`: from another thread than the ring's.
    /// - `ENOMEM`: out of memory. If it was the last step that failed, mapping the new queues, the
    ///   ring can only be dropped.
    pub fn resize(&mut self, entries: u32, cq_entries: Option<u32>) -> Result<(), Errno> {
        // What was pushed moves with the ring only if the other side knows of it.
        self.sq.publish();
        let mut params = Params { sq_entries: entries, ..Params::default() };
        if let Some(cq_entries) = cq_entries {
            (params.cq_entries, params.flags) = (cq_entries, setup::CQSIZE);
        }
        let address = User::of(&raw mut params).cast();
        self.handle.register(regs::RESIZE_RINGS, address, 1)?;
        params.flags = self.handle.setup;
        params.features = self.report.features;
        let (serves, sizes) = (self.handle.serves, (size_of::<S>(), size_of::<C::Slot>()));
        let memory = Memory::map(serves, self.handle.fd, &params, sizes.0, sizes.1)?;
        // SAFETY: the memory was mapped for this ring, and goes with it.
        unsafe { (self.sq, self.cq) = (Sq::new(&memory, &params), Cq::new(&memory, &params)) };
        self._memory = memory;
        Ok(())
    }

    /// The ring's calls name it by an index of this thread's, which spares the look-up of its
    /// descriptor: for rings that stay on one thread of several
    /// (`IORING_REGISTER_RING_FDS`, Linux 5.18). Where there is no index to be had,
    /// [`LocalRing::index`] says why, and all else is the same.
    pub fn enter_by_index(self) -> LocalRing<S, C> {
        LocalRing::new(self)
    }

    /// What can be registered with the ring, and asked of it.
    #[must_use]
    pub fn register(&self) -> Register<'_> {
        Register::new(&self.handle)
    }

    /// Who serves the ring, and why.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The ring's descriptor: it can be polled, and is readable while there are completions.
    ///
    /// Do not close it. Where the engine in userspace serves, it is known to the engine of this
    /// process alone.
    #[must_use]
    pub fn fd(&self) -> Fd {
        self.handle.fd
    }

    /// Whether the eventfd that is registered with the ring is told of completions: to be left alone
    /// while they are taken anyway (Linux 5.8).
    ///
    /// # Errors
    /// `EOPNOTSUPP` before Linux 5.8.
    pub fn tell_eventfd(&mut self, tell: bool) -> Result<(), Errno> {
        if self.cq.tell_eventfd(tell) { Ok(()) } else { Err(Errno::EOPNOTSUPP) }
    }

    /// How many completions were lost: for want of room before Linux 5.5, of memory since.
    #[must_use]
    pub fn lost(&self) -> u32 {
        self.cq.overflow()
    }

    /// How many entries were not understood at all so far: none that the builders make.
    #[must_use]
    pub fn dropped(&self) -> u32 {
        self.sq.dropped()
    }
}

#[cfg(feature = "std")]
impl<S: SqEntry, C: CqEntry> std::os::fd::AsFd for Ring<S, C> {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        // SAFETY: open while the ring is there.
        unsafe { std::os::fd::BorrowedFd::borrow_raw(self.handle.fd.raw()) }
    }
}

#[cfg(feature = "std")]
impl<S: SqEntry, C: CqEntry> std::os::fd::AsRawFd for Ring<S, C> {
    fn as_raw_fd(&self) -> i32 {
        self.handle.fd.raw()
    }
}

impl<S: SqEntry, C: CqEntry> fmt::Debug for Ring<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring")
            .field("fd", &self.handle.fd)
            .field("report", &self.report)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "std")]
impl<S: SqEntry, C: CqEntry> Ring<S, C> {
    /// Shows the other side what was pushed; how many entries it has not taken, and the flags with
    /// which they are to be handed over.
    pub(crate) fn publish(&mut self) -> (u32, u32) {
        let count = self.sq.publish();
        (count, if self.handle.has_thread() { self.wake_up(count) } else { 0 })
    }

    /// Whether the other side has taken all that was published.
    pub(crate) fn is_taken(&self) -> bool {
        self.sq.is_taken()
    }

    /// Whether a thread of the other side looks for submissions.
    pub(crate) fn has_thread(&self) -> bool {
        self.handle.has_thread()
    }

    /// Whether there are completions that only a call brings into the queue.
    pub(crate) fn holds_completions_back(&self) -> bool {
        self.sq.holds_completions_back()
    }

    pub(crate) fn entrance(&self) -> Entrance {
        Entrance::of(&self.handle)
    }
}
