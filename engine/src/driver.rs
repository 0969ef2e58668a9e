//! The driver: completes what is ready while nobody is in `enter`.
//!
//! A program that waits in `enter` drives its own ring. One that spins on the completion queue,
//! polls the ring descriptor or waits on an eventfd cannot: for its rings one thread of the
//! process sleeps on their epoll instances and their timers.

use core::sync::atomic::Ordering::Relaxed;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32};

use sysring_protocol::Office;
use sysring_sys::abi::EpollEvent;
use sysring_sys::abi::io_uring::{setup, sq_flags};
use sysring_sys::call::Credentials;
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, call};

use crate::complete::Eventfd;
use crate::locked::Locked;
use crate::poll::NO_EVENT;
use crate::ring::Ring;
use crate::sync::Mutex;
use crate::{descriptors, sqpoll, thread, unsettled, wait, wq};

/// The epoll instance the driver sleeps on, -1 while there is no driver.
static SET: AtomicI32 = AtomicI32::new(-1);
/// An eventfd in it, for timers that are due earlier than it knows.
static BELL: AtomicI32 = AtomicI32::new(-1);
/// The same of the process that this one was forked from.
static PARENTS_BELL: AtomicI32 = AtomicI32::new(-1);
/// Held by who starts one: with whose credentials the driver runs.
static STARTING: Mutex<Credentials> = Mutex::new(Credentials::UNKNOWN);
static RUNS: AtomicBool = AtomicBool::new(false);
/// Who is the driver, when it wakes, and whether it may work.
static OFFICE: Office = Office::new();
/// Drivers that have not ended.
static LIVING: AtomicU32 = AtomicU32::new(0);
/// Some ring of the process has been seen to poll another, which few programs do.
static RINGS_ARE_POLLED: AtomicBool = AtomicBool::new(false);

/// How long a readable ring descriptor may outlast the completions it stood for.
const TICK: i64 = 2_000_000;

/// After what time a program that left work behind is taken not to come back, so that completions
/// appear for it as they happen, and one that has been seen to come back.
const LOOK_IN: i64 = 500_000;
const LOOK_IN_ON_WAITER: i64 = 10_000_000;

/// How often an application that spins on the queue is called in for nothing, before the driver's
/// look must do.
const PATIENCE: u32 = 100;

/// In a child of `fork` there is no driver.
pub fn after_fork() {
    STARTING.reset();
    let parents = PARENTS_BELL.swap(BELL.swap(-1, Relaxed), Relaxed);
    for fd in [SET.swap(-1, Relaxed), parents] {
        if fd >= 0 {
            let _ = call::close(Fd::new(fd));
        }
    }
    RUNS.store(false, Relaxed);
    LIVING.store(0, Relaxed);
    OFFICE.after_fork();
}

/// Has the parent's driver look after its rings.
pub fn call_parents() {
    let bell = Fd::new(PARENTS_BELL.load(Relaxed));
    if bell.is_valid() {
        let _ = call::eventfd_add(bell, 1);
    }
}

/// How long the driver rests, for `exec` may fail, and what it waits for at most to get there.
const REST: i64 = 100_000_000;
const LOOKS: u32 = 50;

/// Sees that the driver holds no lock when the process ends: nobody would ever let go of it.
pub fn rest() {
    OFFICE.close();
    for _ in 0..LOOKS {
        if OFFICE.is_quiet() {
            return;
        }
        call::nanosleep(1_000_000);
    }
}

/// What the driver does with rings: not while it rests.
fn works<T>(work: impl FnOnce() -> T) -> T {
    while !OFFICE.begin() {
        call::nanosleep(REST);
        // Still here: the process did not end.
        OFFICE.open();
    }
    let done = work();
    OFFICE.end();
    done
}

