//! Ring descriptors, and the hooks that keep the engine's picture of them true.
//!
//! A ring descriptor is an epoll instance: pollable, nests in epoll, refuses `read`. All of them,
//! and every descriptor the engine keeps for itself, lie at [`FLOOR`] or above, so that a seccomp
//! filter, which sees numbers only, can pass every other `close`, `dup` and `epoll_ctl` by.

use core::ptr;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize};

use sysring_sys::abi::io_uring::{
    OFF_CQ_RING, OFF_MMAP_MASK, OFF_PARAM_REGION, OFF_PBUF_RING, OFF_PBUF_SHIFT, OFF_SQ_RING,
    OFF_SQES, Params, op, setup,
};
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, call};

use crate::cancel::Match;
use crate::locked::Locked;
use crate::memory;
use crate::region::Region;
use crate::register::ring_fds;
use crate::request::{Req, Stage};
use crate::ring::{Ring, fd_of};
use crate::shape::Shape;
use crate::sync::Mutex;
use crate::{
    driver, personality, register, sleeper, sqpoll, stats, unsettled, wait, wq, wq_limits,
};

/// The lowest number the engine gives a descriptor: below `FD_SETSIZE`, above what most programs
/// reach. Where the limit on open files is lower still, no ring can be made.
pub const FLOOR: Fd = Fd::new(960);

/// Descriptors the table has room for. Its memory is touched only where there are rings.
const TABLE: usize = 1 << 20;

/// What the table says of a descriptor: null, a ring, or this mark for one of the engine's own.
const INTERNAL: *mut Ring = ptr::without_provenance_mut(1);

static ENTRIES: AtomicPtr<AtomicPtr<Ring>> = AtomicPtr::new(ptr::null_mut());

/// Rings that can be used again, and all there ever were.
static UNUSED: Mutex<AtomicPtr<Ring>> = Mutex::new(AtomicPtr::new(ptr::null_mut()));
static ALL: AtomicPtr<Ring> = AtomicPtr::new(ptr::null_mut());

/// How often the process has got another table of descriptors.
static TABLES: AtomicU32 = AtomicU32::new(0);

/// How many can be held.
static IN_USE: AtomicUsize = AtomicUsize::new(0);

/// A hold on a ring: it keeps its memory and its descriptors until this is dropped.
#[derive(Debug)]
pub struct Held(&'static Ring);

impl Held {
    /// A hold that the caller has taken already.
    #[must_use]
    pub fn adopt(ring: &'static Ring) -> Held {
        Held(ring)
    }

    #[must_use]
    pub fn ring(&self) -> &'static Ring {
        self.0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        put(self.0);
    }
}

#[inline(always)]
fn entry(fd: Fd) -> Option<&'static AtomicPtr<Ring>> {
    let entries = ENTRIES.load(Acquire);
    if entries.is_null() || !fd.is_valid() || fd.raw() as usize >= TABLE {
        return None;
    }
    // SAFETY: the table has `TABLE` zeroed entries and is never unmapped.
    Some(unsafe { &*entries.add(fd.raw() as usize) })
}

/// The ring behind a descriptor.
#[must_use]
pub fn get(fd: Fd) -> Option<Held> {
    let entry = entry(fd)?;
    loop {
        let ring = entry.load(Acquire);
        if ring.is_null() || ring == INTERNAL {
            return None;
        }
        // SAFETY: rings are never unmapped.
        let held = hold(unsafe { &*ring });
        // Still the descriptor's ring, now that it cannot go away?
        if let Some(held) = held
            && entry.load(Acquire) == ring
        {
            return Some(held);
        }
    }
}

/// As `get`, where the application may have duplicated the descriptor without a word: the copy is
/// known by what is in it, and from here on by its number, too.
#[must_use]
pub fn find(fd: Fd) -> Option<Held> {
    get(fd).or_else(|| adopt(fd))
}

