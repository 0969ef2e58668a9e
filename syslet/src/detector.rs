//! The detector: a thread that runs only where the context's processor has nothing else to do.
//!
//! When it runs while the context is inside a call, the context sleeps there (or has been preempted
//! in its favour, which a yield tells). So the scheduler itself says that a call blocks, at once and
//! without costing the call anything.

use core::sync::atomic::Ordering::{Acquire, Relaxed, SeqCst};

use sysring_sys::call;

use crate::arch;
use crate::carrier::Carrier;
use crate::context::{Context, watcher};
use crate::kernel;

/// How often it looks in vain before it goes to sleep: the context may come back any moment.
const LOOKS: u32 = 16;

/// The thread.
pub extern "C" fn detector_thread(carrier: usize) -> ! {
    // SAFETY: `Carrier::start` was given this by a carrier, which lives until the thread is joined;
    // scopes exist only where FSGSBASE does.
    let context = unsafe {
        arch::clear_fs_base();
        (*(carrier as *const Carrier)).context()
    };
    kernel::set_name(c"syslet-idle");
    // At any other priority it would compete with the context. Then the monitor is all there is.
    if kernel::become_idle().is_ok() {
        watch(context);
    }
    // SAFETY: `Carrier::start` made it by a bare `clone`, and who joins it is told by the kernel.
    unsafe { call::exit_thread() }
}

fn watch(context: &Context) {
    let mut looks = 0;
    while !context.over.load(Relaxed) {
        let state = context.state.load(Acquire);
        if context.needs_help(state) {
            looks = 0;
            // Who was only preempted runs now.
            call::sched_yield();
            if context.state.load(Relaxed) == state {
                context.hunt(state);
            }
        } else if looks < LOOKS {
            looks += 1;
            call::sched_yield();
        } else {
            looks = 0;
            sleep(context);
        }
    }
}

/// Sleeps until the next call. The context's store of its state and its look for sleepers may be
/// reordered by a processor; this thread shares the context's, where they are not. Should it ever
/// not, a call is missed that the monitor will see.
fn sleep(context: &Context) {
    // Sequentially consistent with `life::end`: either it is seen here that the scope is over, or the
    // word says there that this thread sleeps.
    context.detector.store(1, SeqCst);
    context.attention.fetch_or(watcher::DETECTOR, SeqCst);
    if !context.needs_help(context.state.load(SeqCst)) && !context.over.load(SeqCst) {
        let _ = kernel::sleep_while(&context.detector, 1, None);
    }
    context.detector.store(0, Relaxed);
}
