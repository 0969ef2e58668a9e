//! A ring: its shared memory, its private state, and the lock between them.

use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::ptr::{self, NonNull};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, fence};

use sysring_sys::abi::io_uring::{CqOffsets, Cqe, Params, SqOffsets, Sqe, cqe_flags, setup};
use sysring_sys::{Fd, Result, call};

use crate::aio::Aio;
use crate::complete::Eventfd;
use crate::filetable::FileTable;
use crate::filter::Filters;
use crate::kbuf::Groups;
use crate::memory::{self, Mapping};
use crate::personality::{self, Personality};
use crate::poll::Readiness;
use crate::queues::Queues;
use crate::register::{mem_region, napi};
use crate::request::{Queue, Req, Request, Slab};
use crate::restrict::{self, Restrictions};
use crate::rsrc::BufferTable;
use crate::sync::RawLock;
use crate::timeout::Timers;
use crate::wq;

/// Offsets in the mapping of the queues. The words each side writes lie on lines of their own.
pub mod at {
    pub const SQ_HEAD: usize = 0;
    pub const SQ_TAIL: usize = 64;
    pub const CQ_HEAD: usize = 128;
    pub const CQ_TAIL: usize = 192;
    pub const SQ_MASK: usize = 256;
    pub const CQ_MASK: usize = 260;
    pub const SQ_ENTRIES: usize = 264;
    pub const CQ_ENTRIES: usize = 268;
    pub const SQ_DROPPED: usize = 272;
    pub const SQ_FLAGS: usize = 276;
    pub const CQ_FLAGS: usize = 280;
    pub const CQ_OVERFLOW: usize = 284;
    pub const CQES: usize = 320;
}

/// What a ring was made with: private copies, which nothing in shared memory can change.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shape {
    pub flags: u32,
    pub sq_entries: u32,
    pub cq_entries: u32,
}

impl Shape {
    #[must_use]
    pub fn has(&self, flags: u32) -> bool {
        self.flags & flags != 0
    }

    /// Whether completions of reads and writes are looked for in `enter` and nowhere else.
    #[must_use]
    pub fn polls_in_enter(&self) -> bool {
        self.has(setup::IOPOLL) && !self.has(setup::SQPOLL)
    }

    /// Bytes from one SQE to the next.
    #[must_use]
    pub fn sqe_stride(&self) -> usize {
        if self.has(setup::SQE128) { 128 } else { 64 }
    }

    /// Bytes from one CQE to the next.
    #[must_use]
    pub fn cqe_stride(&self) -> usize {
        if self.has(setup::CQE32) { 32 } else { 16 }
    }

    /// Whether a CQE with these flags takes two places.
    #[must_use]
    fn takes_two(&self, flags: u32) -> bool {
        flags & cqe_flags::CQE32 != 0 && self.has(setup::CQE_MIXED)
    }

    /// Bytes from one CQE to the next on the overflow list, which has room for any.
    fn overflow_stride(&self) -> usize {
        if self.has(setup::CQE32 | setup::CQE_MIXED) { 32 } else { 16 }
    }

    /// Where the SQ array lies: on a line of its own.
    fn array_at(&self) -> usize {
        (at::CQES + self.cq_entries as usize * self.cqe_stride()).next_multiple_of(64)
    }

    /// Bytes of the mapping that holds both queues.
    #[must_use]
    pub fn rings_len(&self) -> usize {
        let array = if self.has(setup::NO_SQARRAY) { 0 } else { self.sq_entries as usize * 4 };
        memory::pages(self.array_at() + array)
    }

    /// Bytes of the mapping that holds the SQEs.
    #[must_use]
    pub fn sqes_len(&self) -> usize {
        memory::pages(self.sq_entries as usize * self.sqe_stride())
    }

