//! A ring that is shared by the operations on it.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;
use std::time::Duration;

use super::operation::{Operation, Startable};
use super::pool::Groups;
use super::request::{Completion, Multishot, Request};
use super::slots::{After, Key, Slots};
use super::stream::Stream;
use crate::op::Fixed;
use crate::ring::{Entrance, Ring as Raw, Sqe, Wait};
use crate::{Builder, Errno, Report, SetupError, op};
use sysring_sys::Result;
use sysring_sys::User;

/// A ring whose operations own what they use.
///
/// It is a handle: clones are the same ring, and threads may share it. Every operation holds one.
/// When the last is dropped, what is still under way is cancelled and waited for; what cannot be
/// cancelled within [`Ring::PATIENCE`] keeps its memory for ever (it is leaked, not freed). A child of
/// `fork` must not use it.
///
/// ```
/// use sysring::owned::Ring;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let ring = Ring::new(64)?;
/// let file = std::fs::File::open("/proc/self/comm")?.into();
/// let (count, bytes) = ring.read_at(&file, Vec::with_capacity(64), 0).wait();
/// assert_eq!(count?, bytes.len());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Ring {
    pub(super) shared: Arc<Shared>,
}

pub struct Shared {
    state: Mutex<State>,
    /// Told whenever a thread that slept in the ring has handed completions out.
    handed_out: Condvar,
    /// The way to sleep in the ring without holding `state`.
    entrance: Entrance,
}

pub struct State {
    pub(super) raw: Raw,
    pub(super) slots: Slots,
    /// A thread sleeps in the ring. It alone takes completions: another one that did could take
    /// just what that thread is about to sleep for.
    taker: bool,
    /// Who submits and takes completions on behalf of futures; none is needed if it is not there.
    pub driver: Option<Waker>,
    /// What could not be cancelled for want of room.
    to_cancel: Vec<Key>,
    /// Numbers of groups of buffers.
    pub(super) groups: Groups,
}

/// How long to sleep for completions.
#[derive(Clone, Copy)]
pub(crate) enum Sleep {
    Never,
    /// Until there is one. Not at all if none can come.
    UntilOne,
    /// The same, but no longer than this.
    AtMost(Duration),
    /// Until there is one, or [`Ring::fetch_sleeper`] is called.
    UntilFetched,
}

impl Ring {
    /// How long the last handle waits for what it has cancelled.
    pub const PATIENCE: Duration = Duration::from_secs(5);

    /// A ring with room for so many submissions at a time; any number may be under way.
    ///
    /// # Errors
    /// As [`Builder::build`]: it says what was tried, and what the kernel answered.
    pub fn new(entries: u32) -> std::result::Result<Ring, SetupError> {
        Ring::with(&Raw::builder(), entries)
    }

    /// The same, with the settings of a builder. [`Builder::single_issuer`] and
    /// [`Builder::defer_taskrun`] are for programs that start, wait for and drop operations on one
    /// thread alone; [`Builder::iopoll`] is for operations that such a ring takes.
    ///
    /// # Errors
    /// As [`Ring::new`].
    pub fn with(builder: &Builder, entries: u32) -> std::result::Result<Ring, SetupError> {
        let mut raw: Raw = builder.build(entries)?;
        if !raw.report().is_kernel() {
            // So that who polls the descriptor hears from the engine itself that something is ready,
            // and not from a thread of its that looks now and then. We always come for it.
            raw = builder.clone().coop_taskrun().build(entries)?;
        }
        let entrance = raw.entrance();
        let state = State {
            raw,
            slots: Slots::default(),
            taker: false,
            driver: None,
            to_cancel: Vec::new(),
            groups: Groups::default(),
        };
        let shared = Shared { state: Mutex::new(state), handed_out: Condvar::new(), entrance };
        Ok(Ring { shared: Arc::new(shared) })
    }

    /// Who serves this ring, and why.
    #[must_use]
    pub fn report(&self) -> Report {
        *self.shared.lock().raw.report()
    }

    /// An operation of the caller's own making. Nothing is done until it is started, waited for or
    /// awaited.
    pub fn operation<T: Request>(&self, request: T) -> Operation<T> {
        Operation::new(self, request)
    }

