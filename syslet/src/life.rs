//! How a context begins and ends.

use core::ptr;
use core::sync::atomic::Ordering::{Relaxed, SeqCst};

use sysring_sys::abi::signal::SIG_SETMASK;
use sysring_sys::call;

use crate::arch;
use crate::carrier;
use crate::context::Context;
use crate::detector::detector_thread;
use crate::kernel;
use crate::late;
use crate::locks;
use crate::monitor;
use crate::process;
use crate::room::Room;
use crate::scope::Builder;
use crate::support::{self, Unavailable};

/// The context that the calling thread is, if it is one already.
pub fn current() -> Option<*const Context> {
    support::available().ok()?;
    // SAFETY: available.
    let fs = unsafe { arch::fs_base() };
    // A handler that begins a scope must not wait for a lock of the thread that it interrupts.
    kernel::without_signals(|| monitor::find(fs))
}

/// Makes the calling thread a context.
///
/// # Errors
/// Why that cannot be; then nothing has changed.
pub fn begin(builder: &Builder) -> Result<*const Context, Unavailable> {
    support::available()?;
    let memory = Room::build(builder.limit).map_err(Unavailable::Refused)?;
    // SAFETY: a fresh room with an empty context, which stays until `end`.
    let context = unsafe { &*memory };
    // SAFETY: available.
    let (fs, gs) = unsafe { (arch::fs_base(), arch::gs_base()) };
    context.fs.store(fs, Relaxed);
    context.gs.store(gs, Relaxed);
    context.process.store(process::number(), Relaxed);
    context.store.begin();
    context.spare.store(context.store.take().unwrap_or(ptr::null_mut()), Relaxed);
    let home = context.room.seat_home(context);
    home.is_this_thread();
    context.carrier.store(ptr::from_ref(home).cast_mut(), Relaxed);
    context.before.hold_signals();
    if let Err(why) = people(context, builder, fs) {
        context.before.release_signals();
        context.room.tear_down();
        return Err(why);
    }
    Ok(memory)
}

/// Changes the caller's thread and starts the others.
fn people(context: &Context, builder: &Builder, fs: usize) -> Result<(), Unavailable> {
    // The monitor is started before: it is not for one processor.
    monitor::enlist(context).map_err(Unavailable::Refused)?;
    let changed = context.before.change(fs);
    let started = changed.and_then(|()| {
        let detector = late::is_room_for_more().then_some(detector_thread as _);
        let detector = context.room.add_detector(context, detector);
        detector.map_err(Unavailable::Refused).inspect_err(|_| context.before.restore())
    });
    if let Err(why) = started {
        monitor::strike_off(context);
        return Err(why);
    }
    context.local.store(builder.local && context.before.processor.get().is_some(), Relaxed);
    // Without it calls are waited for where they are made, until one can be had.
    let _ = context.room.add_standby(context);
    Ok(())
}

/// Makes the calling thread what it was before. All calls have been answered.
pub fn end(context: &Context) {
    let mut alone = true;
    if context.is_here() {
        check_credentials(context);
        carrier::go_home(context);
        monitor::strike_off(context);
        context.standbys.take_token();
        context.over.store(true, SeqCst);
        context.detector.store(0, SeqCst);
        kernel::wake(&context.detector);
        context.room.dismiss();
        context.room.join();
        alone = late::is_gone(context);
    } else {
        context.before.succeed();
    }
    context.before.restore();
    // SAFETY: nobody is left who could use them.
    unsafe { context.store.end() };
    let mask = context.before.mask();
    if alone {
        context.room.tear_down();
    } else {
        late::leave_to_itself(context);
    }
    // Last: what has been held back is handled now.
    let _ = call::sigprocmask(SIG_SETMASK, Some(mask));
}

/// A program that changed its ids inside the scope changed those of one carrier. To go on with the
/// old ones would be a hole, so it does not go on.
pub fn check_credentials(context: &Context) {
    if context.moves.load(Relaxed) != 0 && !context.before.is_same_person() {
        die(b"sysring-syslet: user or group ids were changed inside a scope\n");
    }
}

/// A lock that inherits priority and is held across a move would stay locked for good.
pub fn check_locks(context: &Context) {
    if locks::inherits_priority(context) {
        die(b"sysring-syslet: a priority-inheriting lock is held across a call that blocked\n");
    }
}

fn die(message: &[u8]) -> ! {
    let text =
        call::Buffer { address: sysring_sys::User::of(message.as_ptr()), len: message.len() };
    let _ = call::write(sysring_sys::Fd::new(2), text);
    call::exit_group(134)
}
