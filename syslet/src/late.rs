//! Detectors that come to their end late.
//!
//! The end of a scope waits for its threads, and one of them runs only where its processor has nothing
//! else to do: beside a busy thread that may take half a second. So it is waited for a little, and
//! helped; and if it is still there, its scope's memory is left to it, and given back when it has
//! gone. Where there are many of those, scopes begin without a detector: the monitor is enough there.

use core::ptr;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::Relaxed;

use sysring_sys::call;

use crate::context::Context;
use crate::kernel;
use crate::monitor;

/// How long its end usually takes, and how long it may when it has been helped: nanoseconds.
const USUAL: i64 = 100_000;
const HELPED: i64 = 200_000;

/// How many scopes' memory may be left to their detectors.
const MOST: u32 = 32;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// Waits for the detector of a scope that is over; whether it is gone.
pub fn is_gone(context: &Context) -> bool {
    let detector = context.room.detector();
    if detector.join_within(USUAL) {
        return true;
    }
    let thread = detector.thread();
    if thread == 0 {
        return true;
    }
    // To leave its class takes a privilege, or RLIMIT_NICE. Any processor that idles will do, too.
    if kernel::make_normal(thread).is_err()
        && let Some(processors) = context.before.processors()
    {
        let _ = call::sched_setaffinity(thread as i32, &processors);
    }
    detector.join_within(HELPED)
}

/// Leaves a scope's memory to its detector.
pub fn leave_to_itself(context: &Context) {
    COUNT.fetch_add(1, Relaxed);
    monitor::adopt(context);
}

/// Gives the memory of a scope back whose detector is gone; whether it is.
pub fn release(context: &Context) -> bool {
    let gone = context.room.detector().thread() == 0;
    if gone {
        COUNT.fetch_sub(1, Relaxed);
        context.room.tear_down();
    }
    gone
}

/// A child of `fork` has none of them, and does without their memory.
pub fn forget() {
    COUNT.store(0, Relaxed);
}

/// Whether one more scope may have a detector.
pub fn is_room_for_more() -> bool {
    COUNT.load(Relaxed) < MOST
}

/// The context that is the first of a list, without those that are gone.
pub fn without_the_gone(first: *mut Context) -> *mut Context {
    let (mut kept, mut next) = (ptr::null_mut::<Context>(), first);
    // SAFETY: each is mapped until `release` says that it is not.
    while let Some(context) = unsafe { next.as_ref() } {
        let here = core::mem::replace(&mut next, context.next.load(Relaxed));
        if !release(context) {
            context.next.store(kept, Relaxed);
            kept = here;
        }
    }
    kept
}
