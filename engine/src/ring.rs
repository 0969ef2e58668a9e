//! A ring: its shared memory and its private state. What the lock guards is reached through
//! [`Locked`](crate::locked::Locked).

use core::cell::UnsafeCell;
use core::ptr;
use core::sync::atomic::Ordering::Relaxed;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64};

use sysring_protocol::Inbox;
use sysring_sys::abi::io_uring::{Params, setup};
use sysring_sys::{Fd, Result, call};

use crate::descriptors::OPEN;
use crate::memory::Mapping;
use crate::orders::Orders;
use crate::overflow::OVERFLOW_ENTRIES;
use crate::queues::Queues;
use crate::request::Req;
use crate::restrict;
use crate::shape::{Shape, at};
use crate::state::State;
use crate::sync::{Futex, RawLock};

/// The ring's own half of the queues: shared with the processes that inherit the ring, hidden
/// from the application. All zero is the state of a new ring. What is read without the lock is atomic;
/// the rest is in cells, which [`Locked`](crate::locked::Locked) opens.
#[derive(Debug)]
#[repr(C)]
pub struct Control {
    pub lock: RawLock,
    pub(crate) counts: UnsafeCell<Counts>,
    /// The one thread that may submit (`SINGLE_ISSUER`), 0 for none yet.
    pub submitter: AtomicU32,
    /// `R_DISABLED`, until `ENABLE_RINGS`.
    pub disabled: AtomicBool,
    /// A forked child uses the ring, too: who sleeps may be in another process than who completes.
    pub shared: AtomicBool,
    /// What a child asks its parent to do.
    pub orders: Orders,
}

/// How far the queues are, by our own count. Under the lock.
#[derive(Debug)]
#[repr(C)]
pub struct Counts {
    /// SQEs taken.
    pub sq_head: u32,
    /// CQEs posted to the ring.
    pub cq_tail: u32,
    /// Up to where there was room for them when the application's head was last looked at.
    pub cq_end: u32,
    /// The overflow list: free-running indexes.
    pub overflow_head: u32,
    pub overflow_tail: u32,
    /// The readiness eventfd has been written and not read.
    pub signalled: bool,
}

/// The ring's memory, but for the queues.
#[derive(Debug)]
pub struct Regions {
    pub control: Mapping,
    pub overflow: Mapping,
    /// Of a context for native calls: what it has instead of a completion queue.
    pub events: Option<sysring_events::Ring>,
}

/// A ring. Its memory is never unmapped but used again: a stale pointer to one finds a ring,
/// perhaps another, never nothing. So there may be a `&Ring` at any time, also of one that is being
/// made or taken apart, and never a `&mut Ring`; but who has no hold on it touches atomics alone.
/// What every request needs comes first.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Ring {
    shape: UnsafeCell<Shape>,
    sq_entries: AtomicU32,
    cq_entries: AtomicU32,
    /// Where the first of the regions begins; null while the ring is not in use.
    control_at: AtomicPtr<Control>,
    /// Where the queues lie, and how many entries they have: what the lock's holder has put there.
    pub(crate) rings_at: AtomicPtr<u8>,
    pub(crate) sqes_at: AtomicPtr<u8>,
    /// The SQ array; null where there is none.
    pub(crate) array_at: AtomicPtr<AtomicU32>,
    pub(crate) state: UnsafeCell<State>,
    /// Descriptors (as one), threads in a call, requests with workers: `descriptors::hold` says where
    /// each of them is counted. Zero: not in use.
    pub refs: AtomicU64,
    /// Descriptors that name the ring, those that nobody hears of as one.
    pub handles: AtomicU32,
    /// How often such a one was made or met; 0: never, or none was left.
    pub strays: AtomicU32,
    /// Its only known descriptor has been closed without a word, and counts still.
    pub adrift: AtomicBool,
    regions: UnsafeCell<Option<Regions>>,
    /// Requests finished by workers while somebody else held the lock.
    pub(crate) remote: Inbox<Req>,
    /// Sleepers in `enter`, and how often one has come back.
    pub sleepers: AtomicU32,
    pub returns: Futex,
    /// One of them looks now and then after what stands behind others at the workers.
    pub guarded: AtomicBool,
    /// The eventfd that wakes them, -1 while nobody has slept yet.
    pub bell: AtomicI32,
    /// It was rung since somebody last emptied the epoll instance.
    pub rung: AtomicBool,
    /// The ring descriptor, as it was made.
    pub fd: AtomicI32,
    /// The eventfd in it, which nothing else has in it: of a ring that is held.
    pub shown: AtomicI32,
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
    /// The ring is in the list of unsettled ones, and what is next there.
    pub unsettled: AtomicBool,
    pub next_unsettled: AtomicPtr<Ring>,
}