impl Locked<'_> {
    /// At the end of `enter`: sees that what is under way goes on without us.
    pub fn leave(&mut self, waited: bool) {
        self.waits |= waited;
        self.looks = if waited { 0 } else { self.looks.saturating_add(self.asked.into()) };
        let new_timer = core::mem::take(&mut self.timers.fresh);
        self.readiness.fresh = false;
        self.tell_pollers();
        self.asked = false;
        if self.ring.shape.has(setup::SQPOLL) {
            self.see_that_it_is_lowered();
            // What becomes ready its thread hears by itself.
            if new_timer {
                sqpoll::wake_if_asleep(self.ring);
            }
            return;
        }
        let watched = self.ring.watched.load(Relaxed);
        // A descriptor that looks readable must stop to once the completions are consumed, of
        // which nobody tells us.
        let stale = watched && self.control().signalled;
        let mut pending = self.is_pending();
        if stale {
            self.be_driven();
            // Without a driver the application must come for this, too.
            pending |= !is_there();
        }
        if !pending || self.ring.shape.polls_in_enter() {
            return;
        }
        let shape = self.ring.shape;
        let promised = shape.has(setup::DEFER_TASKRUN) && !shape.has(setup::TASKRUN_FLAG);
        let heard = self.is_heard();
        if heard {
            self.be_driven();
        } else if promised {
            // The application comes back for its completions, and has asked for no flag. It may learn
            // from the descriptor when to come.
            if !waited {
                self.show_readiness();
            }
        } else if !waited || is_there() && self.is_left_behind() {
            // Who has waited will do so again, and needs no thread for it; but where there is one,
            // it looks after what is left meanwhile.
            self.be_looked_after();
        }
        // Who spins on the queue comes in when it sees the flag, and is served at once. But some who
        // would wait take it for a reason not to: where the driver sees to progress, they are not
        // told, nor is anybody for ever.
        let spins = !heard && !self.waits && self.looks < PATIENCE;
        if spins || !promised && !is_there() {
            self.ring.sq_flags().fetch_or(sq_flags::TASKRUN, Relaxed);
        }
    }

    /// As `announce`; but where the eventfd is unread, the application may be on its way here, and
    /// what is ready may even be the eventfd itself. It is given a moment.
    fn announce_unless_told(&mut self) {
        let unread = |eventfd: Eventfd| call::poll_now(eventfd.fd, g::EPOLLIN as u16) != Ok(0);
        if self.announced || !self.eventfd.is_some_and(unread) {
            return self.announce();
        }
        self.announce_at = Some(call::now(call::CLOCK_MONOTONIC) + TICK);
    }

    /// That moment is over; what was ready may have been taken.
    fn announce_what_is_left(&mut self) {
        self.announce_at = None;
        let set = self.readiness.set_if_any();
        let ready = set.is_valid() && call::poll_now(set, g::EPOLLIN as u16) != Ok(0);
        if ready || !self.handed_back.is_empty() {
            self.announce();
        }
    }

    /// A ring whose completions are posted where the application asks for them, and nowhere else
    /// (`DEFER_TASKRUN`): it is told once that there is something to ask for.
    fn announce(&mut self) {
        if self.announced {
            return;
        }
        (self.announced, self.announce_at) = (true, None);
        self.ring.sq_flags().fetch_or(sq_flags::TASKRUN, Relaxed);
        self.signal_eventfd();
        self.tell_pollers();
    }

    /// Something is there that only a thread of the application's can do: those who wait in `enter`
    /// are woken for it, others are told.
    pub fn call_for_application(&mut self) {
        if self.ring.sleepers.load(Relaxed) == 0 {
            self.announce();
        }
    }

    /// What the application would do if it came.
    fn catch_up(&mut self) {
        // First what is ready: who comes late must not find the time up for what came in time.
        self.reap();
        self.progress();
        self.tell_pollers();
    }

    /// Whether anything is under way that no worker will finish by itself.
    fn is_pending(&self) -> bool {
        self.may_become_ready() || !self.timers.is_empty()
    }

    fn may_become_ready(&self) -> bool {
        self.readiness.parked != 0 || self.is_aio_to_be_told() || !self.handed_back.is_empty()
    }

    /// Whether somebody hears of completions without asking for them.
    fn is_heard(&self) -> bool {
        self.ring.watched.load(Relaxed) || self.eventfd.is_some() || self.ring.is_shared()
    }

    /// Whether anything is under way that may be looked for without a call.
    fn is_left_behind(&self) -> bool {
        self.ring.events().is_none() || !self.timers.is_empty()
    }

    /// Whether what kernel AIO completes is to be told by who asks for nothing. Answers of native calls
    /// are taken by calls, which look; a completion queue is looked at without any.
    fn is_aio_to_be_told(&self) -> bool {
        self.aio.in_flight != 0 && (self.ring.events().is_none() || self.is_heard())
    }

    /// Lets the driver look in: the application may come to wait in `enter` at once, as most do,
    /// or it may spin on the queue.
    pub fn be_looked_after(&mut self) {
        if !is_there() && driver().is_err() {
            // No thread to be had.
            return self.show_readiness();
        }
        (self.unattended, self.listened_to) = (true, false);
        self.look_in_at = call::now(call::CLOCK_MONOTONIC) + self.look_in_after();
        ask_for(self.look_in_at);
    }

    /// Has the driver come at a time and tell workers once more that they are to stop. (Where there
    /// can be none, once must do.)
    pub fn have_it_told_again(&mut self, at: i64) {
        if driver().is_ok() {
            ask_for(at);
        }
    }

    fn look_in_after(&self) -> i64 {
        if self.waits { LOOK_IN_ON_WAITER } else { LOOK_IN }
    }

    /// A descriptor that somebody polls, and that is readable, must stop to be once the completions are
    /// consumed, of which nobody tells us: the driver looks. It may have become readable long before it
    /// was polled.
    #[inline(always)]
    pub fn see_that_it_is_lowered(&mut self) {
        if !self.lowers && self.ring.watched.load(Relaxed) && self.control().signalled {
            self.have_it_lowered();
        }
    }

    #[inline(never)]
    fn have_it_lowered(&mut self) {
        if is_there() || driver().is_ok() {
            self.lowers = true;
            ask_for(call::now(call::CLOCK_MONOTONIC) + TICK);
        }
    }

    /// Puts the ring into the driver's care.
    fn be_driven(&mut self) {
        if !self.driven && self.show_driver(g::EPOLLET).is_err() {
            // It hears nothing of this ring, but it can look.
            return self.be_looked_after();
        }
        self.driven = true;
        let due = if self.control().signalled && self.ring.watched.load(Relaxed) {
            Some(call::now(call::CLOCK_MONOTONIC) + TICK)
        } else {
            None
        };
        let due = [due, self.timers.next_deadline()].into_iter().flatten().min();
        if let Some(due) = due {
            ask_for(due);
        }
    }

    /// The application stays away, so the driver listens for what becomes ready next; whether it can,
    /// and need not look in.
    fn be_listened_to(&mut self) -> bool {
        // What the driver only announces stays ready: shown again, it would be heard again at once.
        let taken = !self.ring.shape.has(setup::DEFER_TASKRUN);
        self.listened_to = self.handed_back.is_empty()
            && (self.driven || taken && self.show_driver(g::EPOLLONESHOT).is_ok());
        self.listened_to
    }

    /// Has the driver hear of what becomes ready: `how` often, as `epoll` names it.
    fn show_driver(&mut self, how: u32) -> Result<()> {
        let (set, driver, events) = (self.set()?, driver()?, g::EPOLLIN | how);
        let data = core::ptr::from_ref(self.ring) as usize as u64;
        match call::epoll_ctl(driver, call::EpollOp::Add, set, events, data) {
            // It has listened before.
            Err(Errno::EEXIST) => call::epoll_ctl(driver, call::EpollOp::Mod, set, events, data),
            answer => answer,
        }
    }
}

