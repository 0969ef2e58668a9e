//! An operation that ends once.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::request::{Completion, Lent, Once, Request};
use super::ring::Ring;
use super::slots::{Key, Lease};
use super::state::State;
use crate::op;
use crate::ring::Timespec;
use sysring_sys::Result;

/// An operation, and everything that it uses.
///
/// It is lazy: nothing is done until it is awaited (it is a future), waited for
/// ([`wait`](Operation::wait)) or started ([`start`](Operation::start), [`Ring::link`]).
///
/// Dropping it while the kernel has it cancels it. That takes no time: what it owns stays with the
/// ring until the kernel has ended it. It may have been done all the same, wholly or in part; what
/// becomes of its result is said where the operation is made. Forgetting it (`mem::forget`) leaves
/// it under way.
///
/// Submit on threads that stay: on the kernel's io_uring, what has to wait for something goes with the
/// thread that submitted it, and ends with `ECANCELED`.
#[must_use = "an operation does nothing until it is awaited, waited for or started"]
pub struct Operation<T: Request> {
    ring: Ring,
    stage: Stage<T>,
    flags: u8,
    within: Option<Duration>,
}

enum Stage<T> {
    Idle(T),
    UnderWay(Key),
    Over,
}

/// What the kernel is lent.
struct Flight<T> {
    request: T,
    deadline: Timespec,
}

impl<T: Request> Once for Flight<T> {
    fn abandoned(self: Box<Self>, completion: Completion) {
        self.request.abandoned(completion);
    }
}

/// An operation that can be linked to others: every [`Operation`].
pub trait Startable: private::Startable {}
impl<T: Request> Startable for Operation<T> {}

mod private {
    pub trait Startable {
        /// How many entries it needs.
        fn entries(&self) -> usize;
        fn may_start_on(&self, ring: &super::Ring) -> bool;
        /// Pushes it; what is pushed next is linked to it, or not.
        fn push(&mut self, state: &mut super::State, linked: bool);
    }
}

impl<T: Request> Operation<T> {
    pub(super) fn new(ring: &Ring, request: T) -> Operation<T> {
        Operation { ring: ring.clone(), stage: Stage::Idle(request), flags: 0, within: None }
    }

    /// It is cancelled when it has not ended this long after it began, and ends with `ECANCELED`
    /// then (a linked timeout, Linux 5.5).
    pub fn within(mut self, span: Duration) -> Operation<T> {
        self.within = Some(span);
        self
    }

    /// It begins when everything submitted before has ended (`IOSQE_IO_DRAIN`).
    pub fn drain(mut self) -> Operation<T> {
        self.flags |= DRAIN;
        self
    }

    /// It is given to a worker thread at once (`IOSQE_ASYNC`), for what is known to block.
    pub fn asynchronous(mut self) -> Operation<T> {
        self.flags |= ASYNC;
        self
    }

    /// Puts it into the submission queue, which is handed over by the next [`Ring::submit`] or wait,
    /// or when it is full. If it was started before, nothing happens.
    pub fn start(&mut self) {
        if matches!(self.stage, Stage::Idle(_)) {
            let ring = self.ring.clone();
            let driver = {
                let mut state = ring.shared.lock();
                private::Startable::push(self, &mut state, false);
                // Who sleeps for the ring has not seen it.
                state.driver.take()
            };
            driver.into_iter().for_each(Waker::wake);
        }
    }

    /// Whether it has ended: waiting for it takes no time then. (Something must have looked for
    /// completions: [`Ring::wait`], another operation's wait, a driver of futures.)
    #[must_use]
    pub fn is_over(&self) -> bool {
        match self.stage {
            Stage::Idle(_) => false,
            Stage::UnderWay(key) => self.ring.shared.lock().slots.is_over(key),
            Stage::Over => true,
        }
    }

    /// The kernel's answer, as soon as it is known. That may be before the operation has ended: a
    /// send without copying keeps its buffer until the network is done with it.
    #[must_use]
    pub fn result(&self) -> Option<Result<u32>> {
        let Stage::UnderWay(key) = self.stage else { return None };
        self.ring.shared.lock().slots.result(key).map(|completion| completion.result)
    }