    /// The same for one that goes on.
    pub fn stream<T: Multishot>(&self, request: T) -> Stream<T> {
        Stream::new(self, request)
    }

    /// Hands over what was started, without waiting for anything.
    ///
    /// # Errors
    /// `EAGAIN`, `ENOMEM`: the kernel lacks memory; what was started is submitted later.
    pub fn submit(&self) -> Result<()> {
        let mut state = self.shared.lock();
        state.cancel_the_rest();
        state.raw.submit().map(drop)
    }

    /// Hands over what was started, and sleeps until something has ended, or for so long at most.
    /// Returns at once where nothing is under way.
    pub fn wait(&self, at_most: Option<Duration>) {
        self.turn(at_most.map_or(Sleep::UntilOne, Sleep::AtMost));
    }

    /// How many operations the kernel has, or is about to get.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.shared.lock().slots.under_way()
    }

    /// Starts operations as a chain: each begins when the one before has succeeded. If one fails
    /// or transfers less than it was asked for, those behind it end with `ECANCELED`.
    ///
    /// ```
    /// use sysring::owned::{Ring, SharedBuf};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let ring = Ring::new(8)?;
    /// let (reader, writer) = std::io::pipe()?;
    /// let (from, to) = (std::os::fd::OwnedFd::from(reader).into(), std::os::fd::OwnedFd::from(writer).into());
    /// let buffer = SharedBuf::new(vec![0; 5]);
    /// let mut write = ring.write(&to, "hello");
    /// let mut read = ring.read(&from, buffer.clone());
    /// ring.link(&mut [&mut write, &mut read])?;
    /// assert_eq!(write.wait().0?, 5);
    /// assert_eq!(read.wait().0?, 5);
    /// assert_eq!(buffer.into_inner().unwrap(), b"hello");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `E2BIG`: there are more than the submission queue can hold. Nothing was started.
    ///
    /// # Panics
    /// If one of them was started before, or is of another ring.
    pub fn link(&self, chain: &mut [&mut dyn Startable]) -> Result<()> {
        let fresh = chain.iter().all(|operation| operation.may_start_on(self));
        assert!(fresh, "an operation is linked that was started, or is of another ring");
        let woken = {
            let mut state = self.shared.lock();
            let entries = chain.iter().map(|operation| operation.entries()).sum();
            state.make_room(entries)?;
            let Some((last, before)) = chain.split_last_mut() else { return Ok(()) };
            before.iter_mut().for_each(|operation| operation.push(&mut state, true));
            last.push(&mut state, false);
            state.driver.take()
        };
        woken.into_iter().for_each(Waker::wake);
        Ok(())
    }

    pub(super) fn downgrade(&self) -> Weak<Shared> {
        Arc::downgrade(&self.shared)
    }

    /// A handle that does not keep the ring.
    pub(crate) fn weak(&self) -> WeakRing {
        WeakRing(self.downgrade())
    }

    pub(super) fn is(&self, other: &Weak<Shared>) -> bool {
        Arc::as_ptr(&self.shared) == other.as_ptr()
    }

    /// One turn: submits, sleeps as told, and hands out what has arrived.
    pub(crate) fn turn(&self, sleep: Sleep) {
        let shared = &*self.shared;
        drop(shared.turn(shared.lock(), sleep));
    }

    /// Turns until `ready` has an answer.
    pub(super) fn turn_until<T>(&self, mut ready: impl FnMut(&mut State) -> Option<T>) -> T {
        let mut state = self.shared.lock();
        loop {
            if let Some(answer) = ready(&mut state) {
                return answer;
            }
            state = self.shared.turn(state, Sleep::UntilOne);
        }
    }

    /// Whom to wake when futures have started something.
    pub(crate) fn driven_by(&self, driver: &Waker) {
        let known = {
            let mut state = self.shared.lock();
            match &state.driver {
                Some(known) if known.will_wake(driver) => None,
                _ => state.driver.replace(driver.clone()),
            }
        };
        drop(known);
    }

    /// Nobody does it any more.
    pub(crate) fn driven_by_nobody(&self) {
        let known = self.shared.lock().driver.take();
        drop(known);
    }

    /// Whether something was started that the kernel does not have.
    pub(crate) fn has_started(&self) -> bool {
        let mut state = self.shared.lock();
        !state.raw.submission().is_empty() || !state.to_cancel.is_empty()
    }

    /// One turn that sleeps until it is fetched. Whether it is to sleep at all is asked under the lock
    /// that [`fetch_sleeper`](Ring::fetch_sleeper) takes: no call of it is missed.
    pub(crate) fn turn_unless_fetched(&self, is_fetched: impl FnOnce() -> bool) {
        let shared = &*self.shared;
        let state = shared.lock();
        let sleep = if is_fetched() { Sleep::Never } else { Sleep::UntilFetched };
        drop(shared.turn(state, sleep));
    }

    /// Lets the threads that sleep here come back.
    pub(crate) fn fetch_sleeper(&self) {
        let mut state = self.shared.lock();
        if !state.taker {
            self.shared.handed_out.notify_all();
            return;
        }
        let nop = op::Nop::new().build().user_data(Key::NOBODY);
        // SAFETY: a NOP uses no memory.
        while unsafe { state.push(&[nop]) }.is_err() {
            // The queue is full, and the kernel has no memory to take from it now.
            drop(state);
            std::thread::yield_now();
            state = self.shared.lock();
        }
        let _ = state.raw.submit();
    }
}

