//! `io_uring_enter(2)`.

use core::sync::atomic::Ordering::Relaxed;

use sysring_sys::abi::Timespec;
use sysring_sys::abi::io_uring::{GeteventsArg, REG_WAIT_TS, RegWait, enter, setup};
use sysring_sys::abi::signal::SigSet;
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, User, call};

use crate::descriptors::{self, Visit};
use crate::locked::Locked;
use crate::ring::Ring;
use crate::time::{comes, end_of_wait, nanoseconds};
use crate::wait::{Wait, wait};
use crate::{Caller, driver, iopoll, process, register, relief, sqpoll, stats, user};

/// The flags of `enter` that are known: any other answers `EINVAL`.
pub const FLAGS: u32 = enter::GETEVENTS
    | enter::SQ_WAKEUP
    | enter::SQ_WAIT
    | enter::EXT_ARG
    | enter::REGISTERED_RING
    | enter::ABS_TIMER
    | enter::EXT_ARG_REG
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
    relief::come_by();
    if flags & !FLAGS != 0 {
        return Err(Errno::EINVAL);
    }
    let visit = ring_of(fd, flags & enter::REGISTERED_RING != 0)?;
    let ring = visit.ring();
    stats::add(&stats::get().enters, 1);
    // Relaxed: only whether; what was registered before it was enabled lies behind the lock.
    if ring.disabled().load(Relaxed) {
        return Err(Errno::EBADFD);
    }
    if ring.shape().has(setup::SQPOLL) {
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
        // Who has just submitted has been looked at.
        if ring.shape().has(setup::DEFER_TASKRUN)
            && to_submit == 0
            && let Err(e) = check_issuer(ring)
        {
            locked.leave(false);
            return Err(e);
        }
        locked.forget_taskrun(to_submit == 0);
        (locked, waited) = if ring.shape().polls_in_enter() {
            match extended(flags, arg, argsz) {
                Ok(_) => iopoll::wait(locked, min_complete, caller),
                Err(e) => (locked, Err(e)),
            }
        } else {
            match parse(&locked, flags, min_complete, arg, argsz) {
                Ok(how) => {
                    // What is ready now comes before a time that is over.
                    if locked.readiness.parked != 0 || ring.watched.load(Relaxed) {
                        locked.reap();
                    }
                    let (mut locked, waited) = wait(locked, how, caller);
                    if locked.asked && locked.cq_ready() == 0 {
                        // Who polls the descriptor is not to find it readable again.
                        locked.reap();
                    }
                    (locked, waited)
                }
                Err(e) => (locked, Err(e)),
            }
        };
    }
    locked.leave(waits && min_complete != 0);
    drop(locked);
    // Relaxed: who sets it looks after the ring itself, under the lock (`descriptors::watched`).
    if ring.watched.load(Relaxed) {
        driver::tend_watchers_of(ring);
    }
    match waited {
        Err(e) if submitted == 0 => Err(e),
        _ => Ok(submitted as usize),
    }
}

