//! The road itself: an attempt, and by what it came to the next place. Every way a request goes on,
//! from wherever it waited, leads back here.

use sysring_sys::odds::unlikely;
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Result};

use super::issued::Issued;
use crate::locked::Locked;
use crate::op;
use crate::op::table::row_flag;
use crate::poll::Armed;
use crate::request::{At, Req, Stage, flag};
use crate::stats;

impl Locked<'_> {
    /// Sends a request down the road until it completes or waits somewhere.
    pub fn issue(&mut self, req: Req) {
        self.send(req);
    }

    /// The same, where it is worth being inlined.
    #[inline(always)]
    pub fn send(&mut self, mut req: Req) {
        let row = req.row;
        req.stage = At::new(Stage::Queued);
        if unlikely(self.closing) {
            return self.complete(req, Errno::ECANCELED.to_res(), 0);
        }
        if unlikely(!self.has_credentials_of(req)) {
            return self.entrust(req);
        }
        if row.has(row_flag::NEEDS_FILE)
            && let Err(e) = self.resolve_file(req)
        {
            return self.complete(req, e.to_res(), 0);
        }
        let issued = row.attempt(self, req);
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
    #[inline(never)]
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
        req.stage = At::new(Stage::Queued);
        if req.is_bare() && !req.has_its_files() {
            return self.complete(req, Errno::EBADF.to_res(), 0);
        }
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
}
