//! The end of what is pending, before its time.

use sysring_sys::{Errno, Result, call};

use super::{Context, request};
use crate::cancel::Match;
use crate::request::{Stage, flag};
use crate::{descriptors, process, wq};

impl Context {
    /// Cancels a pending call, whose answer is then `ECANCELED`, if it was in time.
    ///
    /// # Errors
    /// `ENOENT`: no such call is pending. `EALREADY`: it is being made by a thread that was told to
    /// stop, or by a device, and may still succeed.
    pub fn cancel(&self, id: u64) -> Result<()> {
        process::enter()?;
        let mut locked = self.ring.lock_as_submitter();
        // A call's, not a deadline's or another request of the engine's own.
        let call = locked.slab.find(id).filter(|req| req.sqe.opcode == request::CODE);
        let req = call.ok_or(Errno::ENOENT)?;
        let cancelled = locked.cancel_one(req).map(drop);
        locked.run_tasks();
        cancelled
    }

    /// Cancels all that is pending.
    pub fn cancel_all(&self) -> Result<()> {
        process::enter()?;
        let mut locked = self.ring.lock_as_submitter();
        locked.cancel(&Match::everything())?;
        locked.run_tasks();
        Ok(())
    }

    /// Cancels all that is pending, and waits until nothing is. A call that a thread is making and
    /// cannot be called back from is waited for.
    pub fn settle(&self) {
        const SHORTLY: i64 = 20_000;
        const LATER: i64 = 5_000_000;
        if process::enter().is_err() {
            return;
        }
        let mut pause = SHORTLY;
        loop {
            let mut locked = self.ring.lock_as_submitter();
            let _ = locked.cancel(&Match::everything());
            // Those that have been told are told again: a signal may come a moment before the call
            // that it is to end.
            for req in locked.in_flight(None) {
                if req.stage == Stage::Running && req.has(flag::CANCELED) {
                    wq::interrupt(req);
                }
            }
            locked.run_tasks();
            locked.reap();
            if locked.pending() == locked.untold_count {
                return;
            }
            drop(locked);
            call::nanosleep(pause);
            pause = (2 * pause).min(LATER);
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        descriptors::drop_handle(self.ring);
    }
}
