//! A ring that is shared by the operations on it.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::Duration;

use sysring_sys::Result;

use super::operation::{Operation, Startable};
use super::request::{Multishot, Request};
use super::slots::Key;
use super::state::State;
use super::stream::Stream;
use super::turn::{Shared, Sleep};
use crate::ring::Ring as Raw;
use crate::{Builder, Report, SetupError, op};

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
        Ok(Ring { shared: Arc::new(Shared::new(raw)) })
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
        state.push_what_is_left();
        state.submit()
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
        self.shared.lock().has_started()
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
        let _ = state.submit();
    }
}

/// A ring that is there for as long as others keep it.
pub(crate) struct WeakRing(Weak<Shared>);

impl WeakRing {
    pub fn upgrade(&self) -> Option<Ring> {
        self.0.upgrade().map(|shared| Ring { shared })
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
