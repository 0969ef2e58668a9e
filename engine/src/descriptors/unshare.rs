//! The process gets another table of descriptors.
//!
//! A thread that unshares its table takes the process's rings with it. The engine's threads have
//! the old one, so they are replaced, and can tell by the number of tables that they are.

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::Relaxed;

use super::hold::each;
use super::table;
use crate::{driver, personality, sleeper, sqpoll, wq};

/// How often the process has got another table of descriptors.
static TABLES: AtomicU32 = AtomicU32::new(0);

/// The calling thread has got a table of descriptors of its own (`unshare(CLONE_FILES)`). The threads
/// of the engine still share the one before: what is opened from here on they would not find, and
/// what is closed would stay open. Others take their place; those who are in a call leave what comes of
/// it to the driver. (Threads of the application that keep the old table have it for themselves: there
/// is one picture of what is open where.)
pub fn unshared() {
    if !table::exists() {
        return;
    }
    let others = wq::has_workers() || sleeper::are_there();
    // Relaxed: a crew's lock brings it to who finds itself retired.
    TABLES.fetch_add(1, Relaxed);
    wq::retire();
    personality::retire();
    driver::replace(others);
    each(sqpoll::replace);
}

/// How often the process has got another table of descriptors.
#[must_use]
pub(crate) fn tables() -> u32 {
    TABLES.load(Relaxed)
}
