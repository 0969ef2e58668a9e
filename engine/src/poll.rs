//! Readiness: the ring's epoll instance, and the requests that wait on it.
//!
//! Each ring has up to two epoll instances. The one the application holds (the ring descriptor)
//! contains only an eventfd that says whether there are completions. The other is the engine's:
//! parked requests are registered with it, and whoever waits for the ring sleeps on it.

use core::sync::atomic::Ordering::Relaxed;

use sysring_sys::abi::EpollEvent;
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, call};

use crate::locked::Locked;
use crate::request::{Req, Stage, flag};
use crate::ring::{Ring, fd_of};
use crate::watch::Watches;
use crate::{descriptors, process};

/// What epoll carries for the things that are not requests.
pub const BELL: u64 = u64::MAX;
pub const AIO: u64 = u64::MAX - 1;

/// Events taken from epoll at once.
pub const BATCH: usize = 64;

/// An event with nothing in it.
pub const NO_EVENT: EpollEvent = EpollEvent { events: 0, data: 0 };

/// The ring's descriptors for waiting.
#[derive(Debug)]
pub struct Readiness {
    /// The engine's epoll instance.
    set: Fd,
    /// An eventfd in it: rung by other threads to wake the sleepers.
    bell: Fd,
    /// The eventfd in the application's epoll instance.
    shown: Fd,
    /// Requests registered and waiting.
    pub parked: u32,
    /// Among them were polls, which may be of an epoll instance with this ring in it.
    pub polls: bool,
    /// A request was registered, and nobody has looked yet whether a thread sleeps on the set for it; if
    /// none does, the driver has to (`Locked::leave`).
    pub fresh: bool,
    /// Something is to be done when the application next comes with the ring: it is `inherited`, or
    /// its descriptor is `aside`.
    pub out_of_place: bool,
    /// The ring is a parent's, and not used here yet.
    pub inherited: bool,
    /// The ring's own open file, while its number shows memory to be mapped.
    pub aside: Fd,
    /// The process that it was inherited from, 0 for none, and what wakes sleepers there.
    pub parent: i32,
    parents_bell: Fd,
    /// The eventfd is in the engine's own instance as well: other processes complete, too.
    hears_shown: bool,
    /// What is registered under the application's numbers.
    watches: Watches,
    /// Something was registered that may be ready already: to be asked for before the lock goes.
    pub armed_edge: bool,
    /// The engine's epoll instance is in the application's.
    nested: bool,
    /// AIO has told it of completions since it was last emptied.
    pub stirred: bool,
    /// There may be requests that are left with a number.
    pub has_bare: bool,
    /// A timerfd in the engine's, and when it goes off.
    timer: Fd,
    timer_at: Option<i64>,
}

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}

impl Readiness {
    pub const fn new() -> Readiness {
        Readiness {
            set: Fd::NONE,
            bell: Fd::NONE,
            shown: Fd::NONE,
            parked: 0,
            polls: false,
            fresh: false,
            out_of_place: false,
            inherited: false,
            aside: Fd::NONE,
            parent: 0,
            parents_bell: Fd::NONE,
            hears_shown: false,
            watches: Watches::new(),
            armed_edge: false,
            nested: false,
            stirred: false,
            has_bare: false,
            timer: Fd::NONE,
            timer_at: None,
        }
    }

    /// In a child of `fork`: the epoll instance would steal the parent's events, so the child
    /// makes its own; the eventfd that pollers see belongs to the ring.
    pub fn inherit(&mut self, parents: &Readiness) {
        self.shown = parents.shown;
        (self.inherited, self.out_of_place) = (true, true);
        self.aside = parents.aside;
        self.parent = process::parent();
        self.parents_bell = parents.bell;
        for fd in [parents.set, parents.timer, parents.parents_bell] {
            if fd.is_valid() {
                let _ = call::close(fd);
            }
        }
    }

    /// The process uses the ring that it has inherited: who sleeps in the parent must from now on
    /// hear of what others complete.
    pub fn join(&mut self) {
        self.inherited = false;
        self.call_parent();
    }

    /// Wakes who sleeps in the parent.
    pub fn call_parent(&self) {
        if self.parents_bell.is_valid() {
            let _ = call::eventfd_add(self.parents_bell, 1);
        }
    }

    #[must_use]
    pub fn shown(&self) -> Fd {
        self.shown
    }

    pub fn show(&mut self, eventfd: Fd) {
        self.shown = eventfd;
    }

    /// The epoll instance, if anything was ever waited for.
    #[must_use]
    pub fn set_if_any(&self) -> Fd {
        self.set
    }

    #[must_use]
    pub fn bell(&self) -> Fd {
        self.bell
    }

