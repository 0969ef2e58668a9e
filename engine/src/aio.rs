//! Kernel AIO: for files opened with `O_DIRECT`, where the disk does the waiting.
//!
//! Requests queue up during a submission and go to the kernel in one `io_submit`, or in two if the
//! disk would have nothing to do meanwhile. Completions are read from the ring the kernel maps,
//! without a call; an eventfd in the ring's epoll instance tells that there are some.

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicU32};

use sysring_sys::abi::Timespec;
use sysring_sys::abi::aio::{
    AIO_RING_MAGIC, AioRing, IOCB_CMD_PREAD, IOCB_CMD_PREADV, IOCB_FLAG_RESFD, IoEvent, Iocb,
};
use sysring_sys::abi::signal::SigSet;
use sysring_sys::call::{self, AioContext, RwFlags};
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, User};

use crate::hints::hint;
use crate::issue::Issued;
use crate::locked::Locked;
use crate::poll;
use crate::request::{At, Req, Stage, flag};
use crate::wait::time_left;
use crate::{descriptors, listeners, process, stats, user};

/// Requests given to the kernel in one call.
pub const BATCH: usize = 32;
/// Those given to a disk that has nothing to do: it begins with them while the others are prepared, which
/// takes the kernel longer than one call more.
const FIRST: usize = 4;
/// The largest context: the kernel counts them against a system-wide limit.
const MAX_EVENTS: u32 = 512;
/// That of a context for native calls, of which as many as one likes may be pending.
const NATIVE_EVENTS: u32 = 256;

#[derive(Debug)]
enum Context {
    /// Nobody has asked yet.
    Unmade,
    Ready {
        context: AioContext,
        eventfd: Fd,
        /// The completion ring, where its layout is the one we know.
        ring: *const AioRing,
        /// How many events it holds, as the kernel said before anybody could write there.
        nr: u32,
    },
    /// `aio-max-nr` is used up, or there is no AIO here: workers do the waiting.
    Unavailable,
}

/// A ring's AIO context.
pub struct Aio {
    context: Context,
    queue: [Iocb; BATCH],
    queued: usize,
    /// Submitted and not reaped.
    pub in_flight: u32,
    /// A thread sleeps in the kernel until enough are done: the completion ring is the kernel's
    /// to read meanwhile, for two readers would take the same events.
    pub counted: bool,
}

impl core::fmt::Debug for Aio {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Aio")
            .field("context", &self.context)
            .field("queued", &self.queued)
            .field("in_flight", &self.in_flight)
            .finish()
    }
}

const NO_REQUEST: Iocb = Iocb {
    data: 0,
    key: 0,
    rw_flags: 0,
    opcode: 0,
    reqprio: 0,
    fildes: 0,
    buf: 0,
    nbytes: 0,
    offset: 0,
    reserved2: 0,
    flags: 0,
    resfd: 0,
};

impl Default for Aio {
    fn default() -> Self {
        Self::new()
    }
}

impl Aio {
    pub const fn new() -> Aio {
        Aio {
            context: Context::Unmade,
            queue: [NO_REQUEST; BATCH],
            queued: 0,
            in_flight: 0,
            counted: false,
        }
    }

    /// How many requests wait for the next call at most.
    fn most(&self) -> usize {
        if self.in_flight == 0 { FIRST } else { BATCH }
    }

    /// Ends the context: waits for what the disks still have.
    pub fn close(&mut self) {
        if let Context::Ready { context, eventfd, .. } = self.context {
            // SAFETY: nobody looks at its ring but by way of `self`, which forgets it.
            let _ = unsafe { call::io_destroy(context) };
            descriptors::let_go(eventfd);
        }
        *self = Aio::new();
    }
}

/// A context with its eventfd in the epoll instance `set`. If nobody tells the engine what the process
/// listens for (`unheard`), it looks.
fn open(set: Fd, entries: u32, unheard: bool) -> Result<Context> {
    if unheard && listeners::are_there() {
        process::notify();
        return Ok(Context::Unavailable);
    }
    let context = call::io_setup(entries.min(MAX_EVENTS))?;
    let eventfd = call::eventfd(0).and_then(descriptors::keep).and_then(|eventfd| {
        let events = g::EPOLLIN | g::EPOLLET;
        let added = call::epoll_ctl(set, call::EpollOp::Add, eventfd, events, poll::AIO);
        added.map(|()| eventfd).inspect_err(|_| descriptors::let_go(eventfd))
    });
    let eventfd = match eventfd {
        Ok(eventfd) => eventfd,
        Err(e) => {
            // SAFETY: fresh, and nobody else's.
            let _ = unsafe { call::io_destroy(context) };
            return Err(e);
        }
    };
    let (ring, nr) = match user::read(User::<[u32; 5]>::new(context.0 as u64)) {
        Ok([_, nr, _, _, AIO_RING_MAGIC]) if nr != 0 => (context.0 as *const AioRing, nr),
        _ => (core::ptr::null(), 0),
    };
    Ok(Context::Ready { context, eventfd, ring, nr })
}