/// Sees that there is a driver.
///
/// # Errors
/// `EAGAIN` or `ENOMEM`: no thread to be had. `EMFILE`.
pub fn prepare() -> Result<()> {
    driver().map(drop)
}

/// Leaves to the driver what the calling thread must not do, as it has not the identity of the
/// application's: to go on with other rings, to start workers. There is one ([`prepare`]).
pub fn ask_to_settle() {
    let _ = ring_bell();
}

/// Wakes the driver.
fn ring_bell() -> Result<()> {
    call::eventfd_add(Fd::new(BELL.load(Relaxed)), 1)
}

/// Sees that the driver is awake at a time.
fn ask_for(due: i64) {
    if OFFICE.must_hear_of(due) {
        let _ = ring_bell();
    }
}

/// The driver's epoll instance; the driver is started if it does not run.
fn driver() -> Result<Fd> {
    let mut starting = STARTING.lock();
    if is_there() {
        return Ok(Fd::new(SET.load(Relaxed)));
    }
    let set = descriptors::keep(call::epoll_create()?)?;
    start(set).inspect_err(|_| descriptors::let_go(set))?;
    *starting = call::credentials();
    Ok(set)
}

fn start(set: Fd) -> Result<()> {
    let bell = bell()?;
    SET.store(set.raw(), Relaxed);
    let started = call::epoll_ctl(set, call::EpollOp::Add, bell, g::EPOLLIN | g::EPOLLET, 0)
        .and_then(|()| employ(OFFICE.term()));
    if let Err(e) = started {
        SET.store(-1, Relaxed);
        return Err(e);
    }
    RUNS.store(true, Relaxed);
    Ok(())
}