// SAFETY: `state` is reached through `Locked` only. `shape` and `regions` are written by who makes the
// ring, before `refs` says that it is in use, and `regions` by who takes it apart, after `refs` has
// become 0; they are read by those two and by who holds the ring. The rest is atomic.
unsafe impl Sync for Ring {}

/// A ring not in use, of which others are copies. Nobody uses it.
static BLANK: Ring = Ring::blank();

impl Ring {
    /// Makes a ring that is not in use, for `renew`.
    ///
    /// # Safety
    /// `place` is aligned, and memory of the caller's alone.
    pub unsafe fn begin(place: *mut Ring) {
        // SAFETY: the caller's promise; a ring not in use owns nothing, so there may be any number.
        unsafe { ptr::copy_nonoverlapping(&raw const BLANK, place, 1) };
    }

    const fn blank() -> Ring {
        Ring {
            refs: AtomicU64::new(0),
            handles: AtomicU32::new(0),
            strays: AtomicU32::new(0),
            adrift: AtomicBool::new(false),
            shape: UnsafeCell::new(Shape { flags: 0, sq_entries: 0, cq_entries: 0 }),
            regions: UnsafeCell::new(None),
            control_at: AtomicPtr::new(ptr::null_mut()),
            rings_at: AtomicPtr::new(ptr::null_mut()),
            sqes_at: AtomicPtr::new(ptr::null_mut()),
            array_at: AtomicPtr::new(ptr::null_mut()),
            sq_entries: AtomicU32::new(0),
            cq_entries: AtomicU32::new(0),
            state: UnsafeCell::new(State::NEW),
            remote: Inbox::new(),
            sleepers: AtomicU32::new(0),
            returns: Futex::new(0),
            guarded: AtomicBool::new(false),
            bell: AtomicI32::new(-1),
            rung: AtomicBool::new(false),
            fd: AtomicI32::new(-1),
            shown: AtomicI32::new(-1),
            sqpoll: crate::sqpoll::SqPoll::none(),
            calls: AtomicU64::new(restrict::ALL_CALLS),
            clock: AtomicU32::new(call::CLOCK_MONOTONIC),
            watched: AtomicBool::new(false),
            polls_rings: AtomicBool::new(false),
            next_free: AtomicPtr::new(ptr::null_mut()),
            next_ring: AtomicPtr::new(ptr::null_mut()),
            unsettled: AtomicBool::new(false),
            next_unsettled: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Gives an unused ring its shape and memory.
    ///
    /// # Safety
    /// `refs` is 0, and the ring is in no list of those to be used: nobody else makes it, or takes it
    /// apart. (Who came by a stale pointer may look at the count meanwhile, and goes away.)
    ///
    /// # Errors
    /// `ENOMEM`; of memory that the application lends, as [`Region::lent`](crate::region::Region::lent).
    pub unsafe fn renew(
        &self,
        shape: Shape,
        given: &Params,
        events: Option<sysring_events::Ring>,
    ) -> Result<()> {
        let queues = Queues::new(shape, given)?;
        let regions = Regions {
            control: Mapping::shared(size_of::<Control>())?,
            overflow: Mapping::shared(OVERFLOW_ENTRIES as usize * shape.overflow_stride())?,
            events,
        };
        // Nothing fails from here on. Relaxed, all of it: `hold_first` tells others.
        self.control_at.store(regions.control.start().cast(), Relaxed);
        // SAFETY: nobody else reads or writes what is in the cells (the caller's promise). Of the state
        // one value ends and another begins. What is copied owns nothing: it is all that a ring not in
        // use has. (A copy needs no stack; the value itself is longer than some.)
        unsafe {
            *self.shape.get() = shape;
            *self.regions.get() = Some(regions);
            let state = self.state.get();
            ptr::drop_in_place(state);
            ptr::copy_nonoverlapping(BLANK.state.get(), state, 1);
        }
        self.lay_out(shape, &queues);
        // SAFETY: as nobody else has the state.
        unsafe { (*self.state.get()).queues = Some(queues) };
        self.adrift.store(false, Relaxed);
        self.strays.store(0, Relaxed);
        self.remote.forget();
        self.sleepers.store(0, Relaxed);
        self.bell.store(-1, Relaxed);
        self.rung.store(false, Relaxed);
        self.calls.store(restrict::ALL_CALLS, Relaxed);
        self.clock.store(call::CLOCK_MONOTONIC, Relaxed);
        self.watched.store(false, Relaxed);
        self.polls_rings.store(false, Relaxed);
        self.guarded.store(false, Relaxed);
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
        let rings = queues.rings.start();
        self.rings_at.store(rings, Relaxed);
        let array = match shape.has(setup::NO_SQARRAY) {
            true => ptr::null_mut(),
            false => rings.wrapping_add(shape.array_at()),
        };
        self.array_at.store(array.cast(), Relaxed);
        self.sqes_at.store(queues.sqes.start(), Relaxed);
    }

    /// Gives the ring the eventfd that tells of its CQEs.
    pub fn show(&self, eventfd: Fd) {
        self.lock().readiness.show(eventfd);
        // Relaxed: who looks at it holds the ring, which `hold_first` tells of.
        self.shown.store(eventfd.raw(), Relaxed);
    }

    /// What the ring was made with.
    #[inline(always)]
    #[must_use]
    pub fn shape(&self) -> Shape {
        // SAFETY: it does not change while anybody holds the ring, as who asks does, or makes it.
        unsafe { *self.shape.get() }
    }

    /// The ring's shape with the sizes it has now: under the lock, but for rings that are never
    /// resized.
    #[inline(always)]
    #[must_use]
    pub fn layout(&self) -> Shape {
        Shape {
            flags: self.shape().flags,
            sq_entries: self.sq_entries.load(Relaxed),
            cq_entries: self.cq_entries.load(Relaxed),
        }
    }

    /// How many entries the SQ has, as [`layout`](Self::layout) says.
    #[inline(always)]
    #[must_use]
    pub fn sq_size(&self) -> u32 {
        self.sq_entries.load(Relaxed)
    }

    /// How many entries the CQ has, as [`layout`](Self::layout) says.
    #[inline(always)]
    #[must_use]
    pub fn cq_size(&self) -> u32 {
        self.cq_entries.load(Relaxed)
    }

    /// Gives the ring's memory back; what was in flight must be gone.
    ///
    /// # Safety
    /// No other thread has a hold on the ring: its count of references has reached zero. (Who comes by
    /// a stale pointer finds that, and touches nothing else.)
    pub unsafe fn retire(&self) {
        // SAFETY: what is in the cells is looked at by who has a hold, and nobody has (the caller's
        // promise).
        let (state, regions) = unsafe { (&mut *self.state.get(), &mut *self.regions.get()) };
        // SAFETY: requests die with their ring; one that others know of holds it.
        unsafe { state.slab.destroy() };
        *state = State::NEW;
        *regions = None;
        // What lay there is gone.
        self.control_at.store(ptr::null_mut(), Relaxed);
        self.rings_at.store(ptr::null_mut(), Relaxed);
        self.array_at.store(ptr::null_mut(), Relaxed);
        self.sqes_at.store(ptr::null_mut(), Relaxed);
    }

    /// The events of a context for native calls.
    #[inline(always)]
    #[must_use]
    pub fn events(&self) -> Option<&sysring_events::Ring> {
        self.regions().events.as_ref()
    }

    #[must_use]
    pub fn regions(&self) -> &Regions {
        // SAFETY: they stay while anybody holds the ring, as who asks does, or makes it.
        match unsafe { &*self.regions.get() } {
            Some(regions) => regions,
            // A ring that is held has its memory: `renew` comes before, `retire` after.
            None => unreachable!(),
        }
    }

    #[inline(always)]
    pub(crate) fn control(&self) -> &Control {
        // SAFETY: as for `control_at`; its fields are atomic, or cells.
        unsafe { &*self.control_at() }
    }

    /// The ring's own words. They were mapped by `renew`, before the ring could be reached: at least
    /// that large, zeroed, page-aligned, and there until `retire`, which comes when nobody has it any
    /// more. Null before and after.
    #[inline(always)]
    pub(crate) fn control_at(&self) -> *mut Control {
        self.control_at.load(Relaxed)
    }

    /// A word of the shared queues.
    #[inline(always)]
    pub(crate) fn word(&self, offset: usize) -> &AtomicU32 {
        let [word] = self.words([offset]);
        word
    }

    /// Words of the shared queues.
    #[inline(always)]
    pub(crate) fn words<const N: usize>(&self, offsets: [usize; N]) -> [&AtomicU32; N] {
        let start = self.rings_at.load(Relaxed);
        // SAFETY: each of them is one of `at`'s, inside the first page and aligned, or a place in
        // the SQ array; the application writes these words too, hence atomics. The queues stay where
        // they are while the ring is locked, and those of a ring that submits by itself for good.
        offsets.map(|offset| unsafe { AtomicU32::from_ptr(start.add(offset).cast()) })
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
        self.sq().pending()
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
        self.remote.forget();
        self.sleepers.store(0, Relaxed);
        self.guarded.store(false, Relaxed);
        self.bell.store(-1, Relaxed);
        self.unsettled.store(false, Relaxed);
        self.refs.store(OPEN, Relaxed);
        self.sqpoll.after_fork();
    }
}

/// A descriptor's number in the ring's own words.
#[must_use]
pub fn fd_of(ring: &Ring) -> Fd {
    Fd::new(ring.fd.load(Relaxed))
}
