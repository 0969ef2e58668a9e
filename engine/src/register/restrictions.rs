//! What a ring is restricted to, and what all rings to come are.

use sysring_sys::abi::io_uring::{TaskRestriction, setup};
use sysring_sys::{Errno, Result, User, call};

use super::bpf_filter;
use crate::filter::Filters;
use crate::locked::Locked;
use crate::restrict::Restrictions;
use crate::ring::Ring;
use crate::sync::Mutex;
use crate::user;

/// Those that rings made from now on begin with. The kernel keeps them with a task, and what it
/// starts; here they are the process's.
static TASK: Mutex<Option<Task>> = Mutex::new(None);

/// What is set for a task.
struct Task {
    restrictions: Restrictions,
    filters: Filters,
}

/// As for a filter of system calls: nobody can be made to fail with privileges that he gains.
fn may_restrict_task() -> Result<()> {
    if call::has_no_new_privs() || call::is_admin() { Ok(()) } else { Err(Errno::EACCES) }
}

/// Remembered until the ring is enabled.
pub fn register(ring: &mut Locked<'_>, arg: User<u8>, nr_args: u32) -> Result<usize> {
    if !ring.ring.shape().has(setup::R_DISABLED) || !ring.ring.is_disabled() {
        return Err(Errno::EBADFD);
    }
    if ring.restrictions_to_be.is_some() {
        return Err(Errno::EBUSY);
    }
    ring.restrictions_to_be = Some(Restrictions::read(arg.cast(), nr_args)?);
    Ok(0)
}

/// For the rings that the task makes from here on; what is set cannot be taken back.
pub fn of_task(arg: User<u8>, nr_args: u32) -> Result<usize> {
    let mut task = TASK.lock();
    if task.is_some() {
        return Err(Errno::EPERM);
    }
    may_restrict_task()?;
    if nr_args != 1 {
        return Err(Errno::EINVAL);
    }
    let head = user::read(arg.cast::<TaskRestriction>())?;
    if head.flags != 0 || head.resv != [0; 3] {
        return Err(Errno::EINVAL);
    }
    let list = arg.add(size_of::<TaskRestriction>()).cast();
    let restrictions = Restrictions::read(list, head.nr_res.into())?;
    *task = Some(Task { restrictions, filters: Filters::NONE });
    Ok(0)
}

/// A filter for the rings that the task makes from here on, in front of those there are.
pub fn filter_of_task(arg: User<u8>, nr_args: u32) -> Result<usize> {
    may_restrict_task()?;
    if nr_args != 1 {
        return Err(Errno::EINVAL);
    }
    let mut task = TASK.lock();
    let mut fresh = Filters::NONE;
    bpf_filter::add(task.as_mut().map_or(&mut fresh, |task| &mut task.filters), arg.cast())?;
    if task.is_none() {
        *task = Some(Task { restrictions: Restrictions::default(), filters: fresh });
    }
    Ok(0)
}

/// Restricts a ring that is being made, as far as its task is.
///
/// # Errors
/// `ENOMEM`.
pub fn begin(ring: &Ring) -> Result<()> {
    if let Some(task) = &*TASK.lock() {
        let mut locked = ring.lock();
        locked.filters = task.filters.share()?;
        locked.restrict(task.restrictions);
    }
    Ok(())
}

/// In a child of `fork`, which inherits the restrictions.
pub fn after_fork() {
    TASK.reset();
}

impl Locked<'_> {
    /// At `ENABLE_RINGS`: a ring that was restricted takes only what it was told of, of either kind.
    pub fn restrict_as_registered(&mut self) {
        if let Some(mut given) = self.restrictions_to_be {
            (given.names_calls, given.names_sqes) = (true, true);
            self.restrict(given);
        }
    }

    fn restrict(&mut self, restrictions: Restrictions) {
        if restrictions.names_calls {
            self.ring.restrict_calls(restrictions.calls());
        }
        if restrictions.names_sqes {
            self.restrictions = Some(restrictions);
        }
    }
}
