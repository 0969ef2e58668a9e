//! A small executor: one thread, which sleeps in the ring.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use crate::owned::{Ring, Turn, WeakRing};

/// Runs a future to its end, and sleeps in the ring meanwhile.
///
/// ```
/// use std::time::Duration;
/// use sysring::future::{block_on, sleep};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let ring = sysring::owned::Ring::new(8)?;
/// block_on(&ring, sleep(&ring, Duration::from_millis(1)))?;
/// # Ok(()) }
/// ```
pub fn block_on<T>(ring: &Ring, future: impl Future<Output = T>) -> T {
    Executor::new(ring).run(future)
}

/// Runs tasks on the thread that calls [`run`](Executor::run). It is a handle: clones are the same
/// executor, so that tasks can spawn others.
///
/// ```
/// use sysring::future::Executor;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let ring = sysring::owned::Ring::new(8)?;
/// let executor = Executor::new(&ring);
/// let answer = executor.run(async {
///     let nop = ring.nop();
///     let task = executor.spawn(async move { nop.await.map(|()| 42) });
///     task.await
/// })?;
/// assert_eq!(answer, 42);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Executor {
    inner: Rc<Inner>,
}

struct Inner {
    ring: Ring,
    tasks: RefCell<HashMap<u64, Spawned>>,
    next: Cell<u64>,
    running: Cell<bool>,
    queue: Arc<Queue>,
}

struct Spawned {
    future: Pin<Box<dyn Future<Output = ()>>>,
    alarm: Arc<Alarm>,
}

/// What other threads see of an executor: which tasks are to be polled.
struct Queue {
    ready: Mutex<VecDeque<u64>>,
    /// The executor's thread is in the ring, or on its way there; who takes this back fetches it.
    asleep: AtomicBool,
    ring: WeakRing,
}

/// Wakes one task.
struct Alarm {
    queue: Arc<Queue>,
    id: u64,
    /// It is in the queue already.
    rung: AtomicBool,
}

/// The number of the future that `run` was given.
const ROOT: u64 = 0;
/// Wakes the executor, and no task: something was started that is to be submitted.
const NO_TASK: u64 = u64::MAX;

impl Executor {
    /// An executor for futures of this ring. It becomes the ring's driver while it runs.
    #[must_use]
    pub fn new(ring: &Ring) -> Executor {
        let queue =
            Queue { ready: Mutex::default(), asleep: AtomicBool::new(false), ring: ring.weak() };
        let inner = Inner {
            ring: ring.clone(),
            tasks: RefCell::default(),
            next: Cell::new(ROOT + 1),
            running: Cell::new(false),
            queue: Arc::new(queue),
        };
        Executor { inner: Rc::new(inner) }
    }

    /// Adds a task. It goes on while [`run`](Executor::run) is running, whether its handle is kept or
    /// not, and is dropped with the executor.
    pub fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Task<T> {
        let inner = &self.inner;
        let id = inner.next.replace(inner.next.get() + 1);
        let end = Rc::new(RefCell::new(End::Awaited(None)));
        let told = Told(Rc::clone(&end));
        let task = async move {
            let value = future.await;
            told.tell(End::Here(value));
        };
        let alarm = inner.queue.alarm(id);
        let spawned = Spawned { future: Box::pin(task), alarm: Arc::clone(&alarm) };
        inner.tasks.borrow_mut().insert(id, spawned);
        alarm.ring();
        Task { end }
    }

