//! `REGISTER_SYNC_CANCEL`.

use sysring_sys::abi::Timespec;
use sysring_sys::abi::io_uring::SyncCancelReg;
use sysring_sys::{Errno, Result, User, call};

use crate::cancel::Match;
use crate::ring::Ring;
use crate::time::{end_of_wait, nanoseconds};
use crate::wait::{Wait, wait};
use crate::{Caller, user};

/// Cancels, and waits until what was too late to stop has ended by itself.
pub fn sync_cancel(ring: &Ring, arg: User<u8>, nr_args: u32) -> Result<usize> {
    if arg.is_null() || nr_args != 1 {
        return Err(Errno::EINVAL);
    }
    let given = user::read(arg.cast::<SyncCancelReg>())?;
    if given.pad != [0; 7] || given.pad2 != [0; 3] {
        return Err(Errno::EINVAL);
    }
    let what = Match::parse_any(given.flags, given.addr, given.fd, u32::from(given.opcode))?;
    let time = Timespec { tv_sec: given.timeout_sec, tv_nsec: given.timeout_nsec };
    let deadline = match (time.tv_sec, time.tv_nsec) {
        (-1, -1) => None,
        _ => end_of_wait(call::now(call::CLOCK_MONOTONIC), nanoseconds(&time)),
    };
    let mut locked = ring.lock_as_submitter();
    let mut waited_for = false;
    loop {
        match locked.cancel(&what) {
            Err(Errno::EALREADY) => {}
            answer => {
                // What was waited for has ended, or could be cancelled after all.
                let answer = match answer {
                    Ok(_) | Err(Errno::ENOENT) if waited_for => Ok(0),
                    answer => answer,
                };
                locked.run_tasks();
                return answer;
            }
        }
        waited_for = true;
        // Whatever completes next may be the one.
        let how = Wait { min_complete: locked.cq_ready() + 1, deadline, ..Wait::default() };
        let (again, waited) = wait(locked, how, &Caller::default());
        locked = again;
        waited?;
        if deadline.is_some_and(|at| call::now(call::CLOCK_MONOTONIC) >= at) {
            return Err(Errno::ETIME);
        }
    }
}