/// The hint that a file cannot be asked not to wait for such a transfer.
fn waits(opcode: u16) -> u8 {
    match opcode {
        IOCB_CMD_PREAD | IOCB_CMD_PREADV => hint::READ_WAITS,
        _ => hint::WRITE_WAITS,
    }
}

impl Locked<'_> {
    /// Queues a transfer of a file that is opened with `O_DIRECT`; `request` says all but which file.
    /// As io_uring does, we ask it not to wait (for dirty pages, a block to be allocated, the disk's
    /// queue): it says so then, and a worker waits. The way through the kernel is shorter, too.
    /// It may say so late, when the file's number leads elsewhere: the worker has a duplicate.
    ///
    /// # Errors
    /// As [`share_file`](Self::share_file).
    pub fn aio_transfer(&mut self, req: Req, mut request: Iocb) -> Result<Issued> {
        self.share_file(req)?;
        if self.hints.look(req.file.fd) & waits(request.opcode) == 0 {
            request.rw_flags |= RwFlags::NOWAIT.0;
        }
        Ok(self.aio_queue(req, request))
    }

    /// Queues a request for the next `io_submit`; to a worker where there is no AIO, or where
    /// it would be missed that AIO raises no file events.
    pub fn aio_queue(&mut self, mut req: Req, request: Iocb) -> Issued {
        if process::is_notified() {
            return Issued::Work;
        }
        if matches!(self.aio.context, Context::Unmade) {
            let native = self.ring.events().is_some();
            let entries = if native { NATIVE_EVENTS } else { self.ring.layout().cq_entries };
            let unheard = native || process::is_unheard();
            let made = self.set().and_then(|set| open(set, entries, unheard));
            self.aio.context = made.unwrap_or(Context::Unavailable);
        }
        let Context::Ready { eventfd, .. } = self.aio.context else { return Issued::Work };
        if self.aio.queued >= self.aio.most() {
            self.aio_flush();
        }
        let slot = self.aio.queued;
        self.aio.queue[slot] = Iocb {
            data: req.ticket(),
            fildes: req.file.fd.raw() as u32,
            flags: request.flags | IOCB_FLAG_RESFD,
            resfd: eventfd.raw() as u32,
            ..request
        };
        self.aio.queued += 1;
        req.stage = At::new(Stage::Aio);
        Issued::Aio
    }

    /// Gives the queue to the kernel. What cannot be done without waiting AIO says at once, and a
    /// worker takes it now: what the request names may be gone, or another's, when the submitter is.
    #[inline(always)]
    pub fn aio_submit(&mut self) {
        if self.aio.queued != 0 {
            self.aio_submit_all();
        }
    }

    #[inline(never)]
    fn aio_submit_all(&mut self) {
        while self.aio.queued != 0 {
            self.aio_flush();
            self.aio_reap();
            self.run_tasks();
        }
    }

    /// Gives the queue to the kernel. What it does not take a worker does: the context may be full,
    /// or it is an error, which the worker's call will tell.
    #[inline(always)]
    pub fn aio_flush(&mut self) {
        if self.aio.queued != 0 {
            self.aio_flush_queue();
        }
    }

    #[inline(never)]
    fn aio_flush_queue(&mut self) {
        let Context::Ready { context, .. } = self.aio.context else { return };
        let count = core::mem::take(&mut self.aio.queued);
        let first = (&raw const self.aio.queue).cast::<Iocb>();
        let pointers: [*const Iocb; BATCH] = core::array::from_fn(|i| first.wrapping_add(i));
        // Tickets alone, for later: the queue may be filled again while workers are found.
        let mut left_over = [0; BATCH];
        let mut left = 0;
        let mut at = 0;
        while at < count {
            // SAFETY: the requests are `self.aio.queue`'s, and their buffers the application's, which asked
            // for it.
            let taken = unsafe { call::io_submit(context, &pointers[at..count]) };
            let refused = match taken {
                Ok(n) if n > 0 => {
                    stats::add(&stats::get().aio, n as u64);
                    self.aio.in_flight += n as u32;
                    at += n;
                    continue;
                }
                Ok(_) | Err(Errno::EAGAIN) => count - at,
                Err(Errno::EOPNOTSUPP) if self.aio_may_wait(at) => continue,
                Err(_) => 1,
            };
            for request in &self.aio.queue[at..at + refused] {
                left_over[left] = request.data;
                left += 1;
            }
            at += refused;
        }
        for ticket in &left_over[..left] {
            if let Some(req) = self.slab.find(*ticket) {
                self.punt(req);
            }
        }
    }

    /// A file that cannot be asked not to wait: whether it is to be tried without that.
    #[cold]
    fn aio_may_wait(&mut self, at: usize) -> bool {
        let Some(req) = self.slab.find(self.aio.queue[at].data) else { return false };
        let request = &mut self.aio.queue[at];
        if req.has(flag::NOWAIT) || request.rw_flags & RwFlags::NOWAIT.0 == 0 {
            return false;
        }
        request.rw_flags &= !RwFlags::NOWAIT.0;
        let waits = waits(request.opcode);
        self.hints.mark(req.file.fd, waits);
        true
    }

    /// Takes finished requests off the completion ring.
    pub fn aio_reap(&mut self) {
        if self.aio.in_flight == 0 || self.aio.counted {
            return;
        }
        let Context::Ready { context, ring, nr, .. } = self.aio.context else { return };
        if ring.is_null() {
            return self.aio_reap_by_call(context);
        }
        // SAFETY: the kernel maps the ring for as long as the context lives; the words are
        // changed by both sides, hence atomics.
        let (head, tail) = unsafe {
            let ring = ring.cast_mut();
            let head = AtomicU32::from_ptr(&raw mut (*ring).head);
            (head, AtomicU32::from_ptr(&raw mut (*ring).tail))
        };
        loop {
            let at = head.load(Relaxed);
            // Acquire pairs with the kernel's release of the tail: the events are written.
            if at == tail.load(Acquire) {
                return;
            }
            // SAFETY: `nr` events follow the header, of which this is one whatever is in `head`.
            let event = unsafe { ring.add(1).cast::<IoEvent>().add((at % nr) as usize).read() };
            // Release: the event is read before its place is free.
            head.store((at + 1) % nr, Release);
            self.aio_done(event);
        }
    }

    /// Out of line, for its stack: hardly any kernel needs it.
    #[inline(never)]
    fn aio_reap_by_call(&mut self, context: AioContext) {
        let mut events = [IoEvent::default(); BATCH];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        while let Ok(n) = call::io_getevents(context, 0, &mut events, Some(&now)) {
            for event in &events[..n] {
                self.aio_done(*event);
            }
            if n < BATCH {
                return;
            }
        }
    }

    fn aio_done(&mut self, event: IoEvent) {
        self.aio.in_flight -= 1;
        self.readiness.stirred = true;
        let Some(mut req) = self.slab.find(event.data) else { return };
        req.stage = At::new(Stage::Queued);
        req.res = event.res as i32;
        self.posted_remotely = true;
        let Some(finish) = req.row.finish else { return };
        let issued = match req.res == Errno::EAGAIN.to_res() && !req.has(flag::NOWAIT) {
            true if req.has(flag::CANCELED) => Issued::Done(Errno::ECANCELED.to_res()),
            // We asked it not to wait; the request did not.
            true => Issued::Work,
            false => finish(self, req),
        };
        self.carry_on(req, issued);
    }
}