    /// The epoll instance, made when first needed.
    pub fn set(&mut self) -> Result<Fd> {
        if self.set.is_valid() {
            return Ok(self.set);
        }
        let set = descriptors::keep(call::epoll_create()?)?;
        let bell = call::eventfd(0).and_then(descriptors::keep);
        let added = bell.and_then(|bell| {
            let events = g::EPOLLIN | g::EPOLLET;
            call::epoll_ctl(set, call::EpollOp::Add, bell, events, BELL).map(|()| bell)
        });
        match added {
            Ok(bell) => {
                self.set = set;
                self.bell = bell;
                Ok(set)
            }
            Err(e) => {
                if let Ok(bell) = bell {
                    descriptors::let_go(bell);
                }
                descriptors::let_go(set);
                Err(e)
            }
        }
    }

    /// Hears of completions by other processes that share the ring, from now on.
    ///
    /// # Errors
    /// `ENOMEM`, `ENOSPC`.
    pub fn hear_others(&mut self) -> Result<()> {
        if !self.hears_shown {
            let set = self.set()?;
            call::epoll_ctl(set, call::EpollOp::Add, self.shown, g::EPOLLIN | g::EPOLLET, BELL)?;
            self.hears_shown = true;
        }
        Ok(())
    }

    /// Has the ring descriptor tell what there is to do, and when the first timer is due.
    fn nest(&mut self, ring: Fd, due: Option<i64>) -> Result<()> {
        let set = self.set()?;
        if !self.nested {
            call::epoll_ctl(ring, call::EpollOp::Add, set, g::EPOLLIN, 0)?;
            self.nested = true;
        }
        if due == self.timer_at {
            return Ok(());
        }
        if !self.timer.is_valid() {
            let timer = descriptors::keep(call::timerfd_create(call::CLOCK_MONOTONIC)?)?;
            call::epoll_ctl(set, call::EpollOp::Add, timer, g::EPOLLIN | g::EPOLLET, BELL)
                .inspect_err(|_| descriptors::let_go(timer))?;
            self.timer = timer;
        }
        call::timerfd_set(self.timer, due)?;
        self.timer_at = due;
        Ok(())
    }

    /// Closes all of it.
    pub fn close(&mut self) {
        for fd in [self.set, self.bell, self.shown, self.parents_bell, self.timer, self.aside] {
            if fd.is_valid() {
                descriptors::let_go(fd);
            }
        }
        *self = Readiness::new();
    }
}

impl Ring {
    /// The eventfd that wakes sleepers; read without the lock by who has just let go of it.
    pub fn bell(&self) -> Fd {
        Fd::new(self.bell.load(Relaxed))
    }

    /// Wakes one of them.
    pub fn ring_bell(&self) {
        let bell = self.bell();
        if bell.is_valid() {
            self.rung.store(true, Relaxed);
            let _ = call::eventfd_add(bell, 1);
        }
    }
}

/// How arming went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Armed {
    /// The request waits; `Locked::ready` will be called for it.
    Yes,
    /// The file has no notion of readiness (a regular file): it is always ready.
    AlwaysReady,
    /// No memory or no watch left: somebody must block for it.
    Refused,
}

