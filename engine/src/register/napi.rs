//! Busy polling of network queues: settings that are kept and told, and nothing more.
//!
//! Which queue a socket belongs to only the kernel knows, and only it could poll there.

use sysring_sys::abi::io_uring::{Napi, napi, setup};
use sysring_sys::{Errno, Result, User};

use crate::locked::Locked;
use crate::user;

/// The settings of a ring.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    busy_poll_to: u32,
    prefer_busy_poll: bool,
    tracking: u32,
    /// Queues that are polled by number; 0 for none.
    queues: [u32; QUEUES],
}

/// Queues that can be named for one ring.
const QUEUES: usize = 16;
/// Numbers below belong to processors.
const FIRST_QUEUE: u32 = 8193;
/// Microseconds at most.
const LONGEST: u32 = 10_000;

impl Settings {
    pub const NEW: Settings = Settings {
        busy_poll_to: 0,
        prefer_busy_poll: false,
        tracking: napi::TRACKING_INACTIVE,
        queues: [0; QUEUES],
    };

    fn told(&self) -> Napi {
        let prefer_busy_poll = self.prefer_busy_poll.into();
        Napi { busy_poll_to: self.busy_poll_to, prefer_busy_poll, ..Napi::default() }
    }

    fn change(&mut self, given: &Napi) -> Result<()> {
        match given.opcode {
            napi::REGISTER_OP => {
                let known = [napi::TRACKING_DYNAMIC, napi::TRACKING_STATIC];
                if !known.contains(&given.op_param) {
                    return Err(Errno::EINVAL);
                }
                *self = Settings {
                    busy_poll_to: given.busy_poll_to.min(LONGEST),
                    prefer_busy_poll: given.prefer_busy_poll != 0,
                    tracking: given.op_param,
                    ..Settings::NEW
                };
                Ok(())
            }
            napi::STATIC_ADD_ID | napi::STATIC_DEL_ID if self.tracking != napi::TRACKING_STATIC => {
                Err(Errno::EINVAL)
            }
            napi::STATIC_ADD_ID => self.add(given.op_param),
            napi::STATIC_DEL_ID => self.remove(given.op_param),
            _ => Err(Errno::EINVAL),
        }
    }

    fn add(&mut self, queue: u32) -> Result<()> {
        if queue < FIRST_QUEUE {
            return Err(Errno::EINVAL);
        }
        if self.queues.contains(&queue) {
            return Err(Errno::EEXIST);
        }
        *self.queues.iter_mut().find(|free| **free == 0).ok_or(Errno::ENOMEM)? = queue;
        Ok(())
    }

    fn remove(&mut self, queue: u32) -> Result<()> {
        if queue < FIRST_QUEUE {
            return Err(Errno::EINVAL);
        }
        *self.queues.iter_mut().find(|known| **known == queue).ok_or(Errno::ENOENT)? = 0;
        Ok(())
    }
}

/// Tells the settings, and changes them.
pub fn register(ring: &mut Locked<'_>, arg: User<u8>, nr_args: u32) -> Result<usize> {
    if arg.is_null() || nr_args != 1 || ring.ring.shape().has(setup::IOPOLL) {
        return Err(Errno::EINVAL);
    }
    let given = user::read(arg.cast::<Napi>())?;
    if given.pad != [0; 2] || given.resv != 0 {
        return Err(Errno::EINVAL);
    }
    let told = Napi { op_param: ring.napi.tracking, ..ring.napi.told() };
    user::write(arg.cast(), &told)?;
    ring.napi.change(&given).map(|()| 0)
}

/// Tells the settings to whom it may concern, and forgets them.
pub fn unregister(ring: &mut Locked<'_>, arg: User<u8>, nr_args: u32) -> Result<usize> {
    if nr_args != 1 {
        return Err(Errno::EINVAL);
    }
    if !arg.is_null() {
        user::write(arg.cast(), &ring.napi.told())?;
    }
    ring.napi = Settings::NEW;
    Ok(0)
}
