//! `io_uring_enter(2)`.

use core::sync::atomic::AtomicPtr;
use core::sync::atomic::Ordering::{Acquire, Relaxed};

use sysring_sys::abi::io_uring::{GeteventsArg, enter, setup};
use sysring_sys::abi::{NSEC_PER_SEC, Timespec};
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, User, call};

use crate::descriptors::{self, Held};
use crate::ring::Ring;
use crate::wait::{Wait, wait};
use crate::{Caller, iopoll, process, register, sqpoll, stats, user};

pub const FLAGS: u32 = enter::GETEVENTS
    | enter::SQ_WAKEUP
    | enter::SQ_WAIT
    | enter::EXT_ARG
    | enter::REGISTERED_RING
    | enter::ABS_TIMER
    | enter::NO_IOWAIT;

/// `io_uring_enter(2)`; `arg` and `argsz` are the signal mask, or the extended argument.
///
/// # Errors
/// As the kernel's: `EBADF`, `EOPNOTSUPP` (no ring), `EBADFD` (disabled), `EEXIST` (not the
/// issuer), `EINVAL`, `EFAULT`, `EAGAIN`, and for a wait `ETIME` and `EINTR`.
pub fn enter(
    fd: u32,
    to_submit: u32,
    min_complete: u32,
    flags: u32,
    arg: User<u8>,
    argsz: usize,
    caller: &Caller,
) -> Result<usize> {
    process::enter()?;
    if flags & !FLAGS != 0 {
        return Err(Errno::EINVAL);
    }
    let held = ring_of(fd, flags & enter::REGISTERED_RING != 0)?;
    let ring = held.ring();
    stats::add(&stats::get().enters, 1);
    if ring.disabled().load(Relaxed) {
        return Err(Errno::EBADFD);
    }
    if ring.shape.has(setup::SQPOLL) {
        return enter_polled(ring, to_submit, min_complete, flags, arg, argsz, caller);
    }

    let mut submitted = 0;
    let mut locked = ring.lock_as_submitter();
    locked.unattended = false;
    if to_submit != 0 {
        check_issuer(ring)?;
        let answer = locked.submit(to_submit);
        match answer {
            Ok(n) => submitted = n,
            Err(e) => {
                locked.leave(false);
                return Err(e);
            }
        }
    }
    // A batch that broke off is reported before anything is waited for.
    let waits = flags & enter::GETEVENTS != 0 && submitted == to_submit;
    let mut waited = Ok(());
    if flags & enter::GETEVENTS != 0 && !waits {
        locked.progress();
    }
    if waits {
        if ring.shape.has(setup::DEFER_TASKRUN)
            && let Err(e) = check_issuer(ring)
        {
            locked.leave(false);
            return if submitted != 0 { Ok(submitted as usize) } else { Err(e) };
        }
        locked.forget_taskrun();
        (locked, waited) = if ring.shape.polls_in_enter() {
            match extended(flags, arg, argsz) {
                Ok(_) => iopoll::wait(locked, min_complete, caller),
                Err(e) => (locked, Err(e)),
            }
        } else {
            match parse(ring, flags, min_complete, arg, argsz) {
                Ok(how) => {
                    locked.reap();
                    wait(locked, how, caller)
                }
                Err(e) => (locked, Err(e)),
            }
        };
    }
    locked.leave(waits && min_complete != 0);
    drop(locked);
    match waited {
        Err(e) if submitted == 0 => Err(e),
        _ => Ok(submitted as usize),
    }
}

impl crate::ring::Locked<'_> {
    /// The application has come, as the flag asked it to.
    fn forget_taskrun(&mut self) {
        use sysring_sys::abi::io_uring::sq_flags::TASKRUN;
        if self.ring.sq_flags().load(Relaxed) & TASKRUN != 0 {
            self.ring.sq_flags().fetch_and(!TASKRUN, Relaxed);
        }
    }
}