impl Locked<'_> {
    /// The ring's epoll instance.
    pub fn set(&mut self) -> Result<Fd> {
        let set = self.readiness.set()?;
        self.ring.bell.store(self.readiness.bell().raw(), Relaxed);
        Ok(set)
    }

    /// Registers the request for `events` (`EPOLL*`), which include how often: `EPOLLONESHOT` or
    /// `EPOLLET`. It holds on to its open file from here on.
    pub fn arm(&mut self, req: Req, events: u32) -> Armed {
        let Ok(set) = self.set() else { return Armed::Refused };
        if self.hold_file(req).is_err() {
            return Armed::Refused;
        }
        let fd = req.file.fd;
        // The application's own number may lead to another file by now; the request's does not.
        let again = req.has(flag::ARMED) && req.watch == fd;
        let op = if again { call::EpollOp::Mod } else { call::EpollOp::Add };
        match call::epoll_ctl(set, op, fd, events, req.ticket()) {
            Ok(()) => {
                if !again {
                    self.watch_by(req, fd);
                }
                self.note_armed(req, events);
                Armed::Yes
            }
            Err(Errno::EPERM) => Armed::AlwaysReady,
            // The descriptor could not be duplicated and is registered for another request.
            Err(_) => Armed::Refused,
        }
    }

    /// As `arm`, once (`EPOLLONESHOT`), for what waits on the same descriptor again and again.
    pub fn arm_once(&mut self, mut req: Req, events: u32) -> Armed {
        let number = req.file.fd;
        if req.has(flag::ARMED) || req.file.owned || !number.is_valid() {
            return self.arm(req, events);
        }
        let Ok(set) = self.set() else { return Armed::Refused };
        let Some(before) = self.readiness.watches.claim(number) else {
            return self.arm(req, events);
        };
        if self.hold_file(req).is_err() {
            self.readiness.watches.leave(number, before);
            return Armed::Refused;
        }
        use call::EpollOp::{Add, Mod};
        // What is believed may be old: the number may have got another file.
        let (first, then) = if before { (Mod, Add) } else { (Add, Mod) };
        let ticket = req.ticket();
        let armed = match call::epoll_ctl(set, first, number, events, ticket) {
            Err(Errno::ENOENT | Errno::EEXIST) => {
                call::epoll_ctl(set, then, number, events, ticket)
            }
            answer => answer,
        };
        if armed.is_err() {
            self.readiness.watches.leave(number, false);
            return self.arm(req, events);
        }
        req.watch = number;
        req.watch_stays = true;
        self.note_armed(req, events);
        Armed::Yes
    }

    /// The request is registered by its own descriptor from here on.
    fn watch_by(&mut self, mut req: Req, fd: Fd) {
        if req.has(flag::ARMED) && req.watch_stays {
            self.readiness.watches.leave(req.watch, true);
        }
        (req.watch, req.watch_stays) = (fd, false);
    }

    /// Ends those whose number leads elsewhere by now, before anybody sleeps for them: they would wait
    /// for ever if it was the last that led to their file. Whether there were any.
    #[cold]
    pub fn end_strays(&mut self) -> bool {
        self.readiness.has_bare = false;
        let mut ended = false;
        // The end of one takes no other off the list but its linked timeout, which is passed over here
        // and still knows what comes next.
        for req in self.in_flight(None) {
            if req.stage == Stage::Parked && req.is_bare() {
                self.readiness.has_bare = true;
                if !req.has_its_files() {
                    self.complete(req, Errno::EBADF.to_res(), 0);
                    ended = true;
                }
            }
        }
        ended
    }

    fn note_armed(&mut self, mut req: Req, events: u32) {
        if !req.has(flag::ARMED) {
            req.set(flag::ARMED);
            self.readiness.parked += 1;
            self.readiness.fresh = true;
        }
        req.events = events;
        req.revents = 0;
        self.file(req, Stage::Parked);
    }

    /// Takes the request off the epoll instance.
    #[inline(always)]
    pub fn disarm(&mut self, req: Req) {
        if req.has(flag::ARMED) {
            self.take_off_watch(req);
        }
    }

    fn take_off_watch(&mut self, mut req: Req) {
        req.clear(flag::ARMED);
        self.readiness.parked -= 1;
        // What has told its one shot tells nothing more.
        let stays = req.watch_stays && req.revents != 0;
        if !stays && (!req.is_bare() || req.has_its_files()) {
            // The open file outlives our duplicate of its descriptor, and so would the watch.
            let set = self.readiness.set_if_any();
            let _ = call::epoll_ctl(set, call::EpollOp::Del, req.watch, 0, 0);
        }
        if req.watch_stays {
            self.readiness.watches.leave(req.watch, stays);
        }
    }

    /// Takes what is ready off the epoll instance without waiting.
    pub fn reap(&mut self) {
        self.readiness.armed_edge = false;
        let set = self.readiness.set_if_any();
        if !set.is_valid() || self.readiness.parked == 0 && !self.shows_something() {
            return;
        }
        self.readiness.stirred = false;
        loop {
            let mut events = [NO_EVENT; BATCH];
            let Ok(n) = call::epoll_take(set, &mut events) else { return };
            self.handle(&events[..n]);
            if n < BATCH {
                return;
            }
        }
    }

    /// Whether a poll has yet to hear of what is ready, which may be this ring itself. A wake-up of the
    /// kernel's brings along what has become ready; epoll says what still is when it is asked.
    pub fn is_unheard(&self) -> bool {
        let readiness = &self.readiness;
        readiness.polls
            && readiness.parked != 0
            && call::poll_now(readiness.set_if_any(), g::EPOLLIN as u16) != Ok(0)
    }

    /// Whether the application may see the epoll instance readable, with nothing in it for us: it
    /// must not stay so.
    fn shows_something(&mut self) -> bool {
        let readiness = &self.readiness;
        // Who has rung after this is heard at the next look.
        readiness.nested
            && (readiness.stirred
                || readiness.timer_at.is_some()
                || self.ring.rung.swap(false, Relaxed))
    }

    /// Nobody completes anything until the application enters: its ring descriptor becomes readable
    /// when it should. (Where even this fails, the application finds out when it comes.)
    pub fn show_readiness(&mut self) {
        let fd = fd_of(self.ring);
        let due = self.timers.next_deadline();
        if descriptors::leads_to(fd, self.ring) {
            let _ = self.readiness.nest(fd, due);
            self.ring.bell.store(self.readiness.bell().raw(), Relaxed);
        }
    }

    /// Acts on what epoll reported.
    pub fn handle(&mut self, events: &[EpollEvent]) {
        for event in events {
            match event.data {
                BELL => {}
                AIO => self.aio_reap(),
                ticket => {
                    if let Some(mut req) = self.slab.find(ticket)
                        && req.stage == Stage::Parked
                    {
                        req.revents = event.events;
                        self.ready(req);
                    }
                }
            }
        }
        self.run_tasks();
    }
}