    #[must_use]
    pub fn sq_offsets(&self) -> SqOffsets {
        let array = if self.has(setup::NO_SQARRAY) { 0 } else { self.array_at() as u32 };
        SqOffsets {
            head: at::SQ_HEAD as u32,
            tail: at::SQ_TAIL as u32,
            ring_mask: at::SQ_MASK as u32,
            ring_entries: at::SQ_ENTRIES as u32,
            flags: at::SQ_FLAGS as u32,
            dropped: at::SQ_DROPPED as u32,
            array,
            ..SqOffsets::default()
        }
    }

    #[must_use]
    pub fn cq_offsets(&self) -> CqOffsets {
        CqOffsets {
            head: at::CQ_HEAD as u32,
            tail: at::CQ_TAIL as u32,
            ring_mask: at::CQ_MASK as u32,
            ring_entries: at::CQ_ENTRIES as u32,
            overflow: at::CQ_OVERFLOW as u32,
            cqes: at::CQES as u32,
            flags: at::CQ_FLAGS as u32,
            ..CqOffsets::default()
        }
    }
}

/// How many CQEs the overflow list holds. Its memory is touched only when it is needed.
pub const OVERFLOW_ENTRIES: u32 = 1 << 20;

/// The ring's own half of the queues: shared with the processes that inherit the ring, hidden
/// from the application. All zero is the state of a new ring.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Control {
    pub lock: RawLock,
    /// SQEs taken.
    pub sq_head: u32,
    /// CQEs posted to the ring.
    pub cq_tail: u32,
    /// The overflow list: free-running indexes.
    pub overflow_head: u32,
    pub overflow_tail: u32,
    /// The readiness eventfd has been written and not read.
    pub signalled: bool,
    /// The one thread that may submit (`SINGLE_ISSUER`), 0 for none yet.
    pub submitter: AtomicU32,
    /// `R_DISABLED`, until `ENABLE_RINGS`.
    pub disabled: AtomicBool,
    /// A forked child uses the ring, too: who sleeps may be in another process than who completes.
    pub shared: AtomicBool,
}

/// The ring's memory, but for the queues.
#[derive(Debug)]
pub struct Regions {
    pub control: Mapping,
    pub overflow: Mapping,
}

/// What a sleeper in `enter` knew of the timers when it went to sleep.
#[derive(Clone, Copy, Debug)]
pub struct Asleep {
    /// When the first was due.
    pub until: i64,
    /// How many had gone off.
    pub fired: u32,
}

/// What the lock guards, private to this process.
#[derive(Debug)]
pub struct State {
    pub slab: Slab,
    /// Everything that has left the inline path and not completed.
    pub in_flight: Option<Req>,
    /// Requests whose turn has come: the rest of links, drained ones.
    pub tasks: Queue,
    /// Behind a drain.
    pub drain: Queue,
    /// Accepted and not completed.
    pub outstanding: u32,
    /// Of these, in the drain queue or linked behind a member of it.
    pub deferred: u32,
    pub drain_active: bool,
    pub drain_next: bool,
    pub drain_disabled: bool,
    pub timers: Timers,
    pub readiness: Readiness,
    pub aio: Aio,
    pub files: FileTable,
    pub buffers: BufferTable,
    pub groups: Groups,
    pub personalities: personality::Table,
    pub filters: Filters,
    pub napi: napi::Settings,
    pub queues: Option<Queues>,
    /// Memory for the arguments of waits.
    pub params: Option<mem_region::Params>,
    /// What the ring is restricted to, and what it is to be restricted to once it is enabled.
    pub restrictions: Option<Restrictions>,
    pub restrictions_to_be: Option<Restrictions>,
    pub eventfd: Option<Eventfd>,
    /// CQEs posted since the last commit, and whether another thread than the submitter did.
    pub posted: u32,
    /// Requests completed inline since the last commit: a shared counter is dear to touch.
    pub inlined: u32,
    pub posted_remotely: bool,
    /// Requests given to the workers since the last commit.
    pub punted: Queue,
    pub punted_count: u32,
    /// Requests given to the workers of personalities since the last commit.
    pub entrusted: Queue,
    pub entrusted_count: u32,
    /// Requests that the workers of a personality came upon and are not to run.
    pub handed_back: Queue,
    /// Who submitted links in which it matters who goes on with them, latest.
    pub submitted_as: Option<[u32; 6]>,
    /// The CQ tail at which the first sleeper in `enter` is to be woken.
    pub wanted: Option<u32>,
    /// What the latest sleeper knew of the timers.
    pub asleep: Asleep,
    /// The application has been seen to wait in `enter`.
    pub waits: bool,
    /// The driver hears at once of what becomes ready while nobody is in `enter`.
    pub driven: bool,
    /// The application knows that there is something to ask for.
    pub announced: bool,
    /// When it is to be told, if it has not come by then.
    pub announce_at: Option<i64>,
    /// How often the eventfd, or who polls the descriptor, was told of something.
    pub told: u32,
    /// The application has gone with work under way: the driver looks in now and then.
    pub unattended: bool,
    /// The ring is being torn down: nothing is posted or started any more.
    pub closing: bool,
    /// Files for which NOWAIT and O_DIRECT are known.
    pub hints: crate::op::rw::Hints,
}