#[cold]
fn adopt(fd: Fd) -> Option<Held> {
    if !fd.is_valid() || is_internal(fd) {
        return None;
    }
    each(|ring| {
        if is_descriptor_of(ring, fd)
            && (ring.adrift.swap(false, Relaxed) || add_handle_if_open(ring))
        {
            let ours = ptr::from_ref(ring).cast_mut();
            let known = entry(fd).is_some_and(|entry| {
                entry.compare_exchange(ptr::null_mut(), ours, Release, Relaxed).is_ok()
            });
            if known {
                forget_if_closed(ring);
            } else {
                drop_handle(ring);
            }
        }
    });
    get(fd)
}

/// Copies are made to close what was copied: of that nobody hears either.
fn forget_if_closed(ring: &Ring) {
    let (made, ours) = (fd_of(ring), ptr::from_ref(ring).cast_mut());
    if leads_to(made, ring)
        && !is_descriptor_of(ring, made)
        && let Some(entry) = entry(made)
        && entry.compare_exchange(ours, ptr::null_mut(), AcqRel, Relaxed).is_ok()
    {
        drop_handle(ring);
    }
}

/// Whether `fd` is an epoll instance with the ring's eventfd in it, which nothing else has.
fn is_descriptor_of(ring: &Ring, fd: Fd) -> bool {
    let shown = ring.lock().readiness.shown();
    shown.is_valid() && call::epoll_ctl(fd, call::EpollOp::Mod, shown, g::EPOLLIN, 0).is_ok()
}

/// The hold that a ring begins with: from here on others can be taken.
fn hold_first(ring: &Ring) {
    IN_USE.fetch_add(1, Relaxed);
    ring.refs.store(1, Release);
}

/// Takes that one back, of a ring that nobody has been told of.
fn revoke(ring: &Ring) {
    ring.refs.store(0, Relaxed);
    IN_USE.fetch_sub(1, Relaxed);
}

/// Takes a hold, unless the ring is on its way out.
#[must_use]
pub fn hold(ring: &'static Ring) -> Option<Held> {
    let mut refs = ring.refs.load(Relaxed);
    while refs != 0 {
        match ring.refs.compare_exchange_weak(refs, refs + 1, Acquire, Relaxed) {
            Ok(_) => return Some(Held(ring)),
            Err(now) => refs = now,
        }
    }
    None
}

/// Lets go of a hold; the last one takes the ring apart.
pub fn put(ring: &Ring) {
    // Release pairs with the Acquire half of the last one: all use of the ring comes before.
    if ring.refs.fetch_sub(1, AcqRel) != 1 {
        return;
    }
    // What is left is told that it is over, and starts nothing: another ring may be held.
    let mut locked = ring.lock_to_settle();
    // Nobody will hear of it, so it counts as told, and what was kept for it goes.
    locked.tell_untold();
    locked.aio.close();
    end_aio(&mut locked);
    locked.files.clear();
    locked.buffers.clear();
    locked.groups.clear();
    locked.personalities.clear();
    if let Some(eventfd) = locked.eventfd.take() {
        let_go(eventfd.fd);
    }
    locked.timers.free();
    locked.readiness.close();
    ring.sqpoll.close();
    drop(locked);
    // SAFETY: the count is zero: nobody else has the ring.
    unsafe { ring.retire() };
    give_back(ptr::from_ref(ring).cast_mut());
    // Nothing comes to idle workers any more, and a process that wants to be rid of its threads (to be
    // frozen, say) has closed its rings for that. Only a number: what a ring that begins right now
    // finds retiring, it leaves to others.
    if IN_USE.fetch_sub(1, Relaxed) == 1 {
        wq::retire();
    }
}

/// Disks are not asked to stop. They are done now, and nobody hears with what: only what the
/// requests have is given back.
fn end_aio(locked: &mut Locked<'_>) {
    while let Some(req) = locked.find(|req| req.stage == Stage::Aio) {
        locked.complete(req, Errno::ECANCELED.to_res(), 0);
    }
    locked.run_tasks();
}

/// Calls `act` for every ring in use.
pub fn each(mut act: impl FnMut(&Ring)) {
    let mut at = ALL.load(Acquire);
    while !at.is_null() {
        // SAFETY: rings are never unmapped.
        let ring: &'static Ring = unsafe { &*at };
        if let Some(held) = hold(ring) {
            act(held.ring());
        }
        at = ring.next_ring.load(Acquire);
    }
}

