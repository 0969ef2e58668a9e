//! To a worker and back. What could block the submitter is done by a thread that may be blocked; the
//! request needs all that it works with for itself then.

use sysring_sys::Errno;

use super::issued::Issued;
use crate::locked::Locked;
use crate::personality::Keeper;
use crate::request::{At, Req, Stage, flag};
use crate::sleeper;

impl Locked<'_> {
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
        match self.hold_file(req) {
            Ok(()) => self.leave_to_workers(req),
            Err(e) => self.complete(req, e.to_res(), 0),
        }
    }

    /// Has a worker wait for the file: the ring's epoll instance lacks the memory, or the
    /// descriptor.
    pub fn have_watched(&mut self, mut req: Req, events: u32) {
        self.disarm(req);
        if let Err(e) = self.hold_file(req) {
            return self.complete(req, e.to_res(), 0);
        }
        req.set(flag::WATCHED);
        req.events = events;
        self.leave_to_workers(req);
    }

    pub(super) fn leave_to_workers(&mut self, mut req: Req) {
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

    /// What was handed in: a worker (or a stand-in) has run the request, and its raw result is in `res`;
    /// or it has come back as it was.
    pub fn worked(&mut self, mut req: Req) {
        if req.stage == Stage::Asleep {
            // SAFETY: in this stage a request is with the sleeper that it was given to.
            req.res = unsafe { sleeper::of(req) }.dismiss();
        }
        req.stage = At::new(Stage::Queued);
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

    /// A worker has seen the file become ready, or was stopped; or there was none, and it is not ready.
    fn was_watched(&mut self, mut req: Req) {
        req.clear(flag::WATCHED);
        if req.has(flag::CANCELED) {
            self.complete(req, Errno::ECANCELED.to_res(), 0);
        } else if req.res < 0 {
            self.complete(req, req.res, 0);
        } else if req.res == 0 {
            self.carry_on(req, Issued::Wait(req.events));
        } else {
            req.revents = req.res as u32;
            self.ready(req);
        }
    }
}