/// A ring. Its memory is never unmapped but used again: a stale pointer to one finds a ring,
/// perhaps another, never nothing.
#[derive(Debug)]
pub struct Ring {
    /// Descriptors (as one), threads in `enter`, requests with workers. Zero: not in use.
    pub refs: AtomicU32,
    /// Descriptors that name the ring.
    pub handles: AtomicU32,
    pub shape: Shape,
    regions: Option<Regions>,
    /// Where the queues lie, and how many entries they have: what the lock's holder has put there.
    rings_at: AtomicPtr<u8>,
    sqes_at: AtomicPtr<u8>,
    sq_entries: AtomicU32,
    cq_entries: AtomicU32,
    state: UnsafeCell<State>,
    /// Requests finished by workers while somebody else held the lock.
    remote: AtomicPtr<Request>,
    /// Sleepers in `enter`.
    pub sleepers: AtomicU32,
    /// The eventfd that wakes them, -1 while nobody has slept yet.
    pub bell: AtomicI32,
    /// The ring descriptor, as it was made.
    pub fd: AtomicI32,
    pub sqpoll: crate::sqpoll::SqPoll,
    /// The register calls that are allowed, a bit each.
    calls: AtomicU64,
    /// By which clock waits are timed.
    pub clock: AtomicU32,
    /// The ring descriptor is in an epoll set: it must tell the truth at all times.
    pub watched: AtomicBool,
    /// A request of this ring polls another ring's descriptor.
    pub polls_rings: AtomicBool,
    /// Next in the list of rings to be used again, and in the list of all.
    pub next_free: AtomicPtr<Ring>,
    pub next_ring: AtomicPtr<Ring>,
}

// SAFETY: `state` is reached through `Locked` only; the rest is atomic, or set before the ring is
// published in the descriptor table and read only afterwards.
unsafe impl Sync for Ring {}