/// After `fork`, in the child, before anything else.
pub fn after_fork() {
    UNUSED.reset();
    let mut in_use = 0;
    let mut at = ALL.load(Relaxed);
    while !at.is_null() {
        // SAFETY: rings are never unmapped, and this is the child's only thread.
        unsafe {
            if (*at).refs.load(Relaxed) != 0 {
                (*at).after_fork();
                in_use += 1;
            }
            at = (*at).next_ring.load(Relaxed);
        }
    }
    IN_USE.store(in_use, Relaxed);
}

/// Moves a new descriptor of the engine's out of the application's way.
///
/// # Errors
/// `EMFILE`: it is closed then.
pub fn keep(fd: Fd) -> Result<Fd> {
    let kept = call::dup_from(fd, FLOOR);
    match kept {
        Ok(kept) => {
            let _ = call::close(fd);
            mark_internal(kept);
            Ok(kept)
        }
        // The limit on open files lies below the floor: it stays where it is.
        Err(Errno::EINVAL) => {
            mark_internal(fd);
            Ok(fd)
        }
        Err(e) => {
            let _ = call::close(fd);
            Err(e)
        }
    }
}

/// Says that a descriptor is the engine's.
pub fn mark_internal(fd: Fd) {
    if let Some(entry) = entry(fd) {
        lose(entry.swap(INTERNAL, AcqRel));
    }
}

/// A ring's descriptor was closed without a word, and its number is another's now. There may be a
/// copy of it, so the ring stays open for who comes with that.
fn lose(before: *mut Ring) {
    if before.is_null() || before == INTERNAL {
        return;
    }
    // SAFETY: rings are never unmapped.
    let ring = unsafe { &*before };
    let known = |n| if n > 1 { Some(n - 1) } else { None };
    if ring.handles.fetch_update(Relaxed, Relaxed, known).is_err() {
        ring.adrift.store(true, Relaxed);
    }
}

/// Closes a descriptor of the engine's.
pub fn let_go(fd: Fd) {
    if let Some(entry) = entry(fd) {
        entry.store(ptr::null_mut(), Release);
    }
    let _ = call::close(fd);
}

/// Whether `fd` is one of the engine's own, which the application must not see: answer `EBADF`.
#[inline(always)]
#[must_use]
pub fn is_internal(fd: Fd) -> bool {
    entry(fd).is_some_and(|entry| entry.load(Relaxed) == INTERNAL)
}

/// Whether `fd` is a ring of this engine.
#[must_use]
pub fn is_ring(fd: Fd) -> bool {
    entry(fd).is_some_and(|entry| {
        let ring = entry.load(Relaxed);
        !ring.is_null() && ring != INTERNAL
    })
}

/// What an application calls a ring by.
#[derive(Clone, Copy, Debug)]
pub enum Name {
    Descriptor(Fd),
    /// An index among the registered rings.
    Index(u32),
}

impl Name {
    #[must_use]
    pub fn number(self) -> usize {
        match self {
            Name::Descriptor(fd) => fd.raw() as usize,
            Name::Index(index) => index as usize,
        }
    }

    /// The application was not told: the ring closes.
    pub fn take_back(self) {
        match self {
            Name::Descriptor(fd) => drop(close(fd)),
            Name::Index(index) => ring_fds::empty(index),
        }
    }
}

/// Whether `fd` still names this ring.
#[must_use]
pub fn leads_to(fd: Fd, ring: &Ring) -> bool {
    entry(fd).is_some_and(|entry| ptr::eq(entry.load(Relaxed), ring))
}

/// Makes a ring and its name.
pub fn create(shape: Shape, params: &Params) -> Result<Name> {
    create_as(shape, params, None, |ring| open(ring, params))
}

