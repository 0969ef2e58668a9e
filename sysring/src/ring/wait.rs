//! How long to wait for completions.

use core::fmt;
use core::ptr::NonNull;
use core::time::Duration;

use sysring_sys::abi::io_uring::{
    GeteventsArg, MEM_REGION_REG_WAIT_ARG, MemRegionReg, OFF_PARAM_REGION, REG_WAIT_TS, RegWait,
    RegionDesc, enter, register,
};
use sysring_sys::abi::signal::{SIGSET_SIZE, SigSet};
use sysring_sys::{Errno, User};

use super::handle::Handle;
use super::memory::Mapping;
use super::time::Timespec;

/// What [`Ring::submit_with`](crate::Ring::submit_with) waits for.
///
/// ```
/// # use core::time::Duration;
/// # use sysring::{Ring, Wait, op};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut ring = Ring::new(8)?;
/// // SAFETY: a NOP uses no memory.
/// unsafe { ring.push(op::Nop::new().build())? };
/// let wait = Wait::at_least(1).timeout(Duration::from_secs(1));
/// assert_eq!(ring.submit_with(&wait)?, 1);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Wait {
    count: u32,
    timeout: Option<Timespec>,
    min_wait: u32,
    sigmask: Option<SigSet>,
    flags: u32,
}

impl Wait {
    /// Until so many completions lie in the queue.
    pub const fn at_least(count: u32) -> Wait {
        Wait { count, timeout: None, min_wait: 0, sigmask: None, flags: 0 }
    }

    /// For so long at most (Linux 5.11).
    pub fn timeout(mut self, span: Duration) -> Wait {
        self.timeout = Some(span.into());
        self
    }

    /// Until this time of the monotonic clock at most (`IORING_ENTER_ABS_TIMER`, Linux 6.12), or of
    /// the clock that was chosen by [`Register::clock`](crate::Register::clock).
    pub fn until(mut self, time: Timespec) -> Wait {
        self.timeout = Some(time);
        self.flags |= enter::ABS_TIMER;
        self
    }

    /// So long for all of the completions; after that, one is enough (Linux 6.12). It is counted in
    /// microseconds.
    pub fn min_wait(mut self, span: Duration) -> Wait {
        self.min_wait = u32::try_from(span.as_micros()).unwrap_or(u32::MAX);
        self
    }

    /// With this signal mask in force meanwhile, as `ppoll(2)` does.
    pub fn sigmask(mut self, mask: SigSet) -> Wait {
        self.sigmask = Some(mask);
        self
    }

    /// The time asleep is not accounted as waiting for I/O (`IORING_ENTER_NO_IOWAIT`, Linux 6.15).
    pub fn no_iowait(mut self) -> Wait {
        self.flags |= enter::NO_IOWAIT;
        self
    }

    /// Calls `enter` with what the system call wants: how many, flags, argument, and its size.
    pub(super) fn with<R>(&self, call: impl FnOnce(u32, u32, User<u8>, usize) -> R) -> R {
        let flags = enter::GETEVENTS | self.flags;
        let mask = self.sigmask.as_ref().map_or(0, |mask| core::ptr::from_ref(mask) as u64);
        if self.timeout.is_none() && self.min_wait == 0 {
            return call(self.count, flags, User::new(mask), SIGSET_SIZE);
        }
        let argument = GeteventsArg {
            sigmask: mask,
            sigmask_sz: SIGSET_SIZE as u32,
            min_wait_usec: self.min_wait,
            ts: self.timeout.as_ref().map_or(0, |time| core::ptr::from_ref(time) as u64),
        };
        let address = User::of(&raw const argument).cast();
        call(self.count, flags | enter::EXT_ARG, address, size_of_val(&argument))
    }
}

/// Waits that are told through memory which the ring has, too: [`Register::waits`](crate::Register::waits).
///
/// What a wait is to be is written down once ([`set`](Waits::set)), and read from there each time
/// ([`Ring::submit_with_registered`](crate::Ring::submit_with_registered)): nothing is copied from the
/// program's memory.
///
/// ```
/// use core::time::Duration;
/// use sysring::{Errno, Ring, Wait};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut ring = Ring::builder().disabled().build(8)?;
/// let mut waits = match ring.register().waits(2) {
///     Ok(waits) => waits,
///     Err(Errno::EINVAL) => return Ok(()), // before Linux 6.13
///     Err(e) => return Err(e.into()),
/// };
/// ring.register().enable()?;
/// waits.set(0, &Wait::at_least(1).timeout(Duration::from_millis(1)));
/// assert_eq!(ring.submit_with_registered(&waits, 0), Err(Errno::ETIME));
/// # Ok(()) }
/// ```
pub struct Waits {
    memory: Mapping,
    count: u32,
    /// The ring, by [`Handle::id`].
    of: u64,
}

