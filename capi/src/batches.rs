//! Batches and chains.

use core::ffi::c_int;
use core::slice;

use sysring_engine::native::{Issued, Step};
use sysring_sys::{Errno, Result};

use crate::calls::{parts, status};
use crate::types::{sysring_call, sysring_calls, sysring_step};

const _: () = {
    assert!(size_of::<sysring_step>() == size_of::<Step>());
    assert!(align_of::<sysring_step>() == align_of::<Step>());
};

/// A call that is yet to be issued.
fn step(call: &sysring_call) -> Result<Step> {
    if !call.wanted.is_null() || !call.done.is_null() {
        return Err(Errno::EINVAL);
    }
    let (call, order) = parts(call)?;
    Ok(Step::new(call, order))
}

/// Makes a step of a call, of which it keeps all. 0, or -EINVAL: unknown flags, or attributes or `done`,
/// which steps have not.
///
/// # Safety
/// `step` may be written, and `call` is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysring_step_init(
    step: *mut sysring_step,
    call: *const sysring_call,
) -> c_int {
    // SAFETY: the caller's promise.
    let new = self::step(unsafe { &*call });
    // SAFETY: as above; the two structures have the same size.
    status(new.map(|new| unsafe { step.cast::<Step>().write(new) }))
}

/// In a chain: has the call work on the descriptor that an earlier step opens (0: the first), in place of
/// its own. If there is none it is not made, and its result is -ECANCELED; -EBADF if a step between the two
/// closes it; -EINVAL if that step opens nothing, or this call has no descriptor that docs/calls.md lists
/// as kept (close has none there, and may be used).
///
/// # Safety
/// `step` was made by `sysring_step_init`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysring_step_on(step: *mut sysring_step, earlier: u32) {
    // SAFETY: the caller's promise.
    let step = unsafe { &mut *step.cast::<Step>() };
    step.on = u16::try_from(earlier).unwrap_or(u16::MAX - 1).saturating_add(1);
}

/// What became of a step. 0: `*result` is what the call answered: a value, or a negated error number. 1:
/// it is pending, `*result` is its id. -ENODATA: it has not been issued. Or why it was not made, as of
/// sysring_issue().
///
/// # Safety
/// `step` was made by `sysring_step_init`, and is no part of a batch that another thread has under way;
/// `result` may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysring_step_result(step: *const sysring_step, result: *mut i64) -> c_int {
    // SAFETY: the caller's promise.
    let (state, value) = match unsafe { &*step.cast::<Step>() }.issued() {
        None => return Errno::ENODATA.to_res(),
        Some(Err(e)) => return e.to_res(),
        Some(Ok(Issued::Done(answer))) => (0, answer as i64),
        Some(Ok(Issued::Pending(id))) => (1, id as i64),
    };
    // SAFETY: as above.
    unsafe { result.write(value) };
    state
}

/// The engine's view of steps.
///
/// # Safety
/// There are so many, each made by `sysring_step_init`, and nobody else uses them.
unsafe fn steps<'a>(steps: *mut sysring_step, count: usize) -> &'a mut [Step] {
    if count == 0 {
        return &mut [];
    }
    // SAFETY: the caller's promise; the two structures are one.
    unsafe { slice::from_raw_parts_mut(steps.cast::<Step>(), count) }
}

/// Issues calls as sysring_issue() does, one after the other: those that block become pending together,
/// and wake workers once. Steps that were issued before are left alone. What became of each,
/// sysring_step_result() tells.
///
/// # Safety
/// `calls` is a context, and there are `count` steps; as of `sysring_issue`, of each.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysring_issue_all(
    calls: *const sysring_calls,
    steps: *mut sysring_step,
    count: usize,
) {
    // SAFETY: the caller's promise.
    unsafe { (*calls).0.issue_all(self::steps(steps, count)) }
}

/// Makes all calls, and returns when all are answered: by this thread, and by workers where that pays.
/// The steps are chains of `length` (1: no chains): those of one are made one after the other, whatever
/// the earlier ones answer, and several chains are under way at a time. 0, or, and none was made,
/// -EINVAL: more than 2^31 steps, or `length` does not divide them; -ENOMEM.
///
/// # Safety
/// As of `sysring_issue_all`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysring_run_all(
    calls: *const sysring_calls,
    steps: *mut sysring_step,
    count: usize,
    length: u32,
) -> c_int {
    // SAFETY: the caller's promise.
    status(unsafe { (*calls).0.run_all(self::steps(steps, count), length) })
}