fn create_as<T>(
    shape: Shape,
    params: &Params,
    events: Option<sysring_events::Ring>,
    open: impl FnOnce(&'static Ring) -> Result<T>,
) -> Result<T> {
    make_table()?;
    let ring = unused_ring()?;
    // SAFETY: the ring is in nobody's hands but ours.
    if let Err(e) = unsafe { (*ring).renew(shape, params, events) } {
        give_back(ring);
        return Err(e);
    }
    // SAFETY: rings are never unmapped.
    let ring: &'static Ring = unsafe { &*ring };
    match open(ring) {
        Ok(name) => {
            stats::add(&stats::get().rings, 1);
            Ok(name)
        }
        Err(e) => {
            ring.lock().readiness.close();
            ring.sqpoll.close();
            // SAFETY: not published: the ring is still ours alone.
            unsafe { ring.retire() };
            give_back(ptr::from_ref(ring).cast_mut());
            Err(e)
        }
    }
}

/// Makes a ring without a name for a context, to be closed by [`drop_handle`].
///
/// # Errors
/// `ENOMEM`, `EMFILE`, `ENFILE`.
pub fn create_nameless(events: sysring_events::Ring) -> Result<&'static Ring> {
    /// Nobody looks at the queues of such a ring.
    const SHAPE: Shape = Shape { flags: setup::NO_SQARRAY, sq_entries: 64, cq_entries: 64 };
    create_as(SHAPE, &Params::default(), Some(events), |ring| {
        let eventfd = keep(call::eventfd(0)?)?;
        ring.lock().readiness.show(eventfd);
        begin(ring, &Params::default()).map(|()| ring)
    })
}

/// Opens a ring under a name, which leads to it once it is whole.
fn open(ring: &'static Ring, params: &Params) -> Result<Name> {
    let eventfd = keep(call::eventfd(0)?)?;
    ring.lock().readiness.show(eventfd);
    if ring.shape.has(setup::REGISTERED_FD_ONLY) {
        let index = ring_fds::claim_any(ring).ok_or(Errno::EBUSY)?;
        return begin(ring, params).map(|()| Name::Index(index)).inspect_err(|_| {
            ring_fds::disclaim(index);
        });
    }
    let fd = descriptor(eventfd)?;
    ring.fd.store(fd.raw(), Relaxed);
    let begun = entry(fd).ok_or(Errno::EMFILE).and_then(|entry| {
        begin(ring, params)?;
        // Release pairs with the Acquire in `get`: the ring is whole.
        lose(entry.swap(ptr::from_ref(ring).cast_mut(), AcqRel));
        Ok(Name::Descriptor(fd))
    });
    begun.inspect_err(|_| let_go(fd))
}

/// The descriptor: an epoll instance with an eventfd in it that says whether there are CQEs.
fn descriptor(eventfd: Fd) -> Result<Fd> {
    let fd = keep(call::epoll_create()?)?;
    if fd < FLOOR {
        // Nobody would tell us what becomes of it.
        let_go(fd);
        return Err(Errno::EMFILE);
    }
    call::epoll_ctl(fd, call::EpollOp::Add, eventfd, g::EPOLLIN, 0)
        .inspect_err(|_| let_go(fd))
        .map(|()| fd)
}

/// The ring can be held from here on.
fn begin(ring: &'static Ring, params: &Params) -> Result<()> {
    register::begin(ring)?;
    ring.handles.store(1, Relaxed);
    hold_first(ring);
    wq_limits::expect_ring(ring.shape.sq_entries);
    if ring.shape.has(setup::SQPOLL) {
        ring.sqpoll.prepare(params);
        if let Err(e) = sqpoll::start(ring) {
            revoke(ring);
            return Err(e);
        }
    }
    Ok(())
}

/// Whether there is one, as there is from the first ring on.
fn has_table() -> bool {
    !ENTRIES.load(Acquire).is_null()
}

fn make_table() -> Result<()> {
    if !has_table() {
        let table = call::map_anonymous(TABLE * size_of::<AtomicPtr<Ring>>(), false)?;
        // Release: the zeroes are there. Whoever comes second gives its table back.
        if ENTRIES.compare_exchange(ptr::null_mut(), table.cast(), Release, Relaxed).is_err() {
            // SAFETY: our own mapping, unpublished.
            let _ = unsafe { call::munmap(table as usize, TABLE * size_of::<AtomicPtr<Ring>>()) };
        }
    }
    Ok(())
}

