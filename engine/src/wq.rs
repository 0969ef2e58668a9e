//! Work that may block, for threads: which crew it goes to.
//!
//! Who leaves a request to workers leaves it to such as have the credentials that it has itself at
//! that moment, for no call tells that they have changed: what was `setuid`, and of which thread, is
//! compared where it comes to matter. There are as many crews at a time as there are different
//! credentials with work under way. Workers start when something must block, run the queue back to
//! back, and end when idle. For what ends by itself there is one, until it sleeps over a call, or for so
//! long that what stands behind it has to be looked after (`relief`).

use core::sync::atomic::Ordering::{Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicUsize};

use sysring_protocol::Load;
use sysring_sys::abi::{PollFd, Timespec};
use sysring_sys::call::Credentials;
use sysring_sys::vdso::monotonic;
use sysring_sys::{Errno, call};

use crate::crew::{Calls, Crew};
use crate::locked::Locked;
use crate::request::{Queue, Req, flag};
use crate::ring::Ring;
use crate::{descriptors, driver, relief, stats, wq_limits};

/// Different credentials that may have work under way at one time. What comes with yet others is
/// done by the thread that brings it.
const MOST: usize = 32;

static CREWS: [Crew; MOST] = [const { Crew::new() }; MOST];

/// Of these, how many have ever been used, and which was the latest.
static USED: AtomicUsize = AtomicUsize::new(1);
static LATEST: AtomicUsize = AtomicUsize::new(0);

/// Has no workers: for what is done by who brings it.
static NOBODY: Crew = Crew::new();

/// The crews that have ever been used.
pub fn crews() -> &'static [Crew] {
    &CREWS[..USED.load(Relaxed).min(MOST)]
}

/// Who does what a request leaves to workers.
fn crew_of(req: Req) -> &'static Crew {
    req.crew.unwrap_or(&NOBODY)
}

/// In a child of `fork`: the workers, and what they had, are the parent's.
pub fn after_fork() {
    for crew in &CREWS {
        crew.after_fork();
    }
    NOBODY.after_fork();
    wq_limits::after_fork();
    relief::after_fork();
}

/// Whether anybody is there, or about to end.
pub fn has_workers() -> bool {
    crews().iter().any(|crew| !crew.is_gone())
}

/// The process has another table of descriptors than its workers: others take their place.
pub fn retire() {
    crews().iter().for_each(Crew::retire);
}

/// Something was queued by who may start no workers for it.
static SHORT: AtomicBool = AtomicBool::new(false);

/// Requests on their way from a ring's lock to workers.
#[must_use]
pub struct Batch {
    /// Whom to call for what is in a queue already.
    calls: Option<Calls>,
    /// Who sends it, if it is a thread of the application's.
    whose: Option<Credentials>,
    /// The crew was nobody's, and now is of these.
    anew: bool,
    /// Who sends it has credentials of its own, which no worker may inherit.
    acting: bool,
    /// What goes to the crews of personalities.
    entrusted: Queue,
    /// What no crew was to be had for.
    alone: Queue,
    /// Nobody who waits for the ring looks after what stands behind others.
    unguarded: bool,
}

impl Batch {
    /// What a ring has punted since the last time, put into the queue of those who do it. Each request
    /// holds on to its ring from here.
    #[inline(always)]
    pub fn of(locked: &mut Locked<'_>) -> Option<Batch> {
        let any = locked.punted_count | locked.entrusted_count != 0;
        any.then(|| Batch::take(locked))
    }

    #[inline(never)]
    fn take(locked: &mut Locked<'_>) -> Batch {
        let mut batch = Batch {
            calls: None,
            whose: None,
            anew: false,
            acting: locked.acting().is_some(),
            entrusted: core::mem::take(&mut locked.entrusted),
            alone: Queue::new(),
            unguarded: false,
        };
        let entrusted = core::mem::take(&mut locked.entrusted_count);
        let count = core::mem::take(&mut locked.punted_count);
        locked.ring.refs.fetch_add(u64::from(count + entrusted), Relaxed);
        stats::add(&stats::get().worker, u64::from(count + entrusted));
        if count != 0 {
            let mut queue = core::mem::take(&mut locked.punted);
            let mut bounded = 0;
            queue.each(|req| bounded += u32::from(req.is_bounded()));
            let load = Load { count, bounded, now: monotonic() as i64 };
            match locked.worker {
                None => batch.put_as_caller(&mut queue, load),
                Some(worker) => {
                    let crew =
                        if batch.acting { &CREWS[LATEST.load(Relaxed)] } else { worker.crew };
                    queue.each(|mut req| req.crew = Some(crew));
                    batch.calls = Some(crew.take(&mut queue, load, !batch.acting));
                }
            }
            // Asked when it is in the queue: who stops looking after the ring looks there after that.
            batch.unguarded = !locked.ring.guarded.load(Relaxed);
        }
        batch
    }

    /// Into the queue of the crew that has the caller's credentials.
    #[inline(never)]
    fn put_as_caller(&mut self, queue: &mut Queue, load: Load) {
        let whose = call::credentials();
        let first = LATEST.load(Relaxed);
        for anew in [false, true] {
            let all = if anew { &CREWS[..] } else { crews() };
            let others = (0..all.len()).filter(|&at| at != first);
            for at in core::iter::once(first).chain(others) {
                let crew = &CREWS[at];
                queue.each(|mut req| req.crew = Some(crew));
                if let Some(calls) = crew.offer(&whose, anew, queue, load) {
                    USED.fetch_max(at + 1, Relaxed);
                    LATEST.store(at, Relaxed);
                    (self.calls, self.whose, self.anew) = (Some(calls), Some(whose), anew);
                    return;
                }
            }
        }
        queue.each(|mut req| req.crew = None);
        self.alone.append(queue);
    }