/// Before Linux 4.18, or by a filter that does not know it, `io_pgetevents` is refused: the epoll
/// instance tells of each completion instead.
static COUNTS: AtomicBool = AtomicBool::new(true);

/// Where nothing but AIO is under way, the kernel can count: it wakes us once there are enough.
#[derive(Clone, Copy, Debug)]
pub struct Alone {
    context: AioContext,
    at_least: u32,
}

impl Locked<'_> {
    /// Whether a wait for `missing` completions can be left to AIO.
    pub fn aio_alone(&self, missing: u32) -> Option<Alone> {
        let Context::Ready { context, .. } = self.aio.context else { return None };
        let all = COUNTS.load(Relaxed)
            && !self.aio.counted
            && self.aio.in_flight == self.outstanding
            && missing <= self.aio.in_flight;
        (all && missing > 1 && self.timers.is_empty())
            .then_some(Alone { context, at_least: missing })
    }

    /// Takes in what such a wait brought.
    pub fn aio_take(&mut self, events: &[IoEvent]) {
        for event in events {
            self.aio_done(*event);
        }
    }
}

impl Alone {
    /// Sleeps until enough requests are done.
    ///
    /// # Errors
    /// `EINTR`.
    pub fn sleep(
        self,
        events: &mut [IoEvent],
        until: Option<i64>,
        mask: Option<SigSet>,
    ) -> Result<usize> {
        let timeout = time_left(until);
        let at_least = (self.at_least as usize).min(events.len());
        match call::io_pgetevents(self.context, at_least, events, timeout.as_ref(), mask.as_ref()) {
            Err(Errno::ENOSYS | Errno::EPERM) => {
                COUNTS.store(false, Relaxed);
                Ok(0)
            }
            answer => answer,
        }
    }
}
