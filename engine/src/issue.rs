//! The one road: inline, then readiness, then kernel AIO, then a worker.

use core::ptr;
use core::sync::atomic::Ordering::Relaxed;

use sysring_sys::abi::io_uring::sq_flags;
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, call};

use crate::descriptors;
use crate::locked::Locked;
use crate::op;
use crate::op::table::row_flag;
use crate::personality::{Keeper, Personality};
use crate::poll::Armed;
use crate::request::{File, Req, Stage, flag};
use crate::sleeper;
use crate::stats;

/// What an attempt came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Issued {
    /// Complete, with this result; negative fails the link.
    Done(i32),
    /// Complete, with result and flags in the request; `fail` was called if it failed.
    Set,
    /// Would block: try again when the file is ready for these events (`EPOLL*`).
    Wait(u32),
    /// Would block, or must be assumed to: a worker may.
    Work,
    /// Queued with kernel AIO.
    Aio,
    /// The operation keeps the request and completes it itself.
    Held,
}

impl Issued {
    /// The plain form of a system call's result.
    #[must_use]
    pub fn of<T: Into<Value>>(result: Result<T>) -> Issued {
        Issued::Done(res(result))
    }
}

/// A CQE's `res` from a system call's result.
#[must_use]
pub fn res<T: Into<Value>>(result: Result<T>) -> i32 {
    match result {
        Ok(value) => value.into().0,
        Err(e) => e.to_res(),
    }
}

/// What a call answers when it succeeds, as a CQE carries it.
pub struct Value(i32);

impl From<()> for Value {
    fn from((): ()) -> Value {
        Value(0)
    }
}

impl From<usize> for Value {
    fn from(n: usize) -> Value {
        // A transfer is at most MAX_RW_COUNT, which fits.
        Value(n as i32)
    }
}

impl From<Fd> for Value {
    fn from(fd: Fd) -> Value {
        Value(fd.raw())
    }
}