fn unused_ring() -> Result<*mut Ring> {
    {
        let unused = UNUSED.lock();
        let ring = unused.load(Relaxed);
        if !ring.is_null() {
            // SAFETY: listed rings are mapped.
            unused.store(unsafe { (*ring).next_free.load(Relaxed) }, Relaxed);
            return Ok(ring);
        }
    }
    let ring = call::map_anonymous(memory::pages(size_of::<Ring>()), false)?.cast::<Ring>();
    // SAFETY: the mapping is large enough and ours.
    unsafe { Ring::begin(ring) };
    let mut first = ALL.load(Relaxed);
    loop {
        // SAFETY: as above.
        unsafe { (*ring).next_ring.store(first, Relaxed) };
        match ALL.compare_exchange_weak(first, ring, Release, Relaxed) {
            Ok(_) => return Ok(ring),
            Err(now) => first = now,
        }
    }
}

fn give_back(ring: *mut Ring) {
    let unused = UNUSED.lock();
    // SAFETY: rings are never unmapped.
    unsafe { (*ring).next_free.store(unused.load(Relaxed), Relaxed) };
    unused.store(ring, Relaxed);
}

/// `mmap(2)` of `fd`: `None` if it is no ring, and the call is the application's own business.
#[must_use]
pub fn mmap(
    fd: Fd,
    address: usize,
    len: usize,
    protection: u32,
    flags: u32,
    offset: u64,
) -> Option<Result<usize>> {
    let held = get(fd)?;
    Some(map_region(held.ring(), address, len, protection, flags, offset))
}

fn map_region(
    ring: &Ring,
    address: usize,
    len: usize,
    protection: u32,
    flags: u32,
    offset: u64,
) -> Result<usize> {
    // Locked until it is mapped: what is there may be exchanged.
    let mut locked = ring.lock();
    let region = region_at(&mut locked, offset)?;
    let len = memory::pages(len);
    if len == 0 || len > region.size() {
        return Err(Errno::EINVAL);
    }
    let fixed = flags & (g::MAP_FIXED | g::MAP_FIXED_NOREPLACE) != 0;
    let at = region.map_again(len, fixed.then_some(address))?;
    if protection != g::PROT_READ | g::PROT_WRITE {
        // SAFETY: the new mapping, which is the application's.
        unsafe { call::mprotect(at, len, protection) }?;
    }
    Ok(at)
}

/// What a ring has at an offset; what the application has lent it cannot map.
fn region_at<'a>(locked: &'a mut Locked<'_>, offset: u64) -> Result<&'a Region> {
    let lent = locked.ring.shape.has(setup::NO_MMAP);
    let state = &mut **locked;
    let queues = state.queues.as_ref().filter(|_| !lent);
    match offset & OFF_MMAP_MASK {
        OFF_SQ_RING | OFF_CQ_RING => queues.map(|queues| &queues.rings),
        OFF_SQES => queues.map(|queues| &queues.sqes),
        OFF_PARAM_REGION => state.params.as_ref().and_then(|params| params.mappable()),
        OFF_PBUF_RING => {
            let group = (offset & !OFF_MMAP_MASK) >> OFF_PBUF_SHIFT;
            Some(state.groups.mapping(group as u16).ok_or(Errno::EINVAL)?)
        }
        _ => None,
    }
    .ok_or(Errno::ENOMEM)
}

/// `close(2)`: `None` if the descriptor is not the engine's.
#[must_use]
pub fn close(fd: Fd) -> Option<Result<()>> {
    let entry = entry(fd)?;
    let ring = entry.load(Acquire);
    if ring.is_null() {
        return None;
    }
    if ring == INTERNAL {
        return Some(Err(Errno::EBADF));
    }
    if entry.compare_exchange(ring, ptr::null_mut(), AcqRel, Relaxed).is_err() {
        return Some(Err(Errno::EBADF));
    }
    let closed = call::close(fd);
    // SAFETY: rings are never unmapped.
    drop_handle(unsafe { &*ring });
    Some(closed)
}