/// An SQPOLL ring: the thread submits; `enter` wakes it, and waits.
fn enter_polled(
    ring: &Ring,
    to_submit: u32,
    min_complete: u32,
    flags: u32,
    arg: User<u8>,
    argsz: usize,
    caller: &Caller,
) -> Result<usize> {
    if flags & enter::SQ_WAKEUP != 0 {
        sqpoll::wake(ring);
    }
    if flags & enter::SQ_WAIT != 0 {
        while ring.sq_pending() == ring.shape.sq_entries {
            call::sched_yield();
        }
    }
    if flags & enter::GETEVENTS != 0 {
        let how = parse(ring, flags, min_complete, arg, argsz);
        let waited = how.and_then(|how| {
            let (locked, waited) = wait(ring.lock_as_submitter(), how, caller);
            drop(locked);
            waited
        });
        if to_submit == 0 {
            waited?;
        }
    }
    Ok(to_submit as usize)
}

/// `SINGLE_ISSUER`: the first thread that submits is the one.
pub fn check_issuer(ring: &Ring) -> Result<()> {
    if !ring.shape.has(setup::SINGLE_ISSUER) {
        return Ok(());
    }
    let me = call::gettid() as u32;
    match ring.submitter().compare_exchange(0, me, Relaxed, Relaxed) {
        Ok(_) => Ok(()),
        Err(other) if other == me => Ok(()),
        Err(_) => Err(Errno::EEXIST),
    }
}

/// The ring behind a descriptor, or an index into the registered ones.
pub fn ring_of(fd: u32, registered: bool) -> Result<Held> {
    if registered {
        return register::ring_fds::get(fd);
    }
    let fd = Fd::new(fd as i32);
    match descriptors::get(fd) {
        Some(held) => Ok(held),
        None if descriptors::is_internal(fd) => Err(Errno::EBADF),
        None => call::fcntl(fd, g::F_GETFD, 0).and(Err(Errno::EOPNOTSUPP)),
    }
}

/// The extended argument, if there is one.
fn extended(flags: u32, arg: User<u8>, argsz: usize) -> Result<Option<GeteventsArg>> {
    if flags & enter::EXT_ARG == 0 {
        return Ok(None);
    }
    if argsz != size_of::<GeteventsArg>() {
        return Err(Errno::EINVAL);
    }
    user::read(arg.cast::<GeteventsArg>()).map(Some)
}

/// What a wait was told.
fn parse(ring: &Ring, flags: u32, min_complete: u32, arg: User<u8>, argsz: usize) -> Result<Wait> {
    let mut how = Wait { min_complete, ..Wait::default() };
    let Some(ext) = extended(flags, arg, argsz)? else {
        how.sigmask = (arg.cast(), argsz);
        return Ok(how);
    };
    how.sigmask = (User::new(ext.sigmask), ext.sigmask_sz as usize);
    let now = call::now(call::CLOCK_MONOTONIC);
    if ext.ts != 0 {
        let ts = user::read(User::<Timespec>::new(ext.ts))?;
        let time = ts.tv_sec.saturating_mul(NSEC_PER_SEC).saturating_add(ts.tv_nsec);
        let absolute = flags & enter::ABS_TIMER != 0;
        // What another clock says is turned into what ours will say then.
        let from = if absolute { call::now(ring.clock.load(Relaxed)) } else { 0 };
        how.deadline = Some(now.saturating_add(time.saturating_sub(from)));
    }
    if ext.min_wait_usec != 0 {
        let at_least = now.saturating_add(i64::from(ext.min_wait_usec) * 1000);
        how.min_deadline = Some(at_least);
        // The first stage runs its time even where the whole was to be shorter.
        how.deadline = how.deadline.map(|deadline| deadline.max(at_least));
    }
    Ok(how)
}

/// Keeps the type of the registered table in one place.
pub type RingSlot = AtomicPtr<Ring>;

/// A slot's ring, held.
pub fn held_from(slot: &RingSlot) -> Option<Held> {
    let ring = slot.load(Acquire);
    if ring.is_null() {
        return None;
    }
    // SAFETY: rings are never unmapped.
    descriptors::hold(unsafe { &*ring })
}