/// A ring that is there for as long as others keep it.
pub(crate) struct WeakRing(Weak<Shared>);

impl WeakRing {
    pub fn upgrade(&self) -> Option<Ring> {
        self.0.upgrade().map(|shared| Ring { shared })
    }
}

impl Shared {
    pub fn lock(&self) -> MutexGuard<'_, State> {
        // What panicked under the lock was an allocation at most: the state is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One turn, with the lock held before and after, and given back meanwhile.
    fn turn<'a>(&'a self, mut state: MutexGuard<'a, State>, sleep: Sleep) -> MutexGuard<'a, State> {
        state.cancel_the_rest();
        let idle = state.slots.under_way() == 0;
        let wait = match sleep {
            Sleep::Never => None,
            Sleep::UntilFetched if idle => return self.sleep_beside(state, sleep),
            Sleep::UntilOne | Sleep::AtMost(_) if idle => None,
            Sleep::UntilOne | Sleep::UntilFetched => Some(Wait::at_least(1)),
            Sleep::AtMost(span) => Some(Wait::at_least(1).timeout(span)),
        };
        match wait {
            // A failure is of the moment: what was started stays in the queue.
            None => drop(state.raw.submit()),
            Some(_) if state.taker => {
                let _ = state.raw.submit();
                return self.sleep_beside(state, sleep);
            }
            Some(wait) => {
                let count = state.raw.publish();
                state.taker = true;
                drop(state);
                let slept = self.entrance.enter(count, &wait);
                state = self.lock();
                state.taker = false;
                if let Err(e) = slept {
                    assert!(is_of_the_moment(e), "the ring cannot be waited for: {e}");
                }
            }
        }
        if state.taker {
            // What is there will be handed out by who sleeps.
            return state;
        }
        let afters = state.hand_out();
        self.handed_out.notify_all();
        self.run(state, afters)
    }

    /// Sleeps until another thread has handed completions out.
    fn sleep_beside<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        sleep: Sleep,
    ) -> MutexGuard<'a, State> {
        match sleep {
            Sleep::AtMost(span) => {
                let woken = self.handed_out.wait_timeout(state, span);
                woken.unwrap_or_else(PoisonError::into_inner).0
            }
            _ => self.handed_out.wait(state).unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Runs what must not be run under the lock.
    fn run<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        afters: Vec<After>,
    ) -> MutexGuard<'a, State> {
        if afters.is_empty() {
            return state;
        }
        drop(state);
        afters.into_iter().for_each(After::run);
        self.lock()
    }

    /// The handle of an operation was dropped while the kernel had it: it is cancelled, and its
    /// memory stays until it has ended.
    pub fn abandon(&self, key: Key) {
        let mut afters = Vec::new();
        {
            let mut state = self.lock();
            if state.slots.abandon(key, &mut afters) {
                state.cancel(key);
            }
        }
        afters.into_iter().for_each(After::run);
    }

    /// `io_uring_register(2)`.
    ///
    /// # Safety
    /// The argument is what the call takes, and what it lends stays.
    pub unsafe fn register<T>(&self, opcode: u32, argument: *const T, count: u32) -> Result<u32> {
        // SAFETY: the caller's word.
        unsafe { self.entrance.register(opcode, User::of(argument).cast(), count) }
    }

    /// Closes a slot of the ring's table of direct descriptors, at once: a peer may wait for it.
    pub fn close_direct(&self, slot: u32) {
        let mut state = self.lock();
        let close = op::Close::fixed(Fixed(slot)).build().user_data(Key::NOBODY);
        // SAFETY: closing a slot uses no memory; nobody else has it.
        if unsafe { state.push(&[close]) }.is_ok() {
            let _ = state.raw.submit();
        }
    }
}

