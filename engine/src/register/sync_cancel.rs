//! `REGISTER_SYNC_CANCEL`.

use sysring_sys::abi::NSEC_PER_SEC;
use sysring_sys::abi::io_uring::SyncCancelReg;
use sysring_sys::{Errno, Result, User, call};

use crate::cancel::Match;
use crate::ring::Ring;
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
    let never = given.timeout_sec == -1 && given.timeout_nsec == -1;
    let deadline = (!never).then(|| {
        let time = given.timeout_sec.saturating_mul(NSEC_PER_SEC);
        call::now(call::CLOCK_MONOTONIC).saturating_add(time.saturating_add(given.timeout_nsec))
    });
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
