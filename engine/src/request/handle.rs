//! A request, and the handle on it. Requests are in links and lists and are changed from many places,
//! so nobody owns one by Rust's rules: there are handles, and one rule for who may use them.

use core::mem::offset_of;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::Relaxed;

use sysring_protocol::Handle;
use sysring_sys::Fd;
use sysring_sys::abi::io_uring::{Sqe, op};

use super::copied::Copied;
use super::file::{File, Inode};
use super::flag;
use super::stage::{At, Stage};
use crate::crew::Crew;
use crate::kbuf::Taken;
use crate::native::Call;
use crate::op::table::{self, Row, row_flag};
use crate::personality::Personality;
use crate::ring::Ring;
use crate::tag::Tag;
use crate::timeout::NOWHERE;

/// A request. Owned by its ring's lock, but for the time a worker runs it. What every request needs
/// comes first: three lines of the processor's cache.
#[derive(Debug)]
#[repr(C, align(64))]
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
    pub stage: At,
    /// The notification that follows its last CQE.
    pub notice: Option<Req>,
    pub copied: Copied,
    /// The credentials it is to be run with, where these are not those of the thread that has it now.
    pub creds: Option<&'static Personality>,
    /// The request behind it in its link.
    pub link: Option<Req>,
    /// The request a LINK_TIMEOUT watches, or the timeout that watches this one.
    pub partner: Option<Req>,
    /// Two words for the operation's own use.
    pub scratch: [u64; 2],
    /// The crew that it was left to, latest.
    pub crew: Option<&'static Crew>,
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
    /// Of these, among those whose user_data may be the same.
    pub namesakes: Links,
    /// A timer's deadline, in nanoseconds of CLOCK_MONOTONIC.
    pub deadline: i64,
    /// How many timers its ring had begun before this one.
    pub begun: u64,
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
    /// What its two files are known by, where numbers are all that it has of them.
    pub known_by: [Inode; 2],
}

const _: () = assert!(offset_of!(Request, row) == 64 && offset_of!(Request, crew) == 192);

impl Request {
    /// One that nobody has taken yet.
    pub(super) fn blank(ring: *const Ring, id: u32) -> Request {
        Request {
            sqe: Sqe::default(),
            row: table::of(op::NOP),
            call: Call { nr: 0, args: [0; 6] },
            ring,
            id,
            life: 1,
            stage: At::new(Stage::Free),
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
            namesakes: Links::default(),
            queued: None,
            deadline: 0,
            begun: 0,
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
            known_by: [(0, 0); 2],
        }
    }

    /// Makes a recycled request ready for a new submission.
    #[inline(always)]
    pub fn begin(&mut self, sqe: &Sqe, row: &'static Row) {
        self.sqe = *sqe;
        self.row = row;
        // What concerns its link and its silence counts even if it is refused.
        self.flags = u32::from(sqe.flags) & flag::KEPT;
        self.file.forget();
        self.other.forget();
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

/// Links of an intrusive list.
#[derive(Clone, Copy, Debug, Default)]
pub struct Links {
    pub prev: Option<Req>,
    pub next: Option<Req>,
}

/// A handle on a request: the engine's `struct io_kiocb *`.
///
/// Whoever holds the ring's lock may use the handles of its requests, except those in
/// [`Stage::Running`]: of these the worker has what its operation needs, and writes to it; the lock's
/// holder reads what nobody writes meanwhile (the entry, the row, the links of lists, which are its own),
/// looks at `stage`, which is atomic, and at its flags by what is atomic, too, as the worker does
/// ([`Req::set_while_running`]). A slab unmaps only in `destroy`, when its ring's `refs` is 0; a request
/// that others know of, as a worker does, holds the ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Req(NonNull<Request>);

// SAFETY: by the rule above no two threads use the same field of a request at a time, but for what is
// atomic.
unsafe impl Send for Req {}

impl Req {
    /// # Safety
    /// `request` lies in a slab, and the rule above is kept for the handle and its copies.
    pub(super) unsafe fn new(request: NonNull<Request>) -> Req {
        Req(request)
    }

    #[inline(always)]
    #[must_use]
    pub fn has(&self, flags: u32) -> bool {
        self.flags & flags != 0
    }

    pub fn set(&mut self, flags: u32) {
        self.flags |= flags;
    }

    /// Sets flags of one that may be running: by the worker, or by who holds the ring's lock and tells it
    /// to stop. Relaxed: the signal comes after the word; what the worker sets goes with its result.
    pub fn set_while_running(self, flags: u32) {
        self.shared_flags().fetch_or(flags, Relaxed);
    }

    /// As `set_while_running`, by who holds the ring's lock.
    pub fn clear_while_running(self, flags: u32) {
        self.shared_flags().fetch_and(!flags, Relaxed);
    }

    /// As `has`, of one that may be running.
    #[must_use]
    pub fn has_while_running(self, flags: u32) -> bool {
        self.shared_flags().load(Relaxed) & flags != 0
    }

    /// Whether who runs it has been told to stop. Relaxed: the signal is sent after the word, and again
    /// where it was not heeded.
    #[must_use]
    pub fn is_to_stop(self) -> bool {
        self.has_while_running(flag::CANCELED)
    }

    /// The flags of one that is running: read by two, and changed by both.
    #[inline(always)]
    fn shared_flags(&self) -> &AtomicU32 {
        // SAFETY: the slab is there as long as who uses the handle holds its ring. While a worker runs a
        // request, its flags change through here alone.
        unsafe { AtomicU32::from_ptr(&raw mut (*self.0.as_ptr()).flags) }
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
            || self.copied.start().is_some()
            || self.creds.is_some()
            || self.file.owned
            || self.other.owned
            || self.heap_index != NOWHERE
            || self.row.tell.is_some()
    }

    /// Whether it has outlived its submission with a number for its file, because no descriptor was left
    /// for a duplicate: the application may have closed that, and got it again for something else.
    #[inline(always)]
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.file.is_bare() || self.other.is_bare()
    }

    /// Whether the numbers that it is left with lead to its files still, as far as can be told.
    #[cold]
    #[must_use]
    pub fn has_its_files(&self) -> bool {
        let files = [self.file, self.other].into_iter().zip(self.known_by);
        files.into_iter().all(|(file, known_by)| !file.is_bare() || file.is_there(known_by))
    }

    /// Whether what a worker does for it ends by itself. A personality's workers come and go by rules
    /// of their own.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        self.row.has(row_flag::BOUNDED)
            && !self.has(flag::MAY_WAIT | flag::WATCHED)
            && self.creds.is_none()
    }

    /// The word epoll and AIO carry for this life of the request.
    #[must_use]
    pub fn ticket(&self) -> u64 {
        u64::from(self.life) << 32 | u64::from(self.id)
    }
}

// SAFETY: `of` is `new`; a slab unmaps only in `destroy`, when nobody holds its ring any more.
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
        // SAFETY: who uses a handle holds its ring, so the slab is there, and has the right to it (above).
        unsafe { self.0.as_ref() }
    }
}

impl DerefMut for Req {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Request {
        // SAFETY: slab memory stays while the ring is held, and the holder has the right to change
        // it (above).
        unsafe { self.0.as_mut() }
    }
}
