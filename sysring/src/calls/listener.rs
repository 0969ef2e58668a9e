//! A thread that hears of answers, and tells those who wait for them: callbacks, and futures.

use std::collections::HashMap;
use std::future::Future;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::{self, JoinHandle};
use std::{fmt, io};

use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Result};

use super::{Call, Calls, Event, Id, Issued};

/// A context with a thread that hears of its answers.
///
/// What does not block is answered where it is issued, and the thread sleeps. Dropped, it cancels
/// what is pending; whoever waits hears `ECANCELED`. A child of `fork` has no such thread, and must not
/// use it.
///
/// ```
/// use sysring::calls::{Accept, Call, Calls, Listener};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let listener = Listener::new(Calls::new()?)?;
/// let server = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let (sender, receiver) = std::sync::mpsc::channel();
/// listener.call_back(Call::accept(&server, Accept::default()), move |socket| {
///     let _ = sender.send(socket);
/// })?;
/// let _client = std::net::TcpStream::connect(server.local_addr()?)?;
/// let socket = receiver.recv().expect("the callback is called once");
/// assert!(socket.is_ok());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Listener {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    calls: Calls<'static>,
    waiting: Mutex<Waiting>,
    ends: AtomicBool,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("calls", &self.calls).finish_non_exhaustive()
    }
}

type Callback = Box<dyn FnOnce(Result<usize>) + Send>;

/// Who waits for what, by the word that comes back with the answer.
#[derive(Default)]
struct Waiting {
    callbacks: HashMap<u64, Callback>,
    latest: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Listener {
    /// Starts the thread.
    ///
    /// # Errors
    /// If there is no thread to be had. [`InvalidInput`](io::ErrorKind::InvalidInput): the context's
    /// events are [shared](super::Builder::shared): others would hear what is for us, and we what is
    /// for others. The same for one that has calls pending, or answers that were not taken.
    pub fn new(calls: Calls<'static>) -> io::Result<Listener> {
        let refused = |why| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        if calls.events().file().is_some() {
            return refused("a listener needs a ring of events of its own");
        }
        // What those brought along could be the key of one of ours, which would hear their answer. In
        // this order: what is not pending any more has its answer there.
        if calls.pending() != 0 || calls.next().is_some() {
            return refused("a listener needs a context without calls of others");
        }
        let ends = AtomicBool::new(false);
        let shared = Arc::new(Shared { calls, waiting: Mutex::default(), ends });
        let thread = thread::Builder::new().name("sysring-listener".into()).spawn({
            let shared = Arc::clone(&shared);
            move || shared.listen()
        })?;
        Ok(Listener { shared, thread: Some(thread) })
    }

    /// Issues a call, and has its answer told: at once on this thread if it does not block, else by
    /// the listener's. (A word given with [`Call::user_data`] is not kept.) A callback should be
    /// quick; if it panics, that ends with it.
    ///
    /// # Errors
    /// As [`Calls::issue`]; `EINVAL`: the answer is aimed at a [`Slot`](super::Slot). The callback is
    /// not called then.
    pub fn call_back(
        &self,
        call: Call<'_, 'static>,
        then: impl FnOnce(Result<usize>) + Send + 'static,
    ) -> Result<()> {
        self.shared.issue(call, Box::new(then)).map(drop)
    }

    /// Issues a call, and gives a future of its answer, which any executor can poll. Dropped, it
    /// cancels the call.
    ///
    /// # Errors
    /// As [`call_back`](Listener::call_back).
    pub fn answer(&self, call: Call<'_, 'static>) -> Result<Answer> {
        let state = Arc::new(Mutex::new(State::Empty));
        let id = self.shared.issue(call, {
            let state = Arc::clone(&state);
            Box::new(move |result| {
                let before = std::mem::replace(&mut *lock(&state), State::Answered(result));
                // Without the lock: a waker may poll here and now.
                if let State::Polled(waker) = before {
                    waker.wake();
                }
            })
        })?;
        Ok(Answer { state, pending: id.map(|id| (Arc::clone(&self.shared), id)) })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.shared.ends.store(true, Release);
        // Its thread looks at that when an answer comes: one of those that are cancelled, or one more.
        self.shared.calls.cancel_all();
        // SAFETY: the call takes nothing.
        let nudge = unsafe { Call::raw(g::__NR_getppid, [0; 6]) };
        let nudged = self.shared.calls.issue(nudge.by_worker());
        // `EAGAIN`: as many are pending as there may be, and have been cancelled.
        let comes = matches!(nudged, Ok(_) | Err(Errno::EAGAIN));
        if let Some(thread) = self.thread.take()
            && comes
            // A callback may have had the listener.
            && thread.thread().id() != thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn issue(&self, call: Call<'_, 'static>, then: Callback) -> Result<Option<Id>> {
        if call.has_slot() {
            return Err(Errno::EINVAL);
        }
        // Before the call is issued: its answer may be quicker than we are.
        let key = {
            let mut waiting = lock(&self.waiting);
            waiting.latest += 1;
            let key = waiting.latest;
            waiting.callbacks.insert(key, then);
            key
        };
        match self.calls.issue(call.user_data(key)) {
            Ok(Issued::Pending(id)) => Ok(Some(id)),
            Ok(Issued::Done(result)) => {
                self.tell(key, result);
                Ok(None)
            }
            Err(e) => {
                let unheard = lock(&self.waiting).callbacks.remove(&key);
                // Without the lock: what it has captured may issue calls when it goes.
                drop(unheard);
                Err(e)
            }
        }
    }

    fn tell(&self, key: u64, result: Result<usize>) {
        let then = lock(&self.waiting).callbacks.remove(&key);
        if let Some(then) = then {
            // What a callback does to itself is not the others' business.
            let _ = panic::catch_unwind(AssertUnwindSafe(|| then(result)));
        }
    }

    fn hear(&self, event: &Event) {
        self.tell(event.user_data(), event.result());
    }

    fn listen(&self) {
        // Acquire pairs with the Release of who lets the listener go.
        while !self.ends.load(Acquire) {
            match self.calls.wait(1) {
                Ok(events) => events.for_each(|event| self.hear(&event)),
                Err(Errno::EINTR) => {}
                // Nobody can wait here: those who do are told below.
                Err(_) => break,
            }
        }
        self.calls.settle();
        while let Some(event) = self.calls.next() {
            self.hear(&event);
        }
    }
}

/// The future of a call's answer.
#[derive(Debug)]
#[must_use = "a future does nothing unless it is polled; dropped, it cancels its call"]
pub struct Answer {
    state: Arc<Mutex<State>>,
    /// While the call may be pending.
    pending: Option<(Arc<Shared>, Id)>,
}

#[derive(Debug)]
enum State {
    Empty,
    Polled(Waker),
    Answered(Result<usize>),
}

impl Future for Answer {
    type Output = Result<usize>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<usize>> {
        let result = {
            let mut state = lock(&self.state);
            match &mut *state {
                State::Answered(result) => *result,
                State::Polled(waker) => {
                    waker.clone_from(context.waker());
                    return Poll::Pending;
                }
                empty => {
                    *empty = State::Polled(context.waker().clone());
                    return Poll::Pending;
                }
            }
        };
        self.pending = None;
        Poll::Ready(result)
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some((shared, id)) = &self.pending {
            // It may have been answered.
            let _ = shared.calls.cancel(*id);
        }
    }
}
