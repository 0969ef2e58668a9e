//! Waiting for completions.

use core::ffi::c_int;
use core::ptr;

use sysring_sys::abi::Timespec;
use sysring_sys::abi::io_uring::{Cqe, GeteventsArg, enter, feat, op};
use sysring_sys::abi::signal::{SIGSET_SIZE, SigSet};
use sysring_sys::{Errno, Result, User};

use crate::door::fold;
use crate::ring::IoUring;
use crate::submit::{io_uring_get_sqe, io_uring_submit};

/// Marks the timeouts that the library itself sends where `enter` takes none.
pub const TIMEOUT_MARK: u64 = !0;

/// The size of an entry of a registered wait region.
const REGISTERED_WAIT: usize = 64;

/// How `enter` is told to wait.
struct Wait {
    submit: u32,
    count: u32,
    flags: u32,
    arg: User<u8>,
    size: usize,
    /// A time limit is among it: one `enter` is all, and coming back empty is `ETIME`.
    limited: bool,
}

impl Wait {
    fn plain(submit: u32, count: u32, sigmask: *const SigSet) -> Wait {
        let arg = User::of(sigmask.cast());
        Wait { submit, count, flags: 0, arg, size: SIGSET_SIZE, limited: false }
    }

    fn with(submit: u32, count: u32, arg: &GeteventsArg) -> Wait {
        Wait {
            submit,
            count,
            flags: enter::EXT_ARG,
            arg: User::of(ptr::from_ref(arg).cast()),
            size: size_of::<GeteventsArg>(),
            limited: arg.ts != 0,
        }
    }
}