/// The bell, which is made when it is first wanted. While nobody else starts a driver.
fn bell() -> Result<Fd> {
    let there = Fd::new(BELL.load(Relaxed));
    if there.is_valid() {
        return Ok(there);
    }
    let bell = descriptors::keep(call::eventfd(0)?)?;
    BELL.store(bell.raw(), Relaxed);
    Ok(bell)
}

/// Before other threads of the engine's are started: these may be left with a table of descriptors that
/// the process has no more, and what was opened before them is in that, too.
pub fn hang_bell() {
    if !has_bell() {
        let _starting = STARTING.lock();
        // Where none is to be had, they go on themselves.
        let _ = bell();
    }
}

/// Whether there is a bell to be rung.
#[must_use]
pub fn has_bell() -> bool {
    BELL.load(Relaxed) >= 0
}

/// Whether there is a driver to hear it.
#[must_use]
pub fn is_there() -> bool {
    RUNS.load(Relaxed)
}

/// The calling thread has these credentials: so shall the driver, which goes on with what is submitted
/// from here on. libc's `setuid` knows nothing of it.
pub fn renew(whose: &Credentials) {
    let mut starting = STARTING.lock();
    if is_there() && *starting != *whose && begin_anew().is_ok() {
        *starting = *whose;
    }
}

/// Has the calling thread, which holds no ring, start another driver in the place of the one there is,
/// and waits a moment for that one to end. If there is none, it starts one for `others` that are left: what
/// comes of their calls is for it to go on with.
pub fn replace(others: bool) {
    if others && !is_there() {
        // Where none is to be had, they go on themselves.
        let _ = prepare();
        return;
    }
    {
        let mut starting = STARTING.lock();
        if !is_there() || begin_anew().is_err() {
            return;
        }
        *starting = call::credentials();
    }
    for _ in 0..LOOKS {
        if LIVING.load(Relaxed) <= 1 {
            return;
        }
        call::nanosleep(1_000_000);
    }
}

/// Starts another driver. (If there is none to be had, an old one is better than none.) While nobody
/// else does.
fn begin_anew() -> Result<()> {
    let term = OFFICE.term().wrapping_add(1);
    employ(term)?;
    // The one in office ends when it has heard of it.
    OFFICE.appoint(term);
    ring_bell()
}

fn employ(term: u32) -> Result<i32> {
    LIVING.fetch_add(1, Relaxed);
    thread::start(run, term as usize).inspect_err(|_| {
        LIVING.fetch_sub(1, Relaxed);
    })
}

extern "C" fn run(term: usize) -> ! {
    thread::set_name(*b"drv");
    let set = Fd::new(SET.load(Relaxed));
    let mut events = [NO_EVENT; 16];
    let mut n = 0;
    // The bell wakes one, and the one before is to hear it: who sleeps beside it would take it away.
    while LIVING.load(Relaxed) > 1 && !OFFICE.is_over(term as u32) {
        call::nanosleep(1_000_000);
    }
    while !OFFICE.is_over(term as u32) {
        let due = works(|| {
            look_at(&events[..n]);
            unsettled::settle();
            wq::reinforce();
            tend_all()
        });
        OFFICE.sleeps_until(due);
        n = wait::sleep(set, &mut events, due, None).unwrap_or(0);
        OFFICE.is_awake();
    }
    OFFICE.leave(events[..n].iter().any(|event| event.data != 0));
    ask_to_settle();
    LIVING.fetch_sub(1, Relaxed);
    thread::end()
}