    /// What it was made of, for it to be part of another one. It was not started.
    pub(crate) fn into_request(mut self) -> T {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Idle(request) => request,
            _ => unreachable!("it was not started"),
        }
    }

    /// Whether the kernel has it, or its result was not taken.
    pub(crate) fn is_under_way(&self) -> bool {
        matches!(self.stage, Stage::UnderWay(_))
    }

    /// Sleeps until it is known, and starts the operation if it was not started.
    ///
    /// # Errors
    /// The operation's own.
    pub fn wait_result(&mut self) -> Result<u32> {
        self.start();
        let Stage::UnderWay(key) = self.stage else { unreachable!("it was started") };
        self.ring.turn_until(|state| state.slots.result(key)).result
    }

    /// Asks the kernel to cancel it. It ends with `ECANCELED`, or as it would have.
    pub fn cancel(&self) {
        if let Stage::UnderWay(key) = self.stage {
            self.ring.shared.lock().cancel(key);
        }
    }

    /// Sleeps until it has ended, and starts it if it was not started.
    pub fn wait(mut self) -> T::Output {
        self.start();
        let Stage::UnderWay(key) = self.stage else { unreachable!("it was started") };
        let (request, completion) = self.ring.turn_until(|state| state.slots.finish(key));
        self.end(request, completion)
    }

    fn end(&mut self, request: Box<dyn Once>, completion: Completion) -> T::Output {
        self.stage = Stage::Over;
        let request: Box<dyn Any> = request;
        let flight = request.downcast::<Flight<T>>().expect("the slot is this operation's");
        flight.request.finish(completion)
    }
}

const DRAIN: u8 = 1 << 1;
const LINK: u8 = 1 << 2;
const ASYNC: u8 = 1 << 4;

impl<T: Request> private::Startable for Operation<T> {
    fn entries(&self) -> usize {
        1 + usize::from(self.within.is_some())
    }

    fn may_start_on(&self, ring: &Ring) -> bool {
        matches!(self.stage, Stage::Idle(_)) && std::ptr::eq(&*self.ring.shared, &*ring.shared)
    }

    fn push(&mut self, state: &mut State, linked: bool) {
        let Stage::Idle(request) = std::mem::replace(&mut self.stage, Stage::Over) else {
            unreachable!("it is pushed once")
        };
        let deadline = self.within.unwrap_or_default().into();
        let (lent, flight) = Lent::new(Box::new(Flight { request, deadline }));
        // SAFETY: it was just made, and nobody else has it.
        let entry = unsafe { (*flight).request.entry() };
        let key = state.slots.begin(Lease::Once(lent, None));
        self.stage = Stage::UnderWay(key);

        let link = |linked| if linked { LINK } else { 0 };
        let entry = entry.user_data(key.user_data()).flags(self.flags);
        // SAFETY: the slot keeps what the entries point to until the operation has ended.
        let pushed = unsafe {
            if self.within.is_some() {
                let timeout = op::LinkTimeout::new(&raw const (*flight).deadline).build();
                let timeout = timeout.user_data(Key::NOBODY).flags(link(linked));
                state.push(&[entry.flags(LINK), timeout])
            } else {
                state.push(&[entry.flags(link(linked))])
            }
        };
        if let Err(e) = pushed {
            // Nobody waits yet, so nobody is to be woken.
            state.slots.arrive(key.user_data(), Completion::refused(e), false, false);
        }
    }
}

/// Needs somebody who turns the ring: see [`future`](crate::future).
impl<T: Request> Future for Operation<T> {
    type Output = T::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T::Output> {
        let operation = &mut *self;
        let ring = operation.ring.clone();
        let mut state = ring.shared.lock();
        let starts = matches!(operation.stage, Stage::Idle(_));
        if starts {
            private::Startable::push(operation, &mut state, false);
        }
        let Stage::UnderWay(key) = operation.stage else {
            panic!("an operation was polled after its end");
        };
        let ended = state.slots.finish(key);
        let known = match ended {
            None => state.slots.wake_by(key, context.waker()),
            Some(_) => None,
        };
        let driver = if starts && ended.is_none() { state.pushed() } else { None };
        drop(state);
        drop(known);
        driver.into_iter().for_each(Waker::wake);
        match ended {
            Some((request, completion)) => Poll::Ready(operation.end(request, completion)),
            None => Poll::Pending,
        }
    }
}

/// Nothing in it is pinned: what must not move is on the heap.
impl<T: Request> Unpin for Operation<T> {}

impl<T: Request> Drop for Operation<T> {
    fn drop(&mut self) {
        if let Stage::UnderWay(key) = self.stage {
            self.ring.shared.abandon(key);
        }
    }
}

impl<T: Request> fmt::Debug for Operation<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.stage {
            Stage::Idle(_) => "Operation(idle)",
            Stage::UnderWay(_) => "Operation(under way)",
            Stage::Over => "Operation(over)",
        })
    }
}
