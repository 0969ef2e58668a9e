//! An operation that goes on.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::request::{Completion, Many, Multishot};
use super::ring::Ring;
use super::slots::{Key, Lease, Next};
use super::state::State;

/// The items of a multishot operation, in the order in which they arrived.
///
/// Like an [`Operation`](super::Operation) it does nothing until it is asked for an item. It goes on
/// until an error, which is its last item, or its natural end; when the kernel stops without one
/// (it does where the completion queue is full), the operation is begun anew.
///
/// Dropping it cancels it. Items that have arrived, and those that still do, are dropped: connections
/// are closed, buffers go back to their pool. What bytes they held is lost; to stop without loss,
/// [`cancel`](Stream::cancel) and take items until there are none.
///
/// With the Cargo feature `stream` it is a `futures_core::Stream`, for the adapters of the crates
/// `futures`, `tokio-stream` and their like.
#[must_use = "a stream does nothing until it is asked for items"]
pub struct Stream<T: Multishot> {
    ring: Ring,
    request: Arc<T>,
    stage: Stage,
    /// It is not begun anew.
    cancelled: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Idle,
    UnderWay(Key),
    /// The last item was taken.
    Over,
}

impl<T: Multishot> Stream<T> {
    pub(super) fn new(ring: &Ring, request: T) -> Stream<T> {
        Stream {
            ring: ring.clone(),
            request: Arc::new(request),
            stage: Stage::Idle,
            cancelled: false,
        }
    }

    /// Begins it before the first item is asked for: see [`Operation::start`](super::Operation::start).
    pub fn start(&mut self) {
        if self.stage == Stage::Idle && !self.cancelled {
            let ring = self.ring.clone();
            let driver = {
                let mut state = ring.shared.lock();
                self.push(&mut state);
                // Who sleeps for the ring has not seen it.
                state.driver.take()
            };
            driver.into_iter().for_each(Waker::wake);
        }
    }

    /// The next item, or `None` when there are no more. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<T::Item> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// The next item, or `None` when there are no more: sleeps until it is there.
    pub fn wait_next(&mut self) -> Option<T::Item> {
        let ring = self.ring.clone();
        let completion = ring.turn_until(|state| match self.take(state) {
            Poll::Ready(completion) => Some(completion),
            Poll::Pending => None,
        });
        completion.map(|completion| self.request.item(completion))
    }

    /// The next item, if there is one; else the context's task is woken when there is.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<T::Item>> {
        let ring = self.ring.clone();
        let mut state = ring.shared.lock();
        let before = self.stage;
        let taken = self.take(&mut state);
        let known = match (&taken, self.stage) {
            (Poll::Pending, Stage::UnderWay(key)) => state.slots.wake_by(key, context.waker()),
            _ => None,
        };
        let driver = if self.stage != before && taken.is_pending() { state.pushed() } else { None };
        drop(state);
        drop(known);
        driver.into_iter().for_each(Waker::wake);
        taken.map(|completion| completion.map(|completion| self.request.item(completion)))
    }

    /// Asks the kernel to cancel it, for good: the items that have arrived are followed by the error
    /// `ECANCELED`, or by no more, if it had stopped or was never begun.
    pub fn cancel(&mut self) {
        self.cancelled = true;
        if let Stage::UnderWay(key) = self.stage {
            self.ring.shared.lock().cancel(key);
        }
    }

    fn take(&mut self, state: &mut State) -> Poll<Option<Completion>> {
        loop {
            match self.stage {
                Stage::Over => return Poll::Ready(None),
                Stage::Idle if self.cancelled => self.stage = Stage::Over,
                Stage::Idle => self.push(state),
                Stage::UnderWay(key) => match state.slots.next(key) {
                    Next::NotYet => return Poll::Pending,
                    Next::Over => self.stage = Stage::Idle,
                    Next::Item(completion) => {
                        if T::is_last(&completion) {
                            self.stage = Stage::Over;
                            // The slot is let go of: nothing follows.
                            state.slots.next(key);
                        }
                        return Poll::Ready(Some(completion));
                    }
                },
            }
        }
    }

    fn push(&mut self, state: &mut State) {
        let entry = self.request.entry();
        let request = Arc::clone(&self.request) as Arc<dyn Many>;
        let key = state.slots.begin(Lease::Many(request, VecDeque::new()));
        self.stage = Stage::UnderWay(key);
        // SAFETY: the slot keeps the request, and so what the entry points to, until it has ended.
        if let Err(e) = unsafe { state.push(&[entry.user_data(key.user_data())]) } {
            // Nobody waits yet, so nobody is to be woken.
            state.slots.arrive(key.user_data(), Completion::refused(e), false, false);
        }
    }
}

/// ```
/// use smol::stream::StreamExt; // or futures::StreamExt, tokio_stream::StreamExt
/// use sysring::future::block_on;
/// use sysring::owned::Ring;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let ring = Ring::new(8)?;
/// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let clients = [(); 2].map(|()| std::net::TcpStream::connect(listener.local_addr().unwrap()));
/// let connections = ring.accept_multi(&listener.into()).take(clients.len());
/// let connections: Vec<_> = block_on(&ring, connections.collect());
/// assert!(connections.iter().all(Result::is_ok));
/// # Ok(()) }
/// ```
#[cfg(feature = "stream")]
impl<T: Multishot> futures_core::Stream for Stream<T> {
    type Item = T::Item;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<T::Item>> {
        Stream::poll_next(self.get_mut(), context)
    }
}

#[cfg(feature = "stream")]
impl<T: Multishot> futures_core::stream::FusedStream for Stream<T> {
    fn is_terminated(&self) -> bool {
        self.stage == Stage::Over
    }
}

impl<T: Multishot> Drop for Stream<T> {
    fn drop(&mut self) {
        if let Stage::UnderWay(key) = self.stage {
            self.ring.shared.abandon(key);
        }
    }
}

impl<T: Multishot> fmt::Debug for Stream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.stage {
            Stage::Idle => "Stream(idle)",
            Stage::UnderWay(_) => "Stream(under way)",
            Stage::Over => "Stream(over)",
        })
    }
}
