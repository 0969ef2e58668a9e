//! One accepted submission, from `prepare` to its last CQE.

use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use sysring_protocol::Handle;
use sysring_sys::abi::io_uring::{Sqe, op};
use sysring_sys::{Fd, Result};

use crate::crew::Crew;
use crate::kbuf::Taken;
use crate::memory;
use crate::native::Call;
use crate::op::table::{self, Row};
use crate::personality::Personality;
use crate::ring::Ring;
use crate::tag::Tag;
use crate::timeout::NOWHERE;

/// Where a request is on its road.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Stage {
    /// In the slab's free list.
    Free,
    /// Accepted; in a link behind another, in the drain queue, or about to be issued.
    Queued,
    /// Waits on the ring's epoll instance for its file to become ready.
    Parked,
    /// In the workers' queue.
    Punted,
    /// A worker runs it, outside the ring's lock.
    Running,
    /// Submitted to kernel AIO.
    Aio,
    /// In the timer heap or in the list of timeouts that count completions.
    Timer,
    /// Its operation keeps it and will complete it.
    Held,
    /// A sleeper waits for it, outside the ring's lock.
    Asleep,
}

/// What has been decided about a request. What its SQE says has the same bit here.
pub mod flag {
    use sysring_sys::abi::io_uring::sqe_flags;

    /// A link follows (soft).
    pub const LINK: u32 = sqe_flags::IO_LINK as u32;
    /// A link follows that survives failure.
    pub const HARDLINK: u32 = sqe_flags::IO_HARDLINK as u32;
    /// Failed: the soft links behind it are cancelled.
    pub const FAIL: u32 = 1 << 7;
    /// No CQE if it succeeds.
    pub const CQE_SKIP: u32 = sqe_flags::CQE_SKIP_SUCCESS as u32;
    /// It failed and was to be silent: so are the links it takes down.
    pub const SKIP_LINK_CQES: u32 = 1 << 19;
    /// Waits for everything before it.
    pub const DRAIN: u32 = sqe_flags::IO_DRAIN as u32;
    /// Not inline if that could block.
    pub const ASYNC: u32 = sqe_flags::ASYNC as u32;
    /// `fd` is an index into the registered files.
    pub const FIXED_FILE: u32 = sqe_flags::FIXED_FILE as u32;
    /// `EAGAIN` is an answer, not a reason to wait.
    pub const NOWAIT: u32 = 1 << 8;
    /// A LINK_TIMEOUT follows it and is to be started with it.
    pub const ARM_LTIMEOUT: u32 = 1 << 9;
    /// Its LINK_TIMEOUT runs.
    pub const LINK_TIMEOUT: u32 = 1 << 10;
    /// Cancelled while a worker had it.
    pub const CANCELED: u32 = 1 << 11;
    /// Posts more than one CQE.
    pub const MULTISHOT: u32 = 1 << 12;
    /// Has waited for readiness at least once (for the statistics, and a fair retry).
    pub const POLLED: u32 = 1 << 13;
    /// The file cannot be polled: next time to a worker.
    pub const UNPOLLABLE: u32 = 1 << 14;
    /// Operation-specific preparation has copied what must outlive the submitter.
    pub const STABLE: u32 = 1 << 15;
    /// Is counted among the drain queue's members.
    pub const DEFERRED: u32 = 1 << 16;
    /// Has taken a buffer from its group.
    pub const BUFFER_TAKEN: u32 = 1 << 17;
    /// In the ring's list of requests in flight.
    pub const LISTED: u32 = 1 << 18;
    /// Takes its buffer from a group.
    pub const BUFFER_SELECT: u32 = sqe_flags::BUFFER_SELECT as u32;
    /// The descriptor is registered with the ring's epoll instance.
    pub const ARMED: u32 = 1 << 20;
    /// Of several shots this is the last, though all went well.
    pub const LAST_SHOT: u32 = 1 << 21;
    /// Cancelled where it waited: its turn comes only to complete.
    pub const TAKEN_DOWN: u32 = 1 << 22;
    /// What came was longer than there was room for, and was to be whole.
    pub const TRUNCATED: u32 = 1 << 23;
    /// Begins a link that its batch leaves open: the kernel has a worker run it as if it could
    /// block.
    pub const LEFT_OPEN: u32 = 1 << 24;
    /// Is to be issued by those who have its credentials.
    pub const ENTRUSTED: u32 = 1 << 25;
    /// What a worker does for it ends only when others do something.
    pub const MAY_WAIT: u32 = 1 << 26;
    /// A worker waits for its file to become ready: the ring's epoll instance could not.
    pub const WATCHED: u32 = 1 << 27;
    /// Works with registered files or buffers that are tagged.
    pub const TAGGED: u32 = 1 << 28;
    /// Has found its registered buffer, and keeps it whatever becomes of the slot.
    pub const BUFFER_FOUND: u32 = 1 << 29;
    /// The second half of its CQE, of 32 bytes, is in `scratch`.
    pub const WIDE_CQE: u32 = 1 << 30;
    /// A notification: all that is left is to tell it.
    pub const NOTICE: u32 = 1 << 31;
    /// What an SQE says even if it is refused: links are kept together, and a silent one's are silent.
    pub const KEPT: u32 = LINK | HARDLINK | CQE_SKIP;
    /// Its end is more than a CQE of 16 bytes.
    pub const ENTANGLED: u32 = LINK
        | HARDLINK
        | FAIL
        | CQE_SKIP
        | WIDE_CQE
        | ARM_LTIMEOUT
        | LINK_TIMEOUT
        | LISTED
        | ARMED
        | DEFERRED
        | TAGGED;
}