fn argument(ts: *const Timespec, min_usec: u32, sigmask: *const SigSet) -> GeteventsArg {
    GeteventsArg {
        sigmask: sigmask as u64,
        sigmask_sz: SIGSET_SIZE as u32,
        min_wait_usec: min_usec,
        ts: ts as u64,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn __io_uring_get_cqe(
    ring: &IoUring,
    cqe: &mut *mut Cqe,
    submit: u32,
    wait_nr: u32,
    sigmask: *const SigSet,
) -> c_int {
    ring.wait(cqe, Wait::plain(submit, wait_nr, sigmask))
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_wait_cqes(
    ring: &IoUring,
    cqe: &mut *mut Cqe,
    wait_nr: u32,
    ts: *const Timespec,
    sigmask: *const SigSet,
) -> c_int {
    if !ts.is_null() && ring.can_wait_with_arguments() {
        return ring.wait(cqe, Wait::with(0, wait_nr, &argument(ts, 0, sigmask)));
    }
    let submit = match ring.with_timeout(wait_nr, ts) {
        Ok(submit) => submit.unwrap_or(0),
        Err(e) => return fold(Err(e)),
    };
    ring.wait(cqe, Wait::plain(submit, wait_nr, sigmask))
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_wait_cqes_min_timeout(
    ring: &IoUring,
    cqe: &mut *mut Cqe,
    wait_nr: u32,
    ts: *const Timespec,
    min_usec: u32,
    sigmask: *const SigSet,
) -> c_int {
    if !ring.can(feat::MIN_TIMEOUT) {
        return fold(Err(Errno::EINVAL));
    }
    ring.wait(cqe, Wait::with(0, wait_nr, &argument(ts, min_usec, sigmask)))
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_wait_cqe_timeout(
    ring: &IoUring,
    cqe: &mut *mut Cqe,
    ts: *const Timespec,
) -> c_int {
    io_uring_wait_cqes(ring, cqe, 1, ts, ptr::null())
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_submit_and_wait_timeout(
    ring: &IoUring,
    cqe: &mut *mut Cqe,
    wait_nr: u32,
    ts: *const Timespec,
    sigmask: *const SigSet,
) -> c_int {
    if !ts.is_null() && ring.can_wait_with_arguments() {
        return ring.wait(cqe, Wait::with(ring.flush(), wait_nr, &argument(ts, 0, sigmask)));
    }
    let submit = match ring.with_timeout(wait_nr, ts) {
        Ok(submit) => submit.unwrap_or_else(|| ring.flush()),
        Err(e) => return fold(Err(e)),
    };
    ring.wait(cqe, Wait::plain(submit, wait_nr, sigmask))
}

#[unsafe(no_mangle)]
pub extern "C" fn io_uring_submit_and_wait_min_timeout(
    ring: &IoUring,
    cqe: &mut *mut Cqe,
    wait_nr: u32,
    ts: *const Timespec,
    min_usec: u32,
    sigmask: *const SigSet,
) -> c_int {
    if !ring.can(feat::MIN_TIMEOUT) {
        return fold(Err(Errno::EINVAL));
    }
    if ts.is_null() {
        // Without a limit there is no least time either.
        return ring.wait(cqe, Wait::plain(ring.flush(), wait_nr, sigmask));
    }
    ring.wait(cqe, Wait::with(ring.flush(), wait_nr, &argument(ts, min_usec, sigmask)))
}

/// As above, with what an entry of the registered region says.
#[unsafe(no_mangle)]
pub extern "C" fn io_uring_submit_and_wait_reg(
    ring: &IoUring,
    cqe: &mut *mut Cqe,
    wait_nr: u32,
    index: c_int,
) -> c_int {
    if !ring.can_wait_with_arguments() {
        return fold(Err(Errno::EINVAL));
    }
    let offset = (index as isize as usize).wrapping_mul(REGISTERED_WAIT);
    ring.wait(
        cqe,
        Wait {
            submit: ring.flush(),
            count: wait_nr,
            flags: enter::EXT_ARG | enter::EXT_ARG_REG,
            arg: User::new(offset as u64),
            size: REGISTERED_WAIT,
            // Most have one, and coming back empty does not tell which.
            limited: true,
        },
    )
}

impl IoUring {
    /// Takes the first completion's address; none where there is nothing to wait for.
    ///
    /// The answer is how many entries the first `enter` took, or what went wrong.
    fn wait(&self, found: &mut *mut Cqe, mut wait: Wait) -> c_int {
        let mut answer = 0;
        let mut entered = false;
        *found = loop {
            let cqe = match self.peek() {
                Ok(cqe) => cqe,
                Err(e) => {
                    answer = fold(Err(e));
                    break ptr::null_mut();
                }
            };
            let mut flags = 0;
            let mut needed = false;
            if cqe.is_null() && wait.count == 0 && wait.submit == 0 {
                // Nothing is asked for but to look: completions that are kept back come at most.
                if entered || !self.cq_needs_enter() {
                    if answer == 0 {
                        answer = fold(Err(Errno::EAGAIN));
                    }
                    break cqe;
                }
                needed = true;
            }
            // Completions may come at any moment: one that was not found does not count.
            let ready = if cqe.is_null() { 0 } else { self.cq_ready() };
            if needed || wait.count > ready {
                flags |= enter::GETEVENTS | wait.flags;
                needed = true;
            }
            needed |= self.sq_needs_enter(wait.submit, &mut flags);
            if !needed {
                break cqe;
            }
            if entered && wait.limited {
                if cqe.is_null() && answer == 0 {
                    answer = fold(Err(Errno::ETIME));
                }
                break cqe;
            }
            match self.enter_with(wait.submit, wait.count, flags, wait.arg, wait.size) {
                Ok(taken) => {
                    wait.submit -= (taken as u32).min(wait.submit);
                    if !cqe.is_null() {
                        break cqe;
                    }
                    if !entered {
                        answer = taken as c_int;
                    }
                    entered = true;
                }
                Err(e) => {
                    if answer == 0 {
                        answer = fold(Err(e));
                    }
                    break cqe;
                }
            }
        };
        answer
    }

    /// Where `enter` takes no time limit, a timeout among the requests serves as one; how many
    /// entries are to be submitted then. `None`: there is no limit.
    fn with_timeout(&self, wait_nr: u32, ts: *const Timespec) -> Result<Option<u32>> {
        if ts.is_null() {
            return Ok(None);
        }
        let mut sqe = io_uring_get_sqe(self);
        if sqe.is_null() {
            let submitted = io_uring_submit(self);
            if let Some(e) = Errno::from_raw(-submitted) {
                return Err(e);
            }
            sqe = io_uring_get_sqe(self);
        }
        // SAFETY: an entry of the queue that nobody else has.
        let sqe = unsafe { sqe.as_mut() }.ok_or(Errno::EAGAIN)?;
        sqe.opcode = op::TIMEOUT;
        sqe.fd = -1;
        sqe.addr = ts as u64;
        sqe.len = 1;
        sqe.off = u64::from(wait_nr);
        sqe.user_data = TIMEOUT_MARK;
        Ok(Some(self.flush()))
    }
}