    /// Sees that somebody runs them. No ring is locked, unless the sender is a guest. What nobody takes
    /// comes to those that the ring's workers hand in, where the sender looks after this.
    pub fn send(mut self) {
        while let Some(req) = self.entrusted.pop() {
            if let Err(mut req) = crew_of(req).give(req) {
                // Those who were to run it have been replaced meanwhile.
                req.set(flag::ENTRUSTED);
                hand_in(req);
            }
        }
        if let Some(calls) = self.calls.take() {
            let comes = calls.behind() && self.unguarded && !self.acting;
            if let Some(whose) = self.whose.filter(|_| self.anew || comes) {
                driver::renew(&whose);
            }
            let _ = calls.make();
            if comes {
                relief::leave();
            }
            if self.acting {
                // Read by the driver, which the bell wakes after this.
                SHORT.store(true, Relaxed);
                driver::ask_to_settle();
            }
        }
        while let Some(req) = self.alone.pop() {
            run_alone(req);
        }
    }
}

/// On the thread that brings it.
#[cold]
fn run_alone(mut req: Req) {
    NOBODY.begin(req, call::gettid());
    req.res = run_if_it_ends(req);
    hand_in(req);
}

/// By who looks at what was handed in, and goes on with what it may.
#[cold]
fn hand_in(req: Req) {
    // SAFETY: the request holds on to its ring, whose memory is never unmapped.
    let ring = unsafe { &*req.ring };
    ring.remote.put(req);
    descriptors::put(ring);
}

/// By the driver: starts workers for what others could only queue.
pub fn reinforce() {
    if !SHORT.swap(false, Relaxed) {
        return;
    }
    let whose = call::credentials();
    for calls in crews().iter().filter_map(|crew| crew.reinforce(&whose)) {
        let _ = calls.make();
    }
}

/// Takes a request back that no worker has begun; whether it was still there.
pub fn withdraw(req: Req, ring: &Ring) -> bool {
    let there = crew_of(req).withdraw(req);
    if there {
        // The crew's hold on the ring; the caller has one of its own.
        ring.refs.fetch_sub(1, Release);
    }
    there
}

/// Takes everything of a ring's back that no worker has begun.
pub fn withdraw_all(ring: &Ring) -> Queue {
    let mut withdrawn = Queue::new();
    for crew in crews() {
        crew.withdraw_all(ring, &mut withdrawn);
    }
    // As in `withdraw`.
    withdrawn.each(|_| {
        ring.refs.fetch_sub(1, Release);
    });
    withdrawn
}

/// Ends the call a worker makes for `req`, if a signal can.
pub fn interrupt(req: Req) {
    crew_of(req).interrupt(req);
}

/// Makes the call; again if a signal meant for an earlier one ended it.
pub fn run(req: Req) -> i32 {
    let work = match req.row.work {
        _ if req.has(flag::WATCHED) => watch,
        Some(work) => work,
        None => return Errno::EAGAIN.to_res(),
    };
    loop {
        if req.is_bare() && !req.has_its_files() {
            return Errno::EBADF.to_res();
        }
        let res = work(req);
        if res != Errno::EINTR.to_res() || req.is_to_stop() {
            return res;
        }
        // SAFETY: the request holds on to its ring (`Batch::of`), whose memory is never unmapped.
        unsafe { &*req.ring }.heed();
        if req.is_to_stop() {
            return res;
        }
    }
}

/// On a thread of the application's, which must not be kept by what waits for others: where the
/// kernel finds no thread for such a request, it cancels it. What only waits for its file does so without
/// a thread: it is handed in as it is ([`flag::WATCHED`], with nothing seen).
pub fn run_if_it_ends(mut req: Req) -> i32 {
    if req.has(flag::MAY_WAIT | flag::WATCHED) {
        return Errno::ECANCELED.to_res();
    }
    let Some(ready) = req.row.ready else { return run(req) };
    let events = ready(req);
    match call::poll_now(req.file.fd, events as u16) {
        Ok(0) if !req.has(flag::UNPOLLABLE) => {
            req.events = events;
            req.set_while_running(flag::WATCHED);
            0
        }
        // Nobody could say when it is.
        Ok(0) | Err(_) => Errno::ECANCELED.to_res(),
        Ok(_) => run(req),
    }
}

/// Waits until the file is ready: for what, as `poll` tells it.
fn watch(req: Req) -> i32 {
    // Now and then it looks whether it is to stop: a signal may come between that and the call.
    const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
    let mut fds = [PollFd { fd: req.file.fd.raw(), events: req.events as i16, revents: 0 }];
    loop {
        match call::ppoll(&mut fds, Some(&mut { LOOK }), None) {
            Ok(0) if req.is_to_stop() => return Errno::EINTR.to_res(),
            Ok(0) if req.is_bare() && !req.has_its_files() => return Errno::EBADF.to_res(),
            Ok(0) => {}
            Ok(_) => return i32::from(fds[0].revents),
            Err(e) => return e.to_res(),
        }
    }
}
