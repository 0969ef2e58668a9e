//! Calls with other credentials than those of the thread that issues them.
//!
//! A context knows credentials by number: those that a thread had when it registered them, which
//! threads of the engine keep ([`crate::personality`]). A call that is to have them goes to those
//! threads, unless who issues it has the same.

use sysring_events::attr::{Attribute, Credentials, Wanted};
use sysring_sys::{Errno, Result};

use super::asked::can;
use super::{Call, Context};
use crate::personality::Personality;
use crate::process;
use crate::request::Req;

/// A hold on credentials, until a request has it.
#[derive(Debug)]
pub(super) struct Held(Option<&'static Personality>);

impl Held {
    /// Whether the calling thread has the same.
    fn is_present(&self) -> bool {
        self.0.is_some_and(Personality::is_present)
    }

    /// The request's from now on.
    pub fn hand_to(mut self, mut req: Req) {
        req.creds = self.0.take();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(personality) = self.0 {
            personality.put();
        }
    }
}

impl Context {
    /// Has a number for the credentials of the calling thread: user and group ids, groups,
    /// capabilities. What is issued with that number has them, whoever issues it then.
    ///
    /// # Errors
    /// `EAGAIN`: no thread to be had, which would keep them. `ENOMEM`: that, or 64 different ones are
    /// registered in this process. `EBUSY`: all 65535 numbers are in use.
    pub fn register_credentials(&self) -> Result<u32> {
        process::enter()?;
        self.ring.lock_as_submitter().personalities.register().map(u32::from)
    }

    /// Takes a number back. Calls that are pending keep what they have.
    ///
    /// # Errors
    /// `EINVAL`: it is nobody's.
    pub fn unregister_credentials(&self, number: u32) -> Result<()> {
        process::enter()?;
        self.ring.lock_as_submitter().personalities.unregister(number)
    }

    /// Whose credentials a call is to have that is not to have the calling thread's. What cannot be
    /// had and is not required is wanted no longer.
    ///
    /// # Errors
    /// `EOPNOTSUPP`: no other thread can make this call. `EINVAL`: no such credentials are
    /// registered.
    pub(super) fn credentials_for(&self, call: &Call, wanted: &mut Wanted) -> Result<Option<Held>> {
        if wanted.mask() & Credentials::MASK == 0 {
            return Ok(None);
        }
        match self.find_credentials(call, wanted.credentials()) {
            // Nobody else is needed.
            Ok(held) if held.is_present() => Ok(None),
            Ok(held) => Ok(Some(held)),
            Err(e) if wanted.requires(Credentials::MASK) => Err(e),
            Err(_) => {
                *wanted = wanted.without(Credentials::MASK);
                Ok(None)
            }
        }
    }

    fn find_credentials(&self, call: &Call, number: u32) -> Result<Held> {
        if !can::others(call) {
            return Err(Errno::EOPNOTSUPP);
        }
        process::enter()?;
        let number = u16::try_from(number).map_err(|_| Errno::EINVAL)?;
        let found = self.ring.lock_as_submitter().personalities.get(number)?;
        Ok(Held(Some(found)))
    }
}