impl Ring {
    /// A ring not in use, for `renew`.
    pub const fn blank() -> Ring {
        Ring {
            refs: AtomicU32::new(0),
            handles: AtomicU32::new(0),
            shape: Shape { flags: 0, sq_entries: 0, cq_entries: 0 },
            regions: None,
            rings_at: AtomicPtr::new(ptr::null_mut()),
            sqes_at: AtomicPtr::new(ptr::null_mut()),
            sq_entries: AtomicU32::new(0),
            cq_entries: AtomicU32::new(0),
            state: UnsafeCell::new(State::NEW),
            remote: AtomicPtr::new(ptr::null_mut()),
            sleepers: AtomicU32::new(0),
            bell: AtomicI32::new(-1),
            fd: AtomicI32::new(-1),
            sqpoll: crate::sqpoll::SqPoll::none(),
            calls: AtomicU64::new(restrict::ALL_CALLS),
            clock: AtomicU32::new(call::CLOCK_MONOTONIC),
            watched: AtomicBool::new(false),
            polls_rings: AtomicBool::new(false),
            next_free: AtomicPtr::new(ptr::null_mut()),
            next_ring: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Gives an unused ring its shape and memory.
    ///
    /// # Errors
    /// `ENOMEM`; of memory that the application lends, as [`Region::lent`](crate::region::Region::lent).
    pub fn renew(&mut self, shape: Shape, given: &Params) -> Result<()> {
        let queues = Queues::new(shape, given)?;
        let regions = Regions {
            control: Mapping::shared(size_of::<Control>())?,
            overflow: Mapping::shared(OVERFLOW_ENTRIES as usize * shape.overflow_stride())?,
        };
        self.shape = shape;
        self.regions = Some(regions);
        self.lay_out(shape, &queues);
        // In two steps: the first is a copy of a constant, and needs no stack.
        let state = self.state.get_mut();
        *state = State::NEW;
        state.queues = Some(queues);
        self.remote = AtomicPtr::new(ptr::null_mut());
        self.sleepers = AtomicU32::new(0);
        self.bell = AtomicI32::new(-1);
        self.calls = AtomicU64::new(restrict::ALL_CALLS);
        self.clock = AtomicU32::new(call::CLOCK_MONOTONIC);
        self.watched = AtomicBool::new(false);
        self.polls_rings = AtomicBool::new(false);
        self.control().disabled.store(shape.has(setup::R_DISABLED), Relaxed);
        if shape.has(setup::SINGLE_ISSUER) && !shape.has(setup::R_DISABLED) {
            // Who makes the ring, unless it is made to be enabled by another.
            self.control().submitter.store(call::gettid() as u32, Relaxed);
        }
        Ok(())
    }

    /// Says where the queues lie, and how large they are.
    pub fn lay_out(&self, shape: Shape, queues: &Queues) {
        self.sq_entries.store(shape.sq_entries, Relaxed);
        self.cq_entries.store(shape.cq_entries, Relaxed);
        self.rings_at.store(queues.rings.start(), Relaxed);
        self.sqes_at.store(queues.sqes.start(), Relaxed);
    }

    /// The ring's shape with the sizes it has now: under the lock, but for rings that are never
    /// resized.
    #[inline(always)]
    #[must_use]
    pub fn layout(&self) -> Shape {
        Shape {
            flags: self.shape.flags,
            sq_entries: self.sq_entries.load(Relaxed),
            cq_entries: self.cq_entries.load(Relaxed),
        }
    }

    /// Gives the ring's memory back; what was in flight must be gone.
    ///
    /// # Safety
    /// No other thread uses the ring: its count of references has reached zero.
    pub unsafe fn retire(&self) {
        // SAFETY: nobody else looks at the ring (the caller's promise).
        let (state, regions) = unsafe {
            let regions = (&raw const self.regions).cast_mut();
            (&mut *self.state.get(), &mut *regions)
        };
        // SAFETY: requests die with their ring.
        unsafe { state.slab.destroy() };
        *state = State::NEW;
        *regions = None;
    }

    #[must_use]
    pub fn regions(&self) -> &Regions {
        // A ring that can be reached has its memory: `renew` comes before, `retire` after.
        match &self.regions {
            Some(regions) => regions,
            None => unreachable!(),
        }
    }

    fn control(&self) -> &Control {
        // SAFETY: the mapping is at least that large, zeroed, page-aligned, and lives as long as
        // the ring; the fields that are not atomic are touched under the lock only.
        unsafe { &*self.regions().control.start().cast::<Control>() }
    }

    /// A word of the shared queues.
    #[inline(always)]
    fn word(&self, offset: usize) -> &AtomicU32 {
        // SAFETY: `offset` is one of `at`'s, inside the first page and aligned; the application
        // writes these words too, hence atomics. The queues stay where they are while the ring is
        // locked, and those of a ring that submits by itself for good.
        unsafe { AtomicU32::from_ptr(self.rings_at.load(Relaxed).add(offset).cast()) }
    }

    #[must_use]
    pub fn sq_flags(&self) -> &AtomicU32 {
        self.word(at::SQ_FLAGS)
    }

    #[must_use]
    pub fn cq_flags(&self) -> &AtomicU32 {
        self.word(at::CQ_FLAGS)
    }

    /// The thread that may submit, and whether the ring is still disabled: readable unlocked.
    #[must_use]
    pub fn submitter(&self) -> &AtomicU32 {
        &self.control().submitter
    }

    /// Whether several processes use the ring.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.control().shared.load(Relaxed)
    }

    #[must_use]
    pub fn disabled(&self) -> &AtomicBool {
        &self.control().disabled
    }

    #[must_use]
    pub fn is_disabled(&self) -> bool {
        self.disabled().load(Relaxed)
    }

    /// Whether the ring takes a register call.
    #[must_use]
    pub fn allows_call(&self, number: u32) -> bool {
        self.calls.load(Relaxed) >> number & 1 != 0
    }

    pub fn restrict_calls(&self, to: u64) {
        self.calls.store(to, Relaxed);
    }

    /// SQEs that wait to be taken, by the shared indexes (unlocked: a hint).
    #[must_use]
    pub fn sq_pending(&self) -> u32 {
        let tail = self.word(at::SQ_TAIL).load(Acquire);
        tail.wrapping_sub(self.word(at::SQ_HEAD).load(Relaxed)).min(self.sq_entries.load(Relaxed))
    }

    pub fn lock(&self) -> Locked<'_> {
        self.lock_as(None)
    }

