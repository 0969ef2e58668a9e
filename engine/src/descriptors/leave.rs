//! The process goes, and others may still share its rings.
//!
//! Their memory outlives it, but nobody would go on with its requests: they end, and are told,
//! before it does.

use sysring_sys::abi::NSEC_PER_MSEC;
use sysring_sys::call;

use super::handle::cancel_all;
use super::hold::each;
use crate::driver;

/// How often, a millisecond apart, a process that ends looks for what it has under way.
const LAST_LOOKS: u32 = 50;

/// This process ends, or becomes another program: what it has under way in rings that others
/// share is cancelled and told, as the kernel does it for a task that goes. Where it `ends`, timeouts
/// stay.
pub(crate) fn leave(ends: bool) {
    let mut shared = false;
    each(|ring| shared |= ring.is_shared());
    if shared {
        driver::rest();
    }
    each(|ring| {
        for _ in 0..LAST_LOOKS {
            if !ring.is_shared() {
                return;
            }
            // Another thread may have it, or this one, where a signal's handler ends the process.
            if let Some(mut locked) = ring.try_lock() {
                if ends {
                    locked.leave_timers();
                }
                cancel_all(&mut locked);
                if locked.outstanding == 0 {
                    return;
                }
            }
            call::nanosleep(NSEC_PER_MSEC);
        }
    });
}
