//! How a driver begins, and how another takes its place.
//!
//! It is started when a ring first needs it, for most programs never do. It has the credentials and
//! the descriptors of who started it, so where the process's change there is to be another.

use core::sync::atomic::Ordering::Relaxed;

use sysring_sys::abi::NSEC_PER_MSEC;
use sysring_sys::call::Credentials;
use sysring_sys::raw::general as g;
use sysring_sys::{Fd, Result, call};

use super::office::{LIVING, LOOKS, OFFICE, RUNS, SET, is_there};
use super::run::run;
use super::{bell, office};
use crate::sync::Mutex;
use crate::{descriptors, thread};

/// Held by who starts one: with whose credentials the driver runs.
static STARTING: Mutex<Credentials> = Mutex::new(Credentials::UNKNOWN);

/// Sees that there is a driver.
///
/// # Errors
/// `EAGAIN` or `ENOMEM`: no thread to be had. `EMFILE`.
pub fn prepare() -> Result<()> {
    driver().map(drop)
}

/// The driver's epoll instance; the driver is started if it does not run.
pub(super) fn driver() -> Result<Fd> {
    let mut starting = STARTING.lock();
    if is_there() {
        return Ok(Fd::new(SET.load(Relaxed)));
    }
    let set = descriptors::keep(call::epoll_create()?)?;
    start(set).inspect_err(|_| descriptors::let_go(set))?;
    *starting = call::credentials();
    Ok(set)
}

fn start(set: Fd) -> Result<()> {
    let bell = bell::hang()?;
    SET.store(set.raw(), Relaxed);
    let started = call::epoll_ctl(set, call::EpollOp::Add, bell, g::EPOLLIN | g::EPOLLET, 0)
        .and_then(|()| employ(OFFICE.term()));
    if let Err(e) = started {
        SET.store(-1, Relaxed);
        return Err(e);
    }
    RUNS.store(true, Relaxed);
    Ok(())
}

/// Before other threads of the engine's are started: these may be left with a table of descriptors that
/// the process has no more, and what was opened before them is in that, too.
pub(crate) fn hang_bell() {
    if !bell::has_bell() {
        let _starting = STARTING.lock();
        // Where none is to be had, they go on themselves.
        let _ = bell::hang();
    }
}

/// The calling thread has these credentials: so shall the driver, which goes on with what is submitted
/// from here on. libc's `setuid` knows nothing of it.
pub(crate) fn renew(whose: &Credentials) {
    let mut starting = STARTING.lock();
    if is_there() && *starting != *whose && begin_anew().is_ok() {
        *starting = *whose;
    }
}

/// Has the calling thread, which holds no ring, start another driver in the place of the one there is,
/// and waits a moment for that one to end. If there is none, it starts one for `others` that are left: what
/// comes of their calls is for it to go on with.
pub(crate) fn replace(others: bool) {
    if others && !is_there() {
        // Where none is to be had, they go on themselves.
        let _ = prepare();
        return;
    }
    {
        let mut starting = STARTING.lock();
        if !is_there() || begin_anew().is_err() {
            return;
        }
        *starting = call::credentials();
    }
    for _ in 0..LOOKS {
        if LIVING.load(Relaxed) <= 1 {
            return;
        }
        call::nanosleep(NSEC_PER_MSEC);
    }
}

/// Starts another driver. (If there is none to be had, an old one is better than none.) While nobody
/// else does.
fn begin_anew() -> Result<()> {
    let term = OFFICE.term().wrapping_add(1);
    employ(term)?;
    // The one in office ends when it has heard of it.
    OFFICE.appoint(term);
    bell::ring()
}

fn employ(term: u32) -> Result<i32> {
    LIVING.fetch_add(1, Relaxed);
    thread::start(run, term as usize).inspect_err(|_| {
        LIVING.fetch_sub(1, Relaxed);
    })
}

/// In a child of `fork` there is no driver.
pub(crate) fn after_fork() {
    STARTING.reset();
    office::after_fork();
    bell::after_fork();
}