    /// As `lock`, by a worker of a personality.
    pub fn lock_as(&self, acting: Option<&'static Personality>) -> Locked<'_> {
        self.control().lock.lock();
        Locked { ring: self, submitter: false, acting }
    }

    /// As `lock`, by a thread of the application's.
    pub fn lock_as_submitter(&self) -> Locked<'_> {
        self.control().lock.lock();
        let mut locked = Locked { ring: self, submitter: true, acting: None };
        if locked.readiness.inherited {
            self.control().shared.store(true, Relaxed);
            locked.readiness.join();
        }
        locked
    }

    pub fn try_lock(&self) -> Option<Locked<'_>> {
        self.try_lock_as(None)
    }

    fn try_lock_as(&self, acting: Option<&'static Personality>) -> Option<Locked<'_>> {
        // Not `then_some`: a `Locked` that is made and dropped unlocks.
        let locked = || Locked { ring: self, submitter: false, acting };
        self.control().lock.try_lock().then(locked)
    }

    /// Hands a finished request in from outside the lock: now if nobody holds it, else whoever
    /// does takes it before letting go. `acting` is whose worker hands it in.
    pub fn finish_remotely(&self, mut req: Req, acting: Option<&'static Personality>) {
        let mut head = self.remote.load(Relaxed);
        loop {
            // SAFETY: a listed request is a live handle.
            req.queued = NonNull::new(head).map(|h| unsafe { Req::new(h) });
            // Release pairs with the Acquire in `take_remote`: the request's fields come along.
            match self.remote.compare_exchange_weak(head, req.as_ptr(), Release, Relaxed) {
                Ok(_) => break,
                Err(now) => head = now,
            }
        }
        // With the fence in `unlock`: either our attempt sees the lock free, or the holder,
        // having let go, sees the request.
        fence(SeqCst);
        if self.is_shared() {
            // The holder may be another process, which has a list of its own.
            self.control().lock.lock();
            drop(Locked { ring: self, submitter: false, acting });
        } else if let Some(locked) = self.try_lock_as(acting) {
            drop(locked);
        }
    }

    /// After `fork`, in the child: the requests are the parent's; the queues are everybody's.
    ///
    /// # Safety
    /// The calling thread is the only one of this process that uses the engine.
    #[inline(never)]
    pub unsafe fn after_fork(&self) {
        // SAFETY: the promise above.
        let state = unsafe { &mut *self.state.get() };
        let mut fresh = State::NEW;
        core::mem::swap(&mut fresh.files, &mut state.files);
        core::mem::swap(&mut fresh.buffers, &mut state.buffers);
        core::mem::swap(&mut fresh.groups, &mut state.groups);
        fresh.queues = state.queues.take();
        fresh.params = state.params.take();
        core::mem::swap(&mut fresh.filters, &mut state.filters);
        fresh.restrictions = state.restrictions;
        fresh.restrictions_to_be = state.restrictions_to_be;
        fresh.eventfd = state.eventfd.take();
        fresh.readiness.inherit(&state.readiness);
        // The old requests' memory stays: their buffers may lie in it as the child's copy, and a
        // page of the parent's costs nothing until it is written.
        *state = fresh;
        self.remote.store(ptr::null_mut(), Relaxed);
        self.sleepers.store(0, Relaxed);
        self.bell.store(-1, Relaxed);
        self.refs.store(1, Relaxed);
        self.sqpoll.after_fork();
    }
}

