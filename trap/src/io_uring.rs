//! The three calls, handed to the engine.

use sysring_engine::Caller;
use sysring_sys::raw::general as g;
use sysring_sys::{Result, User};

use crate::context::Context;
use crate::process;

/// Serves the call if it is one of the three.
pub fn serve(nr: u32, a: [usize; 6], context: &Context) -> Option<Result<usize>> {
    if !matches!(nr, g::__NR_io_uring_enter | g::__NR_io_uring_setup | g::__NR_io_uring_register) {
        return None;
    }
    // Whoever has a ring to use, if only one that was inherited.
    process::claim();
    let result = match nr {
        g::__NR_io_uring_enter => {
            let caller = Caller { sigmask: Some(context.sigmask()) };
            let arg = User::new(a[4] as u64);
            let entered = sysring_engine::enter(
                a[0] as u32,
                a[1] as u32,
                a[2] as u32,
                a[3] as u32,
                arg,
                a[5],
                &caller,
            );
            #[cfg(target_arch = "x86_64")]
            crate::shortcut::trapped(context.end_of_call(), context.stack());
            entered
        }
        g::__NR_io_uring_setup => sysring_engine::setup(a[0] as u32, User::new(a[1] as u64)),
        _ => {
            let arg = User::new(a[2] as u64);
            sysring_engine::register(a[0] as u32, a[1] as u32, arg, a[3] as u32)
        }
    };
    Some(result)
}