// SAFETY: the memory is the value's own; it is written to through `&mut`, and the other side only
// reads it.
unsafe impl Send for Waits {}
// SAFETY: written to through `&mut` alone; the other side only reads it.
unsafe impl Sync for Waits {}

/// What the structure of the kernel has no place for, behind all of those.
#[derive(Clone, Copy)]
#[repr(C)]
struct Rest {
    sigmask: SigSet,
    count: u32,
    flags: u32,
}

impl Waits {
    pub(super) fn new(ring: &Handle, count: u32) -> Result<Waits, Errno> {
        const EACH: usize = size_of::<RegWait>() + size_of::<Rest>();
        /// The size of a page, or a multiple.
        const PAGE: usize = if cfg!(target_arch = "x86_64") { 1 << 12 } else { 1 << 16 };
        if count == 0 {
            return Err(Errno::EINVAL);
        }
        let len = (count as usize).checked_mul(EACH).ok_or(Errno::ENOMEM)?;
        let len = len.checked_next_multiple_of(PAGE).ok_or(Errno::ENOMEM)?;
        let mut region = RegionDesc { size: len as u64, ..RegionDesc::default() };
        let mut argument = MemRegionReg {
            region_uptr: &raw mut region as u64,
            flags: MEM_REGION_REG_WAIT_ARG,
            ..MemRegionReg::default()
        };
        ring.register(register::MEM_REGION, User::of(&raw mut argument).cast(), 1)?;
        let memory = Mapping::new(ring.serves, ring.fd, len, OFF_PARAM_REGION)?;
        let mut waits = Waits { memory, count, of: ring.id };
        (0..count).for_each(|index| waits.set(index, &Wait::at_least(1)));
        Ok(waits)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Writes one down. Until then it is `Wait::at_least(1)`.
    ///
    /// # Panics
    /// If there are not as many.
    pub fn set(&mut self, index: u32, wait: &Wait) {
        let (told, rest) = self.at(index);
        let time = wait.timeout.unwrap_or(Timespec::new(0, 0));
        let has_mask = wait.sigmask.is_some();
        // SAFETY: in the memory, aligned, and borrowed alone; the address of the mask is in it, too.
        unsafe {
            rest.write(Rest {
                sigmask: wait.sigmask.unwrap_or_default(),
                count: wait.count,
                flags: wait.flags,
            });
            told.write(RegWait {
                tv_sec: time.seconds(),
                tv_nsec: time.nanoseconds().into(),
                min_wait_usec: wait.min_wait,
                flags: if wait.timeout.is_some() { REG_WAIT_TS } else { 0 },
                sigmask: if has_mask { (&raw const (*rest.as_ptr()).sigmask) as u64 } else { 0 },
                sigmask_sz: if has_mask { SIGSET_SIZE as u32 } else { 0 },
                ..RegWait::default()
            });
        }
    }

    fn at(&self, index: u32) -> (NonNull<RegWait>, NonNull<Rest>) {
        assert!(index < self.count, "wait {index} of {}", self.count);
        let (index, count) = (index as usize, self.count as usize);
        // SAFETY: the memory has so many of both.
        unsafe {
            let told = self.memory.at.cast::<RegWait>();
            (told.add(index), told.add(count).cast::<Rest>().add(index))
        }
    }

    /// Calls `enter` with what the system call wants, if they are of this ring.
    pub(super) fn with<R>(
        &self,
        index: u32,
        of: u64,
        call: impl FnOnce(u32, u32, User<u8>, usize) -> Result<R, Errno>,
    ) -> Result<R, Errno> {
        if self.of != of || index >= self.count {
            return Err(Errno::EINVAL);
        }
        // SAFETY: in the memory, aligned, and written before.
        let rest = unsafe { self.at(index).1.read() };
        let flags = enter::GETEVENTS | enter::EXT_ARG | enter::EXT_ARG_REG | rest.flags;
        let offset = index as usize * size_of::<RegWait>();
        call(rest.count, flags, User::new(offset as u64), size_of::<RegWait>())
    }
}

impl fmt::Debug for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waits").field("count", &self.count).finish_non_exhaustive()
    }
}