/// The open file a request works on.
#[derive(Clone, Copy, Debug)]
pub struct File {
    /// The descriptor to use now.
    pub fd: Fd,
    /// It is a duplicate of the engine's, to be closed with the request.
    pub owned: bool,
}

impl File {
    /// No file.
    pub const NONE: File = File { fd: Fd::NONE, owned: false };
}

/// Memory copied for a request: iovecs, headers, addresses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Copied {
    start: Option<NonNull<u8>>,
    len: usize,
}

impl Copied {
    /// Makes room for `len` bytes; what was copied before is gone.
    pub fn reserve(&mut self, len: usize) -> Result<NonNull<u8>> {
        self.free();
        let start = memory::allocate(len)?;
        *self = Copied { start: Some(start), len };
        Ok(start)
    }

    /// The address, if anything was copied.
    #[must_use]
    pub fn start(&self) -> Option<NonNull<u8>> {
        self.start
    }

    /// Whether an address is in it, or its end.
    #[must_use]
    pub fn holds(&self, address: usize) -> bool {
        self.start.is_some_and(|start| {
            let start = start.as_ptr() as usize;
            (start..=start + self.len).contains(&address)
        })
    }

    #[inline(always)]
    pub fn free(&mut self) {
        if let Some(start) = self.start.take() {
            // SAFETY: allocated with this length by `reserve`; nothing else keeps the address.
            unsafe { memory::release(start, self.len) };
        }
    }
}

/// Links of an intrusive list.
#[derive(Clone, Copy, Debug, Default)]
pub struct Links {
    pub prev: Option<Req>,
    pub next: Option<Req>,
}