impl Locked<'_> {
    /// The application has come, as the flag asked it to; but not for the flag's sake if it submits.
    fn forget_taskrun(&mut self, asked: bool) {
        self.asked = asked;
        self.announced = false;
        self.announce_at = None;
        use sysring_sys::abi::io_uring::sq_flags::TASKRUN;
        // Relaxed: set and cleared under the lock; to the application it is a hint.
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
        sqpoll::wait_for_room(ring, caller);
    }
    if flags & enter::GETEVENTS != 0 {
        let locked = ring.lock_as_submitter();
        let waited = parse(&locked, flags, min_complete, arg, argsz).and_then(|how| {
            let (locked, waited) = wait(locked, how, caller);
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
    if !ring.shape().has(setup::SINGLE_ISSUER) {
        return Ok(());
    }
    let me = call::gettid() as u32;
    // Relaxed: who is the one is all that is asked.
    match ring.submitter().compare_exchange(0, me, Relaxed, Relaxed) {
        Ok(_) => Ok(()),
        Err(other) if other == me => Ok(()),
        Err(_) => Err(Errno::EEXIST),
    }
}

/// The ring behind a descriptor, or an index into the registered ones.
pub fn ring_of(fd: u32, registered: bool) -> Result<Visit> {
    if registered {
        return register::ring_fds::get(fd);
    }
    let fd = Fd::new(fd as i32);
    match descriptors::find_to_visit(fd) {
        Some(visit) => Ok(visit),
        None if descriptors::is_internal(fd) => Err(Errno::EBADF),
        None => call::fcntl(fd, g::F_GETFD, 0).and(Err(Errno::EOPNOTSUPP)),
    }
}

/// The extended argument, if there is one.
fn extended(flags: u32, arg: User<u8>, argsz: usize) -> Result<Option<GeteventsArg>> {
    if flags & enter::EXT_ARG == 0 {
        return Ok(None);
    }
    // What polls in `enter` knows nothing of registered arguments.
    if argsz != size_of::<GeteventsArg>() || flags & enter::EXT_ARG_REG != 0 {
        return Err(Errno::EINVAL);
    }
    user::read(arg.cast::<GeteventsArg>()).map(Some)
}

/// The same from registered memory, where `arg` is an offset; the time has been read with it.
fn registered(locked: &Locked<'_>, arg: User<u8>, argsz: usize) -> Result<Told> {
    if argsz != size_of::<RegWait>() {
        return Err(Errno::EINVAL);
    }
    let told = locked.registered_wait(arg.address())?;
    if told.flags & !REG_WAIT_TS != 0 {
        return Err(Errno::EINVAL);
    }
    let time = Timespec { tv_sec: told.tv_sec, tv_nsec: told.tv_nsec };
    Ok(Told {
        sigmask: (User::new(told.sigmask), told.sigmask_sz as usize),
        time: (told.flags & REG_WAIT_TS != 0).then_some(time),
        min_wait_usec: told.min_wait_usec,
    })
}

/// What a wait was told, wherever that stood.
struct Told {
    sigmask: (User<SigSet>, usize),
    time: Option<Timespec>,
    min_wait_usec: u32,
}

/// What a wait was told.
fn parse(
    locked: &Locked<'_>,
    flags: u32,
    min_complete: u32,
    arg: User<u8>,
    argsz: usize,
) -> Result<Wait> {
    let mut how = Wait { min_complete, ..Wait::default() };
    let told =
        if flags & (enter::EXT_ARG | enter::EXT_ARG_REG) == enter::EXT_ARG | enter::EXT_ARG_REG {
            registered(locked, arg, argsz)?
        } else if let Some(ext) = extended(flags, arg, argsz)? {
            let time = User::<Timespec>::new(ext.ts);
            Told {
                sigmask: (User::new(ext.sigmask), ext.sigmask_sz as usize),
                time: if time.is_null() { None } else { Some(user::read(time)?) },
                min_wait_usec: ext.min_wait_usec,
            }
        } else {
            how.sigmask = (arg.cast(), argsz);
            return Ok(how);
        };
    how.sigmask = told.sigmask;
    let now = call::now(call::CLOCK_MONOTONIC);
    if let Some(ts) = told.time {
        let time = nanoseconds(&ts);
        how.deadline = if flags & enter::ABS_TIMER == 0 {
            end_of_wait(now, time)
        } else {
            // What another clock says is turned into what ours will say then.
            let clock = call::now(locked.ring.clock.load(Relaxed));
            comes(time).map(|at| now.saturating_add(at.saturating_sub(clock)))
        };
    }
    if told.min_wait_usec != 0 {
        let at_least = now.saturating_add(i64::from(told.min_wait_usec) * 1000);
        how.min_deadline = Some(at_least);
        // The first stage runs its time even where the whole was to be shorter; and is the whole where
        // nothing else ends it.
        how.deadline = Some(how.deadline.map_or(at_least, |deadline| deadline.max(at_least)));
    }
    Ok(how)
}