/// Another way to name the ring is there.
pub fn add_handle(ring: &Ring) {
    ring.handles.fetch_add(1, Relaxed);
}

/// The same, if it has not closed meanwhile.
fn add_handle_if_open(ring: &Ring) -> bool {
    ring.handles.fetch_update(Relaxed, Relaxed, |n| if n == 0 { None } else { Some(n + 1) }).is_ok()
}

/// A way to name the ring is gone; with the last the ring closes.
pub fn drop_handle(ring: &Ring) {
    if ring.handles.fetch_sub(1, AcqRel) == 1 {
        shut(ring);
        put(ring);
    }
}

/// The last descriptor is gone: what is under way is cancelled, and nothing new begins.
fn shut(ring: &Ring) {
    let mut locked = ring.lock();
    locked.closing = true;
    // Under the lock: who is about to start the thread anew finds that the ring closes, or we find
    // the thread.
    sqpoll::stop(ring);
    cancel_all(&mut locked);
    if let Some(queues) = &locked.queues {
        queues.give_back();
    }
    locked.params = None;
    drop(locked);
    wait::wake_all(ring);
}

fn cancel_all(locked: &mut Locked<'_>) {
    let mut queued = core::mem::take(&mut locked.punted);
    locked.punted_count = 0;
    queued.append(&mut wq::withdraw_all(locked.ring));
    while let Some(req) = queued.pop() {
        locked.take_down(req);
    }
    let _ = locked.cancel(&Match::everything());
    use Stage::{Aio, Asleep, Punted, Running};
    // A linked timeout ends with what it watches, and must not end twice.
    let ends_here = |req: Req| {
        !matches!(req.stage, Running | Aio | Punted | Asleep) && req.sqe.opcode != op::LINK_TIMEOUT
    };
    while let Some(req) = locked.find(ends_here) {
        let _ = locked.cancel_one(req);
    }
    locked.run_tasks();
}

/// How often, a millisecond apart, a process that ends looks for what it has under way.
const LAST_LOOKS: u32 = 50;

/// This process ends, or becomes another program: what it has under way in rings that others
/// share is cancelled and told, as the kernel does it for a task that goes. Where it `ends`, timeouts
/// stay.
pub fn leave(ends: bool) {
    let mut shared = false;
    each(|ring| shared |= ring.is_shared());
    if shared {
        driver::rest();
    }
    each(|ring| {
        for _ in 0..LAST_LOOKS {
            if !ring.is_shared() {
                return;
            }
            // Another thread may have it, or this one, where a signal's handler ends the process.
            if let Some(mut locked) = ring.try_lock() {
                if ends {
                    locked.leave_timers();
                }
                cancel_all(&mut locked);
                if locked.outstanding == 0 {
                    return;
                }
            }
            call::nanosleep(MILLISECOND);
        }
    });
}

const MILLISECOND: i64 = 1_000_000;

/// `close_range(2)`: the engine's own descriptors survive it, rings are closed properly.
#[must_use]
pub fn close_range(first: u32, last: u32, flags: u32) -> Option<Result<()>> {
    const UNSHARE: u32 = 2;
    const CLOEXEC: u32 = 4;
    if !has_table() || first > last || flags & !(UNSHARE | CLOEXEC) != 0 {
        return None;
    }
    if flags & UNSHARE != 0 {
        // First without closing anything: there is no such descriptor.
        if let Err(e) = call::close_range(u32::MAX, u32::MAX, UNSHARE) {
            return Some(Err(e));
        }
        unshared();
        return close_range(first, last, flags & !UNSHARE)
            .or_else(|| Some(call::close_range(first, last, flags & !UNSHARE)));
    }
    if flags & CLOEXEC != 0 {
        // Ours are close-on-exec anyway.
        return None;
    }
    // The stretches between what must stay.
    let mut from = first;
    let end = last.min(TABLE as u32 - 1);
    for number in first..=end {
        let fd = Fd::new(number as i32);
        let internal = is_internal(fd);
        if !internal && !is_ring(fd) {
            continue;
        }
        if let Err(e) = close_stretch(from, number, flags) {
            return Some(Err(e));
        }
        if !internal {
            let _ = close(fd);
        }
        from = number + 1;
    }
    if from <= last {
        return Some(call::close_range(from, last, flags));
    }
    Some(Ok(()))
}

