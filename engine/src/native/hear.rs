//! Hearing of answers: waiting for them, taking them, and being told by a descriptor.

use core::sync::atomic::Ordering::Relaxed;

use sysring_events::Seen;
use sysring_sys::abi::signal::{SIGSET_SIZE, SigSet};
use sysring_sys::{Errno, Fd, Result, User, call};

use super::Context;
use crate::complete::Eventfd;
use crate::wait::{Wait, wait};
use crate::{Caller, descriptors, process};

impl Context {
    /// Waits until `count` answers are there to be taken. In a ring that other processes push to,
    /// too, nobody counts: one is enough.
    ///
    /// # Errors
    /// Only where there is none: `ETIME`, after `timeout` nanoseconds; `EINTR`. `EINVAL`: a mask,
    /// and a ring that is shared.
    pub fn wait(&self, count: u32, timeout: Option<i64>, mask: Option<&SigSet>) -> Result<()> {
        process::enter()?;
        if self.shared {
            return if mask.is_some() {
                Err(Errno::EINVAL)
            } else {
                self.wait_among_others(timeout)
            };
        }
        let how = Wait {
            min_complete: count,
            deadline: timeout.map(|ns| call::now(call::CLOCK_MONOTONIC).saturating_add(ns)),
            min_deadline: None,
            sigmask: mask.map_or((User::NULL, 0), |mask| (User::of(mask), SIGSET_SIZE)),
        };
        let mut locked = self.ring.lock_as_submitter();
        locked.unattended = false;
        locked.reap();
        let (mut locked, waited) = wait(locked, how, &Caller::default());
        locked.leave(true);
        waited
    }

    fn wait_among_others(&self, timeout: Option<i64>) -> Result<()> {
        self.drive();
        self.events().wait(timeout)
    }

    /// Takes the oldest answer, if there is one, into `memory`, which must have room for it:
    /// [`MAX_LEN`](sysring_events::MAX_LEN) bytes are enough.
    ///
    /// # Errors
    /// `EMSGSIZE`: there is not enough room. `EBADMSG`: who shares the ring has overwritten it.
    pub fn next<'b>(&self, memory: &'b mut [u64]) -> Result<Option<Seen<'b>>> {
        process::enter()?;
        if self.events().is_empty() {
            self.drive();
        }
        let taken = self.events().pop_one(memory)?;
        if taken.is_some() {
            self.ring.cq_count_taken();
            if self.must_tell() {
                let mut locked = self.ring.lock_as_submitter();
                locked.tell_untold();
                locked.tell_pollers();
            }
        }
        Ok(taken)
    }

    /// Whether the taking of an event is to be told of: room where there was none, or a descriptor
    /// that is readable for the last time.
    fn must_tell(&self) -> bool {
        let events = self.events();
        events.is_overflowing() || self.ring.watched.load(Relaxed) && events.is_empty()
    }

    /// Does what can be done without waiting.
    fn drive(&self) {
        let mut locked = self.ring.lock_as_submitter();
        locked.progress();
        locked.reap();
    }

    /// Adds one to this eventfd whenever answers have come, from now on. It is duplicated. One that was
    /// set before is let go, unless this fails.
    ///
    /// # Errors
    /// `EBADF`: not open. `EINVAL`: no eventfd. `EMFILE`.
    pub fn set_eventfd(&self, eventfd: Option<Fd>) -> Result<()> {
        process::enter()?;
        let fd = eventfd.map(duplicate_of_eventfd).transpose()?;
        let mut locked = self.ring.lock_as_submitter();
        let new = fd.map(|fd| Eventfd { fd, only_async: false });
        if let Some(old) = core::mem::replace(&mut locked.eventfd, new) {
            descriptors::let_go(old.fd);
        }
        locked.leave(false);
        Ok(())
    }

    /// A new descriptor that is readable while answers are there to be taken: for poll and its kin,
    /// not to be read.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn descriptor(&self) -> Result<Fd> {
        process::enter()?;
        self.ring.watched.store(true, Relaxed);
        let mut locked = self.ring.lock_as_submitter();
        locked.leave(false);
        call::dup_from(locked.readiness.shown(), Fd::new(0))
    }
}

/// What is no eventfd would be written into.
fn duplicate_of_eventfd(fd: Fd) -> Result<Fd> {
    if !fd.is_valid() {
        return Err(Errno::EBADF);
    }
    if !call::is_eventfd(fd)? {
        return Err(Errno::EINVAL);
    }
    descriptors::duplicate(fd)
}