impl Locked<'_> {
    /// Sends a request down the road until it completes or waits somewhere.
    pub fn issue(&mut self, mut req: Req) {
        let row = req.row;
        req.stage = Stage::Queued;
        if self.closing {
            return self.complete(req, Errno::ECANCELED.to_res(), 0);
        }
        if !self.has_credentials_of(req) {
            return self.entrust(req);
        }
        if row.has(row_flag::NEEDS_FILE)
            && let Err(e) = self.resolve_file(req)
        {
            return self.complete(req, e.to_res(), 0);
        }
        let issued = (row.issue)(self, req);
        match issued {
            Issued::Set => {
                self.inlined += 1;
                return self.end(req);
            }
            Issued::Done(_) => self.inlined += 1,
            _ => self.start_linked_timeout(req),
        }
        self.carry_on(req, issued);
    }

    /// What follows an attempt.
    pub fn carry_on(&mut self, mut req: Req, issued: Issued) {
        match issued {
            Issued::Done(res) if res < 0 && req.row.has(row_flag::NEEDS_FILE) => {
                self.failed_on_file(req, res);
            }
            Issued::Done(res) if req.row.has(row_flag::KEEPS_LINK) => {
                self.complete_as_it_is(req, res);
            }
            Issued::Done(res) => self.complete(req, res, 0),
            Issued::Set => self.complete_as_set(req),
            Issued::Held => {}
            Issued::Aio => self.file(req, Stage::Aio),
            Issued::Work | Issued::Wait(_) if self.closing => {
                self.complete(req, Errno::ECANCELED.to_res(), 0);
            }
            Issued::Work => self.punt(req),
            Issued::Wait(events) => {
                if !req.has(flag::POLLED) {
                    req.set(flag::POLLED);
                    stats::add(&stats::get().parked, 1);
                }
                let events = events | g::EPOLLERR | g::EPOLLHUP | g::EPOLLONESHOT;
                if let Err(e) = self.stabilise(req) {
                    return self.complete(req, e.to_res(), 0);
                }
                match self.arm_once(req, events) {
                    Armed::Yes => {}
                    Armed::AlwaysReady => {
                        req.set(flag::UNPOLLABLE);
                        self.punt(req);
                    }
                    Armed::Refused => self.have_watched(req, events),
                }
            }
        }
    }

    /// An operation on a file has failed; where there is no file, for that reason first.
    #[cold]
    fn failed_on_file(&mut self, req: Req, res: i32) {
        let none = op::not_open(req);
        let res = if none { Errno::EBADF.to_res() } else { res };
        if !none && req.row.has(row_flag::KEEPS_LINK) {
            self.complete_as_it_is(req, res);
        } else {
            self.complete(req, res, 0);
        }
    }

    /// Completes without a look at the result.
    fn complete_as_it_is(&mut self, mut req: Req, res: i32) {
        req.res = res;
        req.cflags = 0;
        self.complete_as_set(req);
    }

    /// A parked request's file has become ready.
    pub fn ready(&mut self, mut req: Req) {
        req.stage = Stage::Queued;
        if !self.has_credentials_of(req) {
            return self.entrust(req);
        }
        let row = req.row;
        let issued = (row.issue)(self, req);
        if let Issued::Wait(events) = issued
            && req.has(flag::ARMED)
        {
            // One shot each: armed again, nothing is registered twice.
            let events = events | g::EPOLLERR | g::EPOLLHUP | g::EPOLLONESHOT;
            if self.arm(req, events) == Armed::Yes {
                return;
            }
        }
        self.carry_on(req, issued);
    }

    /// To the workers, when the lock is let go.
    pub fn punt(&mut self, req: Req) {
        let row = req.row;
        if row.work.is_none() {
            return self.complete(req, Errno::EAGAIN.to_res(), 0);
        }
        if let Err(e) = self.stabilise(req) {
            return self.complete(req, e.to_res(), 0);
        }
        self.disarm(req);
        self.hold_file(req);
        self.leave_to_workers(req);
    }

    /// Has a worker wait for the file: the ring's epoll instance lacks the memory, or the
    /// descriptor.
    pub fn have_watched(&mut self, mut req: Req, events: u32) {
        self.disarm(req);
        self.hold_file(req);
        req.set(flag::WATCHED);
        req.events = events;
        self.leave_to_workers(req);
    }

    fn leave_to_workers(&mut self, mut req: Req) {
        self.file(req, Stage::Punted);
        if let Some(wanted) = req.creds
            && self.acting().is_none()
            && (self.is_me(req.creds)
                || wanted.keeper() != Keeper::Here && self.has_credentials(wanted))
        {
            // Workers are found by the credentials of the thread that is here; where none was to be had
            // to keep them, there are no others.
            req.creds = None;
            wanted.put();
        }
        if let Some(personality) = req.creds {
            req.crew = Some(personality.crew());
            self.entrusted.push(req);
            self.entrusted_count += 1;
        } else {
            self.punted.push(req);
            self.punted_count += 1;
        }
    }

    /// Whether these are the credentials of the calling thread, which is submitting.
    fn is_me(&self, wanted: Option<&Personality>) -> bool {
        self.me.zip(wanted).is_some_and(|(me, wanted)| ptr::eq(me, wanted))
    }

    /// Whether the calling thread may run a request. One that carries none is where it was
    /// submitted, or may do the same whoever runs it.
    #[inline(always)]
    fn has_credentials_of(&self, req: Req) -> bool {
        req.creds.is_none() && self.worker.is_none() || self.has_these_credentials(req.creds)
    }

    #[inline(never)]
    fn has_these_credentials(&self, wanted: Option<&'static Personality>) -> bool {
        match (wanted, self.acting()) {
            (None, None) => true,
            (Some(wanted), None) => self.has_credentials(wanted),
            (wanted, acting) => wanted.map(ptr::from_ref) == acting.map(ptr::from_ref),
        }
    }

    fn has_credentials(&self, wanted: &Personality) -> bool {
        self.is_me(Some(wanted))
            || self.submitter && wanted.is_present()
            || self.worker.is_some_and(|worker| wanted.is_of(worker.crew))
    }

    /// Leaves a request to those who have its credentials.
    #[cold]
    pub fn entrust(&mut self, mut req: Req) {
        let keeper = req.creds.map(Personality::keeper);
        let lost = keeper == Some(Keeper::Lost);
        if lost && self.submitter {
            // There was no thread to keep them, and who comes instead has others; the kernel cancels
            // what it has no thread for, too.
            return self.complete(req, Errno::ECANCELED.to_res(), 0);
        }
        if keeper != Some(Keeper::Here) {
            // For the next thread of the application's, or of the engine's that comes along and is
            // like it; or for who submits it at this moment, and lets go of the lock now and then.
            self.file(req, Stage::Held);
            self.handed_back.push(req);
            if lost && !self.ring.sqpoll.is_here() {
                // Nobody else ever will.
                self.call_for_application();
            }
            return;
        }
        if req.row.has(row_flag::NEEDS_FILE)
            && let Err(e) = self.resolve_file(req)
        {
            return self.complete(req, e.to_res(), 0);
        }
        if let Err(e) = self.stabilise(req) {
            return self.complete(req, e.to_res(), 0);
        }
        self.hold_file(req);
        req.set(flag::ENTRUSTED);
        self.leave_to_workers(req);
    }

    /// By a worker with its credentials: the request's turn has come.
    pub fn issue_entrusted(&mut self, mut req: Req) {
        req.clear(flag::ENTRUSTED);
        self.posted_remotely = true;
        if req.has(flag::CANCELED) {
            return self.complete(req, Errno::ECANCELED.to_res(), 0);
        }
        self.issue(req);
        self.run_tasks();
    }

    /// Sees that somebody comes along for what was handed back; whether the sleepers are to.
    pub fn hand_back(&mut self) -> bool {
        if self.handed_back.is_empty() {
            return false;
        }
        // Who looks at the queue comes in for this.
        self.ring.sq_flags().fetch_or(sq_flags::TASKRUN, Relaxed);
        if self.ring.sqpoll.is_here() && !self.submitter {
            crate::sqpoll::wake(self.ring);
            return false;
        }
        if self.acting().is_none() {
            // Not for the engine's other threads either, which need not look again.
            return true;
        }
        self.be_looked_after();
        true
    }

    /// Nobody was left where the request was sent to: it is sent anew.
    #[cold]
    fn was_refused(&mut self, mut req: Req) {
        req.clear(flag::ENTRUSTED | flag::WATCHED);
        if self.closing || req.has(flag::CANCELED) {
            return self.complete(req, Errno::ECANCELED.to_res(), 0);
        }
        match self.acting() {
            // Its turn is not come again: that would bring it back here.
            Some(_) => self.entrust(req),
            None => self.issue(req),
        }
    }

    /// What was handed in: a worker (or a stand-in) has run the request, and its raw result is in `res`;
    /// or it has come back as it was.
    pub fn worked(&mut self, mut req: Req) {
        if req.stage == Stage::Asleep {
            req.res = sleeper::of(req).dismiss();
        }
        req.stage = Stage::Queued;
        self.posted_remotely = true;
        if req.has(flag::ENTRUSTED) {
            return self.was_refused(req);
        }
        if req.has(flag::WATCHED) {
            return self.was_watched(req);
        }
        let row = req.row;
        let issued = match row.finish {
            Some(finish) => finish(self, req),
            None => Issued::Done(req.res),
        };
        if req.has(flag::CANCELED) && issued == Issued::Done(Errno::EINTR.to_res()) {
            return self.complete(req, Errno::ECANCELED.to_res(), 0);
        }
        self.carry_on(req, issued);
    }

    /// A worker has seen the file become ready, or was stopped.
    fn was_watched(&mut self, mut req: Req) {
        req.clear(flag::WATCHED);
        if req.has(flag::CANCELED) {
            self.complete(req, Errno::ECANCELED.to_res(), 0);
        } else if req.res < 0 {
            self.complete(req, req.res, 0);
        } else {
            req.revents = req.res as u32;
            self.ready(req);
        }
    }

    /// Copies what the submitter may reuse once `submit` has returned (`FEAT_SUBMIT_STABLE`).
    pub fn stabilise(&mut self, mut req: Req) -> Result<()> {
        if req.has(flag::STABLE) {
            return Ok(());
        }
        req.set(flag::STABLE);
        match req.row.stabilise {
            Some(stabilise) => stabilise(req),
            None => Ok(()),
        }
    }

    /// Finds the open file, when the request's turn has come (`FEAT_LINKED_FILE`).
    #[inline(always)]
    fn resolve_file(&mut self, mut req: Req) -> Result<()> {
        if req.file.owned {
            return Ok(());
        }
        if req.has(flag::FIXED_FILE) {
            let (fd, tag) = self.files.find(req.sqe.fd as u32)?;
            self.use_tag(req, tag);
            req.file.fd = fd;
            return Ok(());
        }
        req.file.fd = Fd::new(req.sqe.fd);
        if descriptors::is_internal(req.file.fd) { Err(Errno::EBADF) } else { Ok(()) }
    }

    /// Keeps the open file for a request that outlives its submission: the application may close
    /// the number and get it again for something else. Out of descriptors, the number itself has
    /// to do.
    pub fn hold_file(&mut self, mut req: Req) {
        if req.file.owned || !req.file.fd.is_valid() {
            return;
        }
        if let Ok(fd) = call::dup_from(req.file.fd, descriptors::FLOOR) {
            descriptors::mark_internal(fd);
            req.file = File { fd, owned: true };
        }
    }

    /// The same for a second file, named by `fd` as `fixed` says.
    pub fn hold_other(&mut self, mut req: Req, fd: i32, fixed: bool) -> Result<()> {
        let fd = if fixed {
            self.use_tag(req, self.files.tag(fd as u32));
            self.files.get(fd as u32)?
        } else {
            Fd::new(fd)
        };
        if !fixed && descriptors::is_internal(fd) {
            return Err(Errno::EBADF);
        }
        req.other = match call::dup_from(fd, descriptors::FLOOR) {
            Ok(fd) => {
                descriptors::mark_internal(fd);
                File { fd, owned: true }
            }
            Err(Errno::EBADF) => return Err(Errno::EBADF),
            Err(_) => File { fd, owned: false },
        };
        Ok(())
    }

    /// Gives the files back.
    #[inline(always)]
    pub fn release_file(&mut self, req: Req) {
        self.disarm(req);
        if req.file.owned || req.other.owned {
            Self::let_go_of_files(req);
        }
    }

    #[cold]
    fn let_go_of_files(mut req: Req) {
        for file in [req.file, req.other] {
            if file.owned {
                descriptors::let_go(file.fd);
            }
        }
        (req.file, req.other) = (File::NONE, File::NONE);
    }
}