/// Whether a call may succeed the next time.
fn is_of_the_moment(e: Errno) -> bool {
    matches!(e, Errno::EINTR | Errno::ETIME | Errno::EAGAIN | Errno::EBUSY | Errno::ENOMEM)
}

impl State {
    /// Sees that so many entries can be pushed, and submitted together.
    pub fn make_room(&mut self, entries: usize) -> Result<()> {
        let submission = self.raw.submission();
        if entries > submission.capacity() {
            return Err(Errno::E2BIG);
        }
        if submission.room() >= entries {
            return Ok(());
        }
        self.raw.submit()?;
        if self.raw.submission().room() >= entries { Ok(()) } else { Err(Errno::EBUSY) }
    }

    /// Pushes the entries of one operation.
    ///
    /// # Safety
    /// What they point to stays until the operation has ended.
    pub unsafe fn push(&mut self, entries: &[Sqe]) -> Result<()> {
        self.make_room(entries.len())?;
        // SAFETY: the caller's word.
        unsafe { self.raw.submission().push_all(entries) }.map_err(|_| Errno::EBUSY)
    }

    /// Takes the driver's waker, after futures have pushed something. Where there is none the
    /// operations are submitted at once.
    #[must_use]
    pub fn pushed(&mut self) -> Option<Waker> {
        let driver = self.driver.take();
        if driver.is_none() {
            // A failure is of the moment: the next turn submits them.
            let _ = self.raw.submit();
        }
        driver
    }

    /// Asks the kernel to cancel an operation, at once.
    pub fn cancel(&mut self, key: Key) {
        self.to_cancel.push(key);
        self.cancel_the_rest();
        let _ = self.raw.submit();
    }

    fn cancel_the_rest(&mut self) {
        while let Some(key) = self.to_cancel.pop() {
            let cancel = op::AsyncCancel::new(key.user_data()).build().user_data(Key::NOBODY);
            // SAFETY: it uses no memory.
            if unsafe { self.push(&[cancel]) }.is_err() {
                self.to_cancel.push(key);
                return;
            }
        }
    }

    /// Takes what has arrived.
    #[must_use]
    fn hand_out(&mut self) -> Vec<After> {
        let mut afters = Vec::new();
        for cqe in self.raw.completions() {
            if cqe.user_data() == Key::NOBODY {
                continue;
            }
            let completion = Completion { result: cqe.result(), flags: cqe.flags() };
            let (more, notification) = (cqe.more(), cqe.is_notification());
            afters.extend(self.slots.arrive(cqe.user_data(), completion, more, notification));
        }
        afters
    }
}

impl Drop for Shared {
    /// No handle is left, so every operation under way was abandoned and cancelled.
    fn drop(&mut self) {
        let deadline = std::time::Instant::now() + Ring::PATIENCE;
        loop {
            let state = self.lock();
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            if state.slots.under_way() == 0 || left.is_zero() {
                return;
            }
            drop(self.turn(state, Sleep::AtMost(left)));
        }
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is open while the ring is there.
        unsafe { BorrowedFd::borrow_raw(self.as_raw_fd()) }
    }
}

impl AsRawFd for Ring {
    fn as_raw_fd(&self) -> RawFd {
        self.shared.entrance.fd().raw()
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.lock();
        f.debug_struct("Ring")
            .field("fd", &self.shared.entrance.fd().raw())
            .field("under_way", &state.slots.under_way())
            .finish_non_exhaustive()
    }
}