/// A request. Owned by its ring's lock, but for the time a worker runs it. What every request needs
/// comes first: two lines of the processor's cache.
#[derive(Debug)]
#[repr(C)]
pub struct Request {
    /// The entry as it was when it was accepted.
    pub sqe: Sqe,
    /// What the road knows of its operation.
    pub row: &'static Row,
    /// In one queue at a time: tasks, drain, workers, remote completions.
    pub queued: Option<Req>,
    pub flags: u32,
    /// Counts the lives of this place, so that a late event finds that it came too late.
    pub life: u32,
    /// What its CQE will say.
    pub res: i32,
    pub cflags: u32,
    /// Bytes done by earlier attempts.
    pub done: u32,
    /// A timer's place in the heap.
    pub heap_index: u32,
    pub file: File,
    /// A second one, for operations between two.
    pub other: File,
    pub stage: Stage,
    /// The request behind it in its link.
    pub link: Option<Req>,
    /// The request a LINK_TIMEOUT watches, or the timeout that watches this one.
    pub partner: Option<Req>,
    /// The notification that follows its last CQE.
    pub notice: Option<Req>,
    /// The crew that it was left to, latest.
    pub crew: Option<&'static Crew>,
    /// Two words for the operation's own use.
    pub scratch: [u64; 2],
    pub copied: Copied,
    /// The credentials it is to be run with, where these are not those of the thread that has it now.
    pub creds: Option<&'static Personality>,
    pub ring: *const Ring,
    /// Its place in the slab.
    pub id: u32,
    /// What it waits for, as `epoll` names it.
    pub events: u32,
    /// What came, as `epoll` told it.
    pub revents: u32,
    /// The descriptor that is registered for it.
    pub watch: Fd,
    /// It is the application's own number, and stays registered.
    pub watch_stays: bool,
    /// In the ring's list of requests in flight.
    pub flight: Links,
    /// A timer's deadline, in nanoseconds of CLOCK_MONOTONIC.
    pub deadline: i64,
    /// The count of CQEs from which a timeout counts its own; how often its ring had told others
    /// when a poll began to listen.
    pub sequence: u32,
    /// The thread that runs it, in [`Stage::Running`].
    pub worker: i32,
    /// The buffer it has taken, and how long that is in full.
    pub buffer: Taken,
    pub full: u32,
    /// The system call of a native one.
    pub call: Call,
    /// Of what it works with: a file, another, a buffer.
    pub tags: [Tag; 3],
}

/// A handle on a request: the engine's `struct io_kiocb *`.
///
/// Whoever holds the ring's lock may use the handles of its requests, except those in
/// [`Stage::Running`], which belong to the worker that runs them. The slab never unmaps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Req(NonNull<Request>);

// SAFETY: see the rule above: at any time one thread may use a handle.
unsafe impl Send for Req {}

impl Req {
    /// # Safety
    /// `request` lies in a slab, and the rule above is kept for the handle and its copies.
    pub unsafe fn new(request: NonNull<Request>) -> Req {
        Req(request)
    }

    #[must_use]
    pub fn as_ptr(self) -> *mut Request {
        self.0.as_ptr()
    }

    #[inline(always)]
    #[must_use]
    pub fn has(&self, flags: u32) -> bool {
        self.flags & flags != 0
    }

    pub fn set(&mut self, flags: u32) {
        self.flags |= flags;
    }

    pub fn clear(&mut self, flags: u32) {
        self.flags &= !flags;
    }

    /// Whether its end is more than a CQE of 16 bytes: there are lists that it is in, files and memory
    /// of its own, other requests that hear of it.
    #[inline(always)]
    #[must_use]
    pub fn is_entangled(&self) -> bool {
        self.has(flag::ENTANGLED)
            || self.notice.is_some()
            || self.copied.start.is_some()
            || self.creds.is_some()
            || self.file.owned
            || self.other.owned
            || self.heap_index != NOWHERE
            || self.row.tell.is_some()
    }

    /// The word epoll and AIO carry for this life of the request.
    #[must_use]
    pub fn ticket(&self) -> u64 {
        u64::from(self.life) << 32 | u64::from(self.id)
    }
}

// SAFETY: `of` is `new`; the slab never unmaps.
unsafe impl Handle for Req {
    type Node = Request;

    fn ptr(self) -> NonNull<Request> {
        self.0
    }

    unsafe fn of(ptr: NonNull<Request>) -> Req {
        Req(ptr)
    }

    fn next(self) -> Option<Req> {
        self.queued
    }

    fn set_next(mut self, next: Option<Req>) {
        self.queued = next;
    }
}

impl Deref for Req {
    type Target = Request;

    #[inline(always)]
    fn deref(&self) -> &Request {
        // SAFETY: slab memory is never unmapped, and the holder has the right to it (above).
        unsafe { self.0.as_ref() }
    }
}

impl DerefMut for Req {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Request {
        // SAFETY: as `deref`.
        unsafe { self.0.as_mut() }
    }
}

/// A queue of requests, first in first out, threaded through `queued`.
#[derive(Debug, Default)]
pub struct Queue {
    head: Option<Req>,
    tail: Option<Req>,
}

impl Queue {
    pub const fn new() -> Queue {
        Queue { head: None, tail: None }
    }

