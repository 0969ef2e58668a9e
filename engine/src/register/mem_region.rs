//! A region of memory that the ring and the application share, for the arguments of waits.

use sysring_sys::abi::io_uring::{
    MEM_REGION_REG_WAIT_ARG, MEM_REGION_TYPE_USER, MemRegionReg, OFF_PARAM_REGION, RegWait,
    RegionDesc,
};
use sysring_sys::{Errno, Result, User};

use crate::locked::Locked;
use crate::memory::PAGE;
use crate::region::Region;
use crate::user;

/// More than this the kernel would not find in memory either, and of more lent memory not even the
/// list of its pages.
const LARGEST: u64 = 1 << 32;
const LARGEST_LENT: u64 = 1 << 40;

/// The region of a ring.
#[derive(Debug)]
pub struct Params {
    region: Region,
    /// It was lent: the application has it already, and it is not to be mapped.
    lent: bool,
    /// Arguments of waits are read from it.
    waits: bool,
}

impl Params {
    /// For an application that maps it.
    #[must_use]
    pub fn mappable(&self) -> Option<&Region> {
        (!self.lent).then_some(&self.region)
    }

    fn read_wait(&self, offset: u64) -> Result<RegWait> {
        let end = offset.checked_add(size_of::<RegWait>() as u64).ok_or(Errno::EFAULT)?;
        if !self.waits || end > self.region.size() as u64 {
            return Err(Errno::EFAULT);
        }
        // SAFETY: inside the region, which stays mapped; the application may write to it at any
        // time, and whatever is read is only numbers. A multiple of 8 (the caller checked) into
        // whole pages is aligned.
        Ok(unsafe { self.region.start().add(offset as usize).cast::<RegWait>().read_volatile() })
    }
}

pub fn register(ring: &mut Locked<'_>, arg: User<u8>, nr_args: u32) -> Result<usize> {
    if arg.is_null() || nr_args != 1 {
        return Err(Errno::EINVAL);
    }
    if ring.params.is_some() {
        return Err(Errno::EBUSY);
    }
    let given = user::read(arg.cast::<MemRegionReg>())?;
    let at = User::<RegionDesc>::new(given.region_uptr);
    let mut desc = user::read(at)?;
    let waits = given.flags & MEM_REGION_REG_WAIT_ARG != 0;
    if given.resv != [0; 2]
        || given.flags & !MEM_REGION_REG_WAIT_ARG != 0
        || waits && !ring.ring.is_disabled()
    {
        return Err(Errno::EINVAL);
    }
    let lent = check(&desc)?;
    let region = match lent {
        true => Region::lent(User::new(desc.user_addr), desc.size as usize)?,
        false => Region::to_map(desc.size as usize, OFF_PARAM_REGION)?,
    };
    if !lent {
        desc.mmap_offset = OFF_PARAM_REGION;
    }
    user::write(at, &desc)?;
    let memory = region.file_to_map();
    ring.params = Some(Params { region, lent, waits });
    ring.open_window(memory);
    Ok(0)
}

/// Whether the region described is the application's memory.
fn check(desc: &RegionDesc) -> Result<bool> {
    if desc.resv != [0; 4] || desc.flags & !MEM_REGION_TYPE_USER != 0 {
        return Err(Errno::EINVAL);
    }
    let lent = desc.flags & MEM_REGION_TYPE_USER != 0;
    if lent != (desc.user_addr != 0) {
        return Err(Errno::EFAULT);
    }
    if desc.size == 0 || desc.mmap_offset != 0 || desc.id != 0 {
        return Err(Errno::EINVAL);
    }
    if desc.size / PAGE as u64 > i32::MAX as u64 {
        return Err(Errno::E2BIG);
    }
    if !(desc.user_addr | desc.size).is_multiple_of(PAGE as u64) {
        return Err(Errno::EINVAL);
    }
    desc.user_addr.checked_add(desc.size).ok_or(Errno::EOVERFLOW)?;
    let largest = if lent { LARGEST_LENT } else { LARGEST };
    if desc.size >= largest { Err(Errno::ENOMEM) } else { Ok(lent) }
}

impl Locked<'_> {
    /// What a wait is told at an offset into the region.
    ///
    /// # Errors
    /// `EFAULT`: nothing of the kind lies there.
    pub fn registered_wait(&self, offset: u64) -> Result<RegWait> {
        if !offset.is_multiple_of(8) {
            return Err(Errno::EFAULT);
        }
        self.params.as_ref().ok_or(Errno::EFAULT)?.read_wait(offset)
    }
}