impl State {
    pub const NEW: State = State {
        slab: Slab::new(),
        in_flight: None,
        tasks: Queue::new(),
        drain: Queue::new(),
        outstanding: 0,
        deferred: 0,
        drain_active: false,
        drain_next: false,
        drain_disabled: false,
        timers: Timers::new(),
        readiness: Readiness::new(),
        aio: Aio::new(),
        files: FileTable::new(),
        buffers: BufferTable::new(),
        groups: Groups::new(),
        personalities: personality::Table::new(),
        filters: Filters::NONE,
        napi: napi::Settings::NEW,
        queues: None,
        params: None,
        restrictions: None,
        restrictions_to_be: None,
        eventfd: None,
        posted: 0,
        inlined: 0,
        posted_remotely: false,
        punted: Queue::new(),
        punted_count: 0,
        entrusted: Queue::new(),
        entrusted_count: 0,
        handed_back: Queue::new(),
        submitted_as: None,
        wanted: None,
        asleep: Asleep { until: i64::MAX, fired: 0 },
        waits: false,
        driven: false,
        announced: false,
        announce_at: None,
        told: 0,
        unattended: false,
        closing: false,
        hints: crate::op::rw::Hints::new(),
    };
}

/// The right to a ring's state; commits and unlocks when dropped.
#[derive(Debug)]
pub struct Locked<'r> {
    pub ring: &'r Ring,
    /// The thread is the application's: its credentials are the ones to work with.
    pub submitter: bool,
    /// The thread is a worker of this personality: it may do nothing but that's work.
    pub acting: Option<&'static Personality>,
}

impl Deref for Locked<'_> {
    type Target = State;

    #[inline(always)]
    fn deref(&self) -> &State {
        // SAFETY: a `Locked` exists only while the lock is held, and there is one.
        unsafe { &*self.ring.state.get() }
    }
}

impl DerefMut for Locked<'_> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut State {
        // SAFETY: as `deref`.
        unsafe { &mut *self.ring.state.get() }
    }
}

