//! Who may run a request. It has the credentials of its submitter, and no thread can lend its own: so
//! it goes to one that has them, or waits for one.

use core::ptr;
use core::sync::atomic::Ordering::Relaxed;

use sysring_sys::Errno;
use sysring_sys::abi::io_uring::sq_flags;
use sysring_sys::odds::likely;

use crate::locked::Locked;
use crate::op::table::row_flag;
use crate::personality::{Keeper, Personality};
use crate::request::{Req, Stage, flag};

impl Locked<'_> {
    /// Whether the calling thread may run a request. One that carries none is where it was
    /// submitted, or may do the same whoever runs it.
    #[inline(always)]
    pub(super) fn has_credentials_of(&self, req: Req) -> bool {
        likely(req.creds.is_none() && self.worker.is_none())
            || self.has_these_credentials(req.creds)
    }

    #[inline(never)]
    fn has_these_credentials(&self, wanted: Option<&'static Personality>) -> bool {
        match (wanted, self.acting()) {
            (None, None) => true,
            (Some(wanted), None) => self.has_credentials(wanted),
            (wanted, acting) => wanted.map(ptr::from_ref) == acting.map(ptr::from_ref),
        }
    }

    pub(super) fn has_credentials(&self, wanted: &Personality) -> bool {
        self.is_me(Some(wanted))
            || self.submitter && wanted.is_present()
            || self.worker.is_some_and(|worker| wanted.is_of(worker.crew))
    }

    /// Whether these are the credentials of the calling thread, which is submitting.
    pub(super) fn is_me(&self, wanted: Option<&Personality>) -> bool {
        self.me.zip(wanted).is_some_and(|(me, wanted)| ptr::eq(me, wanted))
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
        if let Err(e) = self.hold_file(req) {
            return self.complete(req, e.to_res(), 0);
        }
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
        if req.is_bare() && !req.has_its_files() {
            return self.complete(req, Errno::EBADF.to_res(), 0);
        }
        self.issue(req);
        self.run_tasks();
    }

    /// Nobody was left where the request was sent to: it is sent anew.
    #[cold]
    pub(super) fn was_refused(&mut self, mut req: Req) {
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
}