/// Tends the rings that have something for the driver.
fn look_at(events: &[EpollEvent]) {
    for event in events {
        let ring = event.data as usize as *const Ring;
        if !ring.is_null() {
            // SAFETY: rings are never unmapped; one that was closed meanwhile, or used again, is
            // looked at under a hold of our own.
            if let Some(held) = descriptors::hold(unsafe { &*ring }) {
                tend_what_was_heard(held.ring());
            }
        }
    }
    if OFFICE.inherits() {
        descriptors::each(tend_inherited);
    }
}

/// Which of the driver's rings woke the one before it is not known.
fn tend_inherited(ring: &Ring) {
    if !ring.shape.has(setup::DEFER_TASKRUN) {
        return tend_what_was_heard(ring);
    }
    let mut locked = ring.lock();
    if locked.driven && ring.sleepers.load(Relaxed) == 0 {
        locked.announce_what_is_left();
    }
}

/// Does what can be done for a ring that nobody waits for in `enter`.
fn tend(ring: &Ring) {
    let mut locked = ring.lock();
    if ring.sleepers.load(Relaxed) != 0 {
        return;
    }
    if ring.shape.has(setup::DEFER_TASKRUN) {
        return locked.announce_unless_told();
    }
    locked.catch_up();
}

/// The same, by the driver, if it was to listen. It may have been before the application came by, and
/// may come again: then it looks in later.
fn tend_what_was_heard(ring: &Ring) {
    let listened = {
        let locked = ring.lock();
        locked.driven || locked.unattended && locked.listened_to
    };
    if !listened {
        return;
    }
    tend(ring);
    let mut locked = ring.lock();
    if locked.unattended && locked.may_become_ready() && !locked.be_listened_to() {
        locked.be_looked_after();
    }
}

/// A request of `ring` polls another ring's descriptor.
pub fn polls_a_ring(ring: &Ring) {
    ring.polls_rings.store(true, Relaxed);
    RINGS_ARE_POLLED.store(true, Relaxed);
}

/// Rings that poll other rings hear of what has happened to this one before the call returns that
/// made it happen, as in the kernel. No ring is locked by the caller.
pub fn tend_watchers_of(ring: &Ring) {
    if !RINGS_ARE_POLLED.load(Relaxed) {
        return;
    }
    descriptors::each(|other| {
        if !core::ptr::eq(other, ring) && other.polls_rings.load(Relaxed) {
            tend(other);
        }
    });
}

/// Timers that are due, and descriptors that look readable for no reason any more. When to look
/// again.
fn tend_all() -> Option<i64> {
    let mut next: Option<i64> = None;
    descriptors::each(|ring| {
        let mut locked = ring.lock();
        if locked.stopping.is_some() {
            let told_again = locked.stop_again(call::now(call::CLOCK_MONOTONIC));
            next = [next, told_again].into_iter().flatten().min();
        }
        if locked.lowers {
            locked.tell_pollers();
            locked.lowers = ring.watched.load(Relaxed) && locked.control().signalled;
            let again = locked.lowers.then(|| call::now(call::CLOCK_MONOTONIC) + TICK);
            next = [next, again].into_iter().flatten().min();
        }
        if !(locked.driven || locked.unattended) || ring.sleepers.load(Relaxed) != 0 {
            return;
        }
        let now = call::now(call::CLOCK_MONOTONIC);
        if locked.unattended && now >= locked.look_in_at {
            // It may have begun to spin.
            locked.waits = false;
        }
        let deferred = ring.shape.has(setup::DEFER_TASKRUN);
        let due = locked.timers.next_deadline();
        if !deferred {
            // As in `catch_up`.
            if locked.unattended || due.is_some_and(|due| due <= now) {
                locked.reap();
            }
            locked.progress();
        } else if due.is_some_and(|due| due <= now) {
            locked.announce();
        } else if locked.announced {
            // The application is to come.
        } else if locked.announce_at.map_or(locked.unattended, |at| at <= now) {
            locked.announce_what_is_left();
        }
        locked.tell_pollers();
        // What has been announced waits for the application.
        let told = deferred && locked.announced;
        let away = locked.unattended && locked.may_become_ready() && !told;
        let again = (away && !locked.be_listened_to()).then(|| now + locked.look_in_after());
        let tick = (ring.watched.load(Relaxed) && locked.control().signalled).then_some(now + TICK);
        let timer = locked.timers.next_deadline().filter(|_| !told);
        next = [next, again, tick, timer, locked.announce_at].into_iter().flatten().min();
    });
    next
}