impl Locked<'_> {
    pub fn control(&mut self) -> &mut Control {
        // SAFETY: the lock is held; `submitter` and `disabled`, which are read without it, are
        // atomics.
        unsafe { &mut *self.ring.regions().control.start().cast::<Control>() }
    }

    /// SQEs that the application has published and we have not taken.
    pub fn sq_available(&mut self) -> u32 {
        if self.ring.shape.has(setup::SQ_REWIND) {
            // Who submits says how many.
            return self.ring.layout().sq_entries;
        }
        // Acquire pairs with the application's release of its tail: the SQEs are written.
        let tail = self.ring.word(at::SQ_TAIL).load(Acquire);
        tail.wrapping_sub(self.control().sq_head).min(self.ring.layout().sq_entries)
    }

    /// Takes the next SQE; also, how many places there are behind it. `None`: its index in the SQ
    /// array is out of range, it is dropped.
    pub fn sq_take(&mut self) -> Option<(Sqe, u32)> {
        let shape = self.ring.layout();
        let position = self.control().sq_head & (shape.sq_entries - 1);
        self.control().sq_head = self.control().sq_head.wrapping_add(1);
        let index = if shape.has(setup::NO_SQARRAY) {
            position
        } else {
            self.ring.word(shape.array_at() + position as usize * 4).load(Relaxed)
        };
        if index >= shape.sq_entries {
            self.ring.word(at::SQ_DROPPED).fetch_add(1, Relaxed);
            return None;
        }
        // SAFETY: the index was checked against our own copy of the size. The application may
        // write the entry at any time: volatile, and whatever was read is only numbers.
        let sqe = unsafe {
            let at = self.ring.sqes_at.load(Relaxed).add(index as usize * shape.sqe_stride());
            at.cast::<Sqe>().read_volatile()
        };
        Some((sqe, shape.sq_entries - 1 - index))
    }

    /// Takes the second half of an SQE that is twice as long as others.
    pub fn sq_take_half(&mut self) {
        self.control().sq_head = self.control().sq_head.wrapping_add(1);
    }

    /// Tells the application which SQEs are free to be filled again.
    pub fn sq_publish(&mut self) {
        if self.ring.shape.has(setup::SQ_REWIND) {
            // The next batch begins at the first place, and nobody looks at the head.
            self.control().sq_head = 0;
            return;
        }
        // Release: we have read the entries before they are handed back.
        let head = self.control().sq_head;
        self.ring.word(at::SQ_HEAD).store(head, Release);
    }

    /// CQEs in the ring that the application has not consumed.
    pub fn cq_ready(&mut self) -> u32 {
        // Acquire pairs with the application's release of its head: it has read what it frees.
        let head = self.ring.word(at::CQ_HEAD).load(Acquire);
        self.control().cq_tail.wrapping_sub(head)
    }

    /// The application's index into the completion queue.
    pub fn cq_head(&self) -> u32 {
        self.ring.word(at::CQ_HEAD).load(Acquire)
    }

    /// Whether there is room in the ring for a CQE with these flags. One of two places is never
    /// torn: where only the last place is left before the ring begins anew, that is filled up.
    pub fn cq_make_room(&mut self, flags: u32) -> bool {
        let entries = self.ring.layout().cq_entries;
        if !self.ring.shape.takes_two(flags) {
            return self.cq_ready() < entries;
        }
        let last_place = self.control().cq_tail & (entries - 1) == entries - 1;
        if last_place && self.cq_ready() < entries {
            self.cq_put(Cqe { flags: cqe_flags::SKIP, ..Cqe::default() }, [0; 2]);
        }
        self.cq_ready().saturating_add(2) <= entries
    }

    /// Writes a CQE at the tail; there is room.
    pub fn cq_put(&mut self, cqe: Cqe, extra: [u64; 2]) {
        let shape = self.ring.layout();
        let two = shape.takes_two(cqe.flags);
        let index = (self.control().cq_tail & (shape.cq_entries - 1)) as usize;
        // SAFETY: the index is masked with our own copy of the size; volatile, as the application
        // may look at any time.
        unsafe {
            let at = self.ring.rings_at.load(Relaxed).add(at::CQES + index * shape.cqe_stride());
            at.cast::<Cqe>().write_volatile(cqe);
            if shape.has(setup::CQE32) || two {
                at.add(16).cast::<[u64; 2]>().write_volatile(extra);
            }
        }
        let tail = self.control().cq_tail.wrapping_add(if two { 2 } else { 1 });
        self.control().cq_tail = tail;
        // Release pairs with the application's acquire of the tail: the entry is written.
        self.ring.word(at::CQ_TAIL).store(tail, Release);
    }

    /// A completion that could not even be kept on the overflow list.
    pub fn cq_count_lost(&mut self) {
        self.ring.word(at::CQ_OVERFLOW).fetch_add(1, Relaxed);
    }

    /// Puts a CQE at the end of the overflow list; whether there was room.
    pub fn overflow_push(&mut self, cqe: Cqe, extra: [u64; 2]) -> bool {
        let (head, tail) = (self.control().overflow_head, self.control().overflow_tail);
        if tail.wrapping_sub(head) >= OVERFLOW_ENTRIES {
            return false;
        }
        let at = self.overflow_slot(tail);
        // SAFETY: the slot is inside the list, as large as a CQE of this ring, and free.
        unsafe {
            at.cast::<Cqe>().write(cqe);
            if self.ring.shape.overflow_stride() == 32 {
                at.add(16).cast::<[u64; 2]>().write(extra);
            }
        }
        self.control().overflow_tail = tail.wrapping_add(1);
        true
    }

    /// The flags of the oldest CQE of the overflow list.
    #[must_use]
    pub fn overflow_first(&mut self) -> Option<u32> {
        if self.overflow_is_empty() {
            return None;
        }
        let head = self.control().overflow_head;
        let at = self.overflow_slot(head);
        // SAFETY: the slot was filled by `overflow_push`.
        Some(unsafe { at.cast::<Cqe>().read() }.flags)
    }

    /// Takes the oldest CQE of the overflow list.
    pub fn overflow_pop(&mut self) -> Option<(Cqe, [u64; 2])> {
        if self.overflow_is_empty() {
            return None;
        }
        let head = self.control().overflow_head;
        let at = self.overflow_slot(head);
        // SAFETY: the slot was filled by `overflow_push`.
        let (cqe, extra) = unsafe {
            let wide = self.ring.shape.overflow_stride() == 32;
            let extra = if wide { at.add(16).cast::<[u64; 2]>().read() } else { [0; 2] };
            (at.cast::<Cqe>().read(), extra)
        };
        self.control().overflow_head = head.wrapping_add(1);
        Some((cqe, extra))
    }

    #[must_use]
    pub fn overflow_is_empty(&mut self) -> bool {
        let control = self.control();
        control.overflow_head == control.overflow_tail
    }

    fn overflow_slot(&self, index: u32) -> *mut u8 {
        let index = (index & (OVERFLOW_ENTRIES - 1)) as usize;
        // SAFETY: masked with the size of the list the mapping was made for.
        unsafe {
            self.ring.regions().overflow.start().add(index * self.ring.shape.overflow_stride())
        }
    }

    /// Lets go of the lock for a moment, with work in hand, so that nobody waits for us while we
    /// wait for them.
    pub fn breathe(&mut self) {
        self.ring.control().lock.unlock();
        self.ring.control().lock.lock();
    }

    /// Requests that workers handed in while the lock was held.
    fn take_remote(&mut self) {
        if self.ring.remote.load(Relaxed).is_null() {
            return;
        }
        let mut at = NonNull::new(self.ring.remote.swap(ptr::null_mut(), Acquire));
        // The stack has the newest on top; turn it round so that order is kept.
        let mut oldest: Option<Req> = None;
        while let Some(here) = at {
            // SAFETY: handed in by its worker, which has let go of it.
            let mut req = unsafe { Req::new(here) };
            at = req.queued.map(|next| {
                // SAFETY: a handle is never null.
                unsafe { NonNull::new_unchecked(next.as_ptr()) }
            });
            req.queued = oldest;
            oldest = Some(req);
        }
        while let Some(mut req) = oldest {
            oldest = req.queued.take();
            self.worked(req);
        }
        self.run_tasks();
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let ring = self.ring;
        loop {
            self.take_remote();
            if self.readiness.armed_edge {
                self.reap();
            }
            self.aio_flush();
            let wake = self.commit();
            // What completions have set going.
            self.aio_flush();
            let begun = self.timers.fresh | self.readiness.fresh;
            if begun && !self.submitter && ring.sleepers.load(Relaxed) == 0 {
                // By a thread that does not wait for it: somebody must.
                self.leave(false);
            }
            let punted = wq::Batch::of(self);
            ring.control().lock.unlock();
            punted.send();
            wake.send(ring);
            // See `finish_remotely`.
            fence(SeqCst);
            if ring.remote.load(Relaxed).is_null() {
                return;
            }
            if ring.is_shared() {
                ring.control().lock.lock();
            } else if !ring.control().lock.try_lock() {
                return;
            }
        }
    }
}

/// A descriptor's number in the ring's own words.
#[must_use]
pub fn fd_of(ring: &Ring) -> Fd {
    Fd::new(ring.fd.load(Relaxed))
}
