//! What operations took from somewhere although nobody waits for them any more.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::owned::{Completion, Operation, Request, Ring};
use crate::ring::Sqe;

/// Keeps what abandoned operations bring, in order, for those that come after them.
pub(super) struct Kept<T>(Arc<Mutex<State<T>>>);

struct State<T> {
    items: VecDeque<T>,
    /// Operations that were dropped, and have not ended.
    abandoned: usize,
    waiting: Vec<Waker>,
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Kept<T> {
        Kept(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Kept<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }
}

impl<T: Send + 'static> Kept<T> {
    pub fn new() -> Kept<T> {
        let state = State { items: VecDeque::new(), abandoned: 0, waiting: Vec::new() };
        Kept(Arc::new(Mutex::new(state)))
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first item that is kept, or `None` if there is none and no abandoned operation could
    /// still bring one.
    pub async fn take(&self) -> Option<T> {
        poll_fn(|context| {
            let mut state = self.lock();
            match state.items.pop_front() {
                Some(item) => Poll::Ready(Some(item)),
                None if state.abandoned == 0 => Poll::Ready(None),
                None => {
                    if !state.waiting.iter().any(|known| known.will_wake(context.waker())) {
                        state.waiting.push(context.waker().clone());
                    }
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Puts back what was not used of an item.
    pub fn put_back(&self, item: T) {
        self.lock().items.push_front(item);
    }

    /// An operation whose result is kept if it is dropped: `keep` makes an item of it.
    pub fn operation<R: Request>(
        &self,
        ring: &Ring,
        request: R,
        keep: fn(R::Output) -> Option<T>,
    ) -> KeptOperation<R, T> {
        let request = KeptRequest { request, keep, kept: self.clone() };
        KeptOperation { operation: ring.operation(request), kept: self.clone() }
    }
}

/// An operation that is missed when it is dropped.
pub(super) struct KeptOperation<R: Request, T: Send + 'static> {
    operation: Operation<KeptRequest<R, T>>,
    kept: Kept<T>,
}

impl<R: Request, T: Send + 'static> Future for KeptOperation<R, T> {
    type Output = R::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R::Output> {
        Pin::new(&mut self.operation).poll(context)
    }
}

impl<R: Request, T: Send + 'static> Drop for KeptOperation<R, T> {
    fn drop(&mut self) {
        if self.operation.is_under_way() {
            // Before the operation is: it will tell when it has ended.
            self.kept.lock().abandoned += 1;
        }
    }
}

struct KeptRequest<R: Request, T> {
    request: R,
    keep: fn(R::Output) -> Option<T>,
    kept: Kept<T>,
}

// SAFETY: the request's own, which is owned where it lies.
unsafe impl<R: Request, T: Send + 'static> Request for KeptRequest<R, T> {
    type Output = R::Output;

    fn entry(&mut self) -> Sqe {
        self.request.entry()
    }

    fn finish(self, completion: Completion) -> R::Output {
        self.request.finish(completion)
    }

    fn abandoned(self, completion: Completion) {
        let item = (self.keep)(self.request.finish(completion));
        let waiting = {
            let mut state = self.kept.lock();
            state.items.extend(item);
            state.abandoned -= 1;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}