/// The calling thread has got a table of descriptors of its own (`unshare(CLONE_FILES)`). The threads
/// of the engine still share the one before: what is opened from here on they would not find, and
/// what is closed would stay open. Others take their place; those who are in a call leave what comes of
/// it to the driver. (Threads of the application that keep the old table have it for themselves: there
/// is one picture of what is open where.)
pub fn unshared() {
    if !has_table() {
        return;
    }
    let others = wq::has_workers() || sleeper::are_there();
    // Relaxed: a crew's lock brings it to who finds itself retired.
    TABLES.fetch_add(1, Relaxed);
    wq::retire();
    personality::retire();
    driver::replace(others);
    each(sqpoll::replace);
}

/// How often the process has got another table of descriptors.
#[must_use]
pub fn tables() -> u32 {
    TABLES.load(Relaxed)
}

/// Closes `from..end`.
fn close_stretch(from: u32, end: u32, flags: u32) -> Result<()> {
    if from < end { call::close_range(from, end - 1, flags) } else { Ok(()) }
}

/// `dup(2)`, `fcntl(F_DUPFD…)`: `at_least` is the lowest number wanted. `None` if `old` is no ring.
#[must_use]
pub fn dup(old: Fd, at_least: Fd, cloexec: bool) -> Option<Result<Fd>> {
    if is_internal(old) {
        return Some(Err(Errno::EBADF));
    }
    let held = get(old)?;
    // Where its close will be seen.
    let at_least = at_least.max(FLOOR);
    let command = if cloexec { g::F_DUPFD_CLOEXEC } else { g::F_DUPFD };
    Some(call::fcntl(old, command, at_least.raw() as usize).map(|n| {
        let new = Fd::new(n as i32);
        publish(&held, new);
        new
    }))
}

/// `dup2(2)` and `dup3(2)` (`flags`: `O_CLOEXEC`): `None` if neither descriptor is the engine's.
#[must_use]
pub fn dup_onto(old: Fd, new: Fd, flags: u32) -> Option<Result<Fd>> {
    if is_internal(old) || is_internal(new) {
        return Some(Err(Errno::EBADF));
    }
    let held = get(old);
    if held.is_none() && !is_ring(new) {
        return None;
    }
    if old == new {
        return Some(Err(Errno::EINVAL));
    }
    let _ = close(new);
    Some(call::dup3(old, new, flags).inspect(|&new| {
        if let Some(held) = held {
            publish(&held, new);
        }
    }))
}

/// Another descriptor of a ring's.
fn publish(held: &Held, fd: Fd) {
    if let Some(entry) = entry(fd) {
        add_handle(held.ring());
        entry.store(ptr::from_ref(held.ring()).cast_mut(), Release);
    }
}

/// The application adds `fd` to an epoll instance: a ring that is watched must make progress
/// while nobody is in `enter`. Call before the real `epoll_ctl`, with no ring locked.
pub fn watched(fd: Fd) {
    if let Some(held) = get(fd) {
        held.ring().watched.store(true, Relaxed);
        held.ring().lock().leave(false);
    }
}

/// The same, told by an operation: its own ring is locked, and may be the one that is watched.
/// Whether there was a ring to be watched.
pub fn watched_by_operation(fd: Fd) -> bool {
    let Some(held) = get(fd) else { return false };
    held.ring().watched.store(true, Relaxed);
    match held.ring().try_lock_as_guest() {
        Some(mut locked) => locked.leave(false),
        // Whoever holds the lock may have looked at the flag, and have nothing more to post.
        None => unsettled::add(held.ring()),
    }
    true
}
