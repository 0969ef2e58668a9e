//! What a ring is restricted to, and what all rings to come are.

use sysring_sys::abi::io_uring::{TaskRestriction, setup};
use sysring_sys::{Errno, Result, User, call};

use crate::restrict::Restrictions;
use crate::ring::{Locked, Ring};
use crate::sync::Mutex;
use crate::user;

/// Those that rings made from now on begin with. The kernel keeps them with a task, and what it
/// starts; here they are the process's.
static TASK: Mutex<Option<Restrictions>> = Mutex::new(None);

/// Remembered until the ring is enabled.
pub fn register(ring: &mut Locked<'_>, arg: User<u8>, nr_args: u32) -> Result<usize> {
    if !ring.ring.shape.has(setup::R_DISABLED) || !ring.ring.is_disabled() {
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
    if !call::has_no_new_privs() && !call::is_admin() {
        return Err(Errno::EACCES);
    }
    if nr_args != 1 {
        return Err(Errno::EINVAL);
    }
    let head = user::read(arg.cast::<TaskRestriction>())?;
    if head.flags != 0 || head.resv != [0; 3] {
        return Err(Errno::EINVAL);
    }
    let list = arg.add(size_of::<TaskRestriction>()).cast();
    *task = Some(Restrictions::read(list, head.nr_res.into())?);
    Ok(0)
}

/// Restricts a ring that is being made, as far as its task is.
pub fn begin(ring: &Ring) {
    if let Some(restrictions) = *TASK.lock() {
        ring.lock().restrict(restrictions);
    }
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