    /// Runs a future to its end, and tasks beside it.
    ///
    /// # Panics
    /// If it is called by a task of the same executor; and with the future and each task that does.
    /// Such a task is over then, and the next run goes on with the others.
    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let inner = &self.inner;
        assert!(!inner.running.replace(true), "a task runs the executor that it is run by");
        let mut running = Running { inner, round: VecDeque::new() };
        let mut future = pin!(future);
        let alarm = inner.queue.alarm(ROOT);
        let waker = Waker::from(Arc::clone(&alarm));
        let driver = inner.queue.alarm(NO_TASK);
        alarm.ring();
        loop {
            driver.rung.store(false, SeqCst);
            inner.ring.driven_by(&Waker::from(Arc::clone(&driver)));
            // Those that are woken from now on wait for the next round, and so do submissions.
            running.round = std::mem::take(&mut *inner.queue.lock());
            let is_idle = running.round.is_empty();
            while let Some(id) = running.round.pop_front() {
                if id != ROOT {
                    inner.poll(id);
                    continue;
                }
                alarm.rung.store(false, SeqCst);
                if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                    drop(running);
                    return value;
                }
            }
            if is_idle { inner.sleep() } else { inner.ring.turn(Turn::Never) }
        }
    }
}

/// An executor that runs, and the tasks that are still to be polled in this round.
struct Running<'e> {
    inner: &'e Inner,
    round: VecDeque<u64>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.inner.ring.driven_by_nobody();
        self.inner.running.set(false);
        // The next run polls the rest.
        self.inner.queue.lock().extend(self.round.drain(..));
    }
}

impl Inner {
    fn poll(&self, id: u64) {
        // It is taken out while it is polled, for it may spawn others.
        let Some(mut task) = self.tasks.borrow_mut().remove(&id) else { return };
        // Before the poll: what happens during it is for another one.
        task.alarm.rung.store(false, SeqCst);
        let waker = Waker::from(Arc::clone(&task.alarm));
        if task.future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            self.tasks.borrow_mut().insert(id, task);
        }
    }

    fn sleep(&self) {
        let queue = &self.queue;
        // SeqCst, here and in `Alarm::ring`: either we see what was queued, or its waker sees us asleep.
        queue.asleep.store(true, SeqCst);
        if !queue.lock().is_empty() {
            queue.asleep.store(false, SeqCst);
            return self.ring.turn(Turn::Never);
        }
        self.ring.turn_unless_fetched(|| !queue.asleep.load(SeqCst));
        queue.asleep.store(false, SeqCst);
    }
}

impl Queue {
    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<u64>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn alarm(self: &Arc<Queue>, id: u64) -> Arc<Alarm> {
        Arc::new(Alarm { queue: Arc::clone(self), id, rung: AtomicBool::new(false) })
    }
}

impl Alarm {
    fn ring(&self) {
        if self.rung.swap(true, SeqCst) {
            return;
        }
        self.queue.lock().push_back(self.id);
        if self.queue.asleep.swap(false, SeqCst)
            && let Some(ring) = self.queue.ring.upgrade()
        {
            ring.fetch_sleeper();
        }
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}

enum End<T> {
    Awaited(Option<Waker>),
    Here(T),
    Taken,
    /// It was dropped before it had come.
    Never,
}

/// Tells who awaits a task of its end, and if there never will be one.
struct Told<T>(Rc<RefCell<End<T>>>);

impl<T> Told<T> {
    fn tell(&self, end: End<T>) {
        if let End::Awaited(Some(waker)) = self.0.replace(end) {
            waker.wake();
        }
    }
}

impl<T> Drop for Told<T> {
    fn drop(&mut self) {
        if matches!(*self.0.borrow(), End::Awaited(_)) {
            self.tell(End::Never);
        }
    }
}

/// A task that was spawned: awaiting it brings its value. Dropping it lets the task go on. To await one
/// that has panicked, or whose executor is gone, is a panic.
pub struct Task<T> {
    end: Rc<RefCell<End<T>>>,
}

impl<T> Future for Task<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut end = self.end.borrow_mut();
        match std::mem::replace(&mut *end, End::Taken) {
            End::Here(value) => Poll::Ready(value),
            End::Awaited(_) => {
                *end = End::Awaited(Some(context.waker().clone()));
                Poll::Pending
            }
            End::Taken => panic!("a task was polled after its end"),
            End::Never => panic!("a task is awaited that was dropped before its end"),
        }
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor").field("ring", &self.inner.ring).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self.end.borrow() {
            End::Awaited(_) => "Task(running)",
            End::Here(_) | End::Taken | End::Never => "Task(over)",
        })
    }
}