    pub fn push(&mut self, mut req: Req) {
        req.queued = None;
        match self.tail.replace(req) {
            Some(mut last) => last.queued = Some(req),
            None => self.head = Some(req),
        }
    }

    pub fn pop(&mut self) -> Option<Req> {
        let mut first = self.head?;
        self.head = first.queued.take();
        if self.head.is_none() {
            self.tail = None;
        }
        Some(first)
    }

    /// Calls `act` for every member.
    pub fn each(&self, mut act: impl FnMut(Req)) {
        let mut at = self.head;
        while let Some(req) = at {
            act(req);
            at = req.queued;
        }
    }

    /// Moves everything of another queue to the end of this one.
    pub fn append(&mut self, other: &mut Queue) {
        let Some(first) = other.head.take() else { return };
        let last = other.tail.take();
        match self.tail {
            Some(mut tail) => tail.queued = Some(first),
            None => self.head = Some(first),
        }
        self.tail = last;
    }

    #[must_use]
    pub fn first(&self) -> Option<Req> {
        self.head
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    /// Takes `req` out, wherever it is; whether it was there.
    pub fn remove(&mut self, req: Req) -> bool {
        let mut before: Option<Req> = None;
        let mut at = self.head;
        while let Some(mut here) = at {
            if here == req {
                let next = here.queued.take();
                match before {
                    Some(mut b) => b.queued = next,
                    None => self.head = next,
                }
                if self.tail == Some(req) {
                    self.tail = before;
                }
                return true;
            }
            before = at;
            at = here.queued;
        }
        false
    }
}

/// Requests by number, in chunks that double and are never given back while the ring lives.
#[derive(Debug)]
#[repr(C)]
pub struct Slab {
    free: Option<Req>,
    chunks: [*mut Request; CHUNKS],
    made: u32,
}

/// The first chunk fits the requests of a small ring into four pages.
const FIRST: u32 = 64;
const CHUNKS: usize = 15;

impl Default for Slab {
    fn default() -> Self {
        Self::new()
    }
}

impl Slab {
    pub const fn new() -> Slab {
        Slab { free: None, chunks: [core::ptr::null_mut(); CHUNKS], made: 0 }
    }

    /// A blank request of `ring`.
    ///
    /// # Errors
    /// `ENOMEM`.
    #[inline(always)]
    pub fn take(&mut self, ring: *const Ring) -> Result<Req> {
        let mut req = match self.free {
            Some(req) => req,
            None => self.grow(ring)?,
        };
        self.free = req.queued;
        req.stage = Stage::Queued;
        Ok(req)
    }

    /// Gives a request back.
    #[inline(always)]
    pub fn put(&mut self, mut req: Req) {
        req.stage = Stage::Free;
        req.life = req.life.wrapping_add(1);
        req.queued = self.free;
        self.free = Some(req);
    }

    /// The request a ticket names, if that life of it still lasts.
    #[must_use]
    pub fn find(&self, ticket: u64) -> Option<Req> {
        let (id, life) = (ticket as u32, (ticket >> 32) as u32);
        if id >= self.made {
            return None;
        }
        let (chunk, index) = place(id);
        // SAFETY: `id` was made, so the chunk is mapped and the place lies in it.
        let req = unsafe { Req::new(NonNull::new_unchecked(self.chunks[chunk].add(index))) };
        (req.life == life && req.stage != Stage::Free).then_some(req)
    }

    #[cold]
    fn grow(&mut self, ring: *const Ring) -> Result<Req> {
        let (chunk, _) = place(self.made);
        if chunk >= CHUNKS {
            return Err(sysring_sys::Errno::ENOMEM);
        }
        let count = FIRST << chunk;
        let len = memory::pages(count as usize * size_of::<Request>());
        let start = sysring_sys::call::map_anonymous(len, false)?.cast::<Request>();
        self.chunks[chunk] = start;
        for i in (0..count).rev() {
            // SAFETY: the place lies in the new chunk, nobody knows it yet, and is filled whole.
            let req = unsafe {
                let place = start.add(i as usize);
                place.write(Request::blank(ring, self.made + i));
                Req::new(NonNull::new_unchecked(place))
            };
            let mut req = req;
            req.queued = self.free;
            self.free = Some(req);
        }
        self.made += count;
        self.free.ok_or(sysring_sys::Errno::ENOMEM)
    }

    /// Unmaps everything.
    ///
    /// # Safety
    /// No handle of this slab is used again.
    pub unsafe fn destroy(&mut self) {
        for (chunk, start) in self.chunks.iter().enumerate() {
            if !start.is_null() {
                let len = memory::pages((FIRST << chunk) as usize * size_of::<Request>());
                // SAFETY: mapped by `grow` with this length.
                let _ = unsafe { sysring_sys::call::munmap(*start as usize, len) };
            }
        }
        *self = Slab::new();
    }
}

/// The chunk a number lies in, and where: chunk `k` holds `FIRST << k` requests.
const fn place(id: u32) -> (usize, usize) {
    let chunk = (id / FIRST + 1).ilog2();
    (chunk as usize, (id - FIRST * ((1 << chunk) - 1)) as usize)
}

impl Request {
    fn blank(ring: *const Ring, id: u32) -> Request {
        Request {
            sqe: Sqe::default(),
            row: table::of(op::NOP),
            call: Call { nr: 0, args: [0; 6] },
            ring,
            id,
            life: 1,
            stage: Stage::Free,
            flags: 0,
            file: File::NONE,
            other: File::NONE,
            res: 0,
            cflags: 0,
            done: 0,
            events: 0,
            revents: 0,
            watch: Fd::NONE,
            watch_stays: false,
            link: None,
            partner: None,
            notice: None,
            flight: Links::default(),
            queued: None,
            deadline: 0,
            sequence: 0,
            heap_index: NOWHERE,
            worker: 0,
            crew: None,
            buffer: Taken::NONE,
            full: 0,
            scratch: [0; 2],
            copied: Copied::default(),
            creds: None,
            tags: [Tag::NONE; 3],
        }
    }

    /// Makes a recycled request ready for a new submission.
    #[inline(always)]
    pub fn begin(&mut self, sqe: &Sqe, row: &'static Row) {
        self.sqe = *sqe;
        self.row = row;
        // What concerns its link and its silence counts even if it is refused.
        self.flags = u32::from(sqe.flags) & flag::KEPT;
        self.file = File::NONE;
        self.other = File::NONE;
        self.res = 0;
        self.cflags = 0;
        self.done = 0;
        self.link = None;
        self.partner = None;
        self.notice = None;
        self.scratch = [0; 2];
        self.crew = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_one_place() {
        let mut last = (0, 0);
        assert_eq!(place(0), (0, 0));
        for id in 1..10_000 {
            let here = place(id);
            assert!(here == (last.0, last.1 + 1) || here == (last.0 + 1, 0), "{id}: {here:?}");
            assert!(here.1 < (FIRST as usize) << here.0);
            last = here;
        }
    }

    #[test]
    fn a_late_ticket_finds_nothing() {
        let mut slab = Slab::new();
        let req = slab.take(core::ptr::null()).unwrap();
        let ticket = req.ticket();
        assert_eq!(slab.find(ticket), Some(req));
        slab.put(req);
        assert_eq!(slab.find(ticket), None);
        let again = slab.take(core::ptr::null()).unwrap();
        assert_eq!(again, req);
        assert_eq!(slab.find(ticket), None);
        // SAFETY: the handles above are not used again.
        unsafe { slab.destroy() };
    }

    #[test]
    fn a_queue_keeps_its_order_and_lets_any_member_go() {
        let mut slab = Slab::new();
        let reqs: [Req; 5] = core::array::from_fn(|_| slab.take(core::ptr::null()).unwrap());
        let mut queue = Queue::new();
        for r in reqs {
            queue.push(r);
        }
        assert!(queue.remove(reqs[2]));
        assert!(!queue.remove(reqs[2]));
        assert!(queue.remove(reqs[4]));
        queue.push(reqs[2]);
        let out: Vec<_> = core::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(out, [reqs[0], reqs[1], reqs[3], reqs[2]]);
        // SAFETY: the handles above are not used again.
        unsafe { slab.destroy() };
    }
}
