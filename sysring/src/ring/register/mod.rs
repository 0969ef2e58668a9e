//! What is registered with a ring, and asked of it: `io_uring_register(2)`.

mod buffer_ring;
mod buffers;
mod cancel;
mod files;
mod filter;
mod pool;
mod restrictions;
mod workers;

use core::fmt;
use core::ptr;

use sysring_door as door;
use sysring_sys::abi::io_uring::{ClockRegister, MemRegionReg, RegionDesc, register};
use sysring_sys::{Errno, User};

use super::handle::Handle;
use super::operations::Operations;
use super::wait::Waits;
use crate::op::{Descriptor, MsgRing};
use crate::task::NO_RING;

pub use buffer_ring::{Buffer, BufferRing, Bundle};
pub use cancel::SyncCancel;
pub use filter::{Field, Filter};
pub use pool::{BufferPool, PoolBuffer};
pub use restrictions::Restrictions;

/// What can be registered with a ring, and asked of it: [`Ring::register`](crate::Ring::register).
///
/// Every call is one of `io_uring_register(2)`, made at once. Besides those that it lists, each may
/// answer
/// - `EINVAL`: this kernel does not know it;
/// - `EEXIST`: the ring is [for one thread](crate::Builder::single_issuer), and this is another;
/// - `EACCES`: the ring's restrictions forbid it;
/// - `ENOMEM`: out of memory, or more than `RLIMIT_MEMLOCK` allows to pin.
#[derive(Clone, Copy)]
pub struct Register<'a> {
    handle: &'a Handle,
}

impl<'a> Register<'a> {
    pub(super) fn new(handle: &'a Handle) -> Register<'a> {
        Register { handle }
    }

    /// Calls with one structure, which the other side may write to.
    fn one<T>(&self, opcode: u32, argument: &mut T, count: u32) -> Result<u32, Errno> {
        self.handle.register(opcode, User::of(ptr::from_mut(argument)).cast(), count)
    }

    /// Calls with an array.
    fn array<T>(&self, opcode: u32, array: &[T]) -> Result<u32, Errno> {
        self.handle.register(opcode, User::of(array.as_ptr()).cast(), count(array.len())?)
    }

    /// Calls with nothing.
    fn bare(&self, opcode: u32) -> Result<(), Errno> {
        self.handle.register(opcode, User::NULL, 0).map(drop)
    }

    /// Any call of `io_uring_register(2)`, for what this crate has no words for.
    ///
    /// # Safety
    /// The argument must be what the call takes, and what it lends must stay as long as the call says.
    ///
    /// # Errors
    /// Those of the call.
    pub unsafe fn raw(&self, opcode: u32, argument: *mut u8, count: u32) -> Result<u32, Errno> {
        self.handle.register(opcode, User::of(argument), count)
    }

    /// The operations that the ring knows (`IORING_REGISTER_PROBE`, Linux 5.6).
    ///
    /// # Errors
    /// `EINVAL` before Linux 5.6.
    pub fn operations(&self) -> Result<Operations, Errno> {
        Operations::of(self.handle)
    }

    /// The ring begins to work, if it was made [disabled](crate::Builder::disabled)
    /// (`IORING_REGISTER_ENABLE_RINGS`, Linux 5.10).
    ///
    /// # Errors
    /// `EBADFD`: it is not disabled.
    pub fn enable(&self) -> Result<(), Errno> {
        self.bare(register::ENABLE_RINGS)
    }

    /// This eventfd is written to for each completion (`IORING_REGISTER_EVENTFD`, Linux 5.2).
    ///
    /// # Errors
    /// - `EBUSY`: there is one already.
    /// - `EBADF`: not open; `EINVAL`: not an eventfd.
    pub fn eventfd(&self, eventfd: impl Descriptor) -> Result<(), Errno> {
        self.one(register::EVENTFD, &mut eventfd.number(), 1).map(drop)
    }

    /// The same, but only for completions that do not come with the submission
    /// (`IORING_REGISTER_EVENTFD_ASYNC`, Linux 5.6).
    ///
    /// # Errors
    /// As [`eventfd`](Register::eventfd).
    pub fn eventfd_async(&self, eventfd: impl Descriptor) -> Result<(), Errno> {
        self.one(register::EVENTFD_ASYNC, &mut eventfd.number(), 1).map(drop)
    }

    /// Takes the eventfd back (`IORING_UNREGISTER_EVENTFD`, Linux 5.2).
    ///
    /// # Errors
    /// `ENXIO`: there is none.
    pub fn unregister_eventfd(&self) -> Result<(), Errno> {
        self.bare(register::UNREGISTER_EVENTFD)
    }

    /// Keeps the credentials of this thread, for operations to be [done
    /// with](crate::Sqe::personality) (`IORING_REGISTER_PERSONALITY`, Linux 5.6); their id.
    ///
    /// # Errors
    /// `EBUSY`: there are 65,535 of them.
    pub fn personality(&self) -> Result<u16, Errno> {
        self.handle.register(register::PERSONALITY, User::NULL, 0).map(|id| id as u16)
    }

    /// Forgets credentials (`IORING_UNREGISTER_PERSONALITY`, Linux 5.6).
    ///
    /// # Errors
    /// `EINVAL`: there are none of this id.
    pub fn unregister_personality(&self, id: u16) -> Result<(), Errno> {
        let (opcode, id) = (register::UNREGISTER_PERSONALITY, u32::from(id));
        self.handle.register(opcode, User::NULL, id).map(drop)
    }

    /// Memory for so many [waits](Waits), which the ring reads by itself
    /// (`IORING_REGISTER_MEM_REGION`, Linux 6.13). The ring must have been made
    /// [disabled](crate::Builder::disabled), and not be enabled yet.
    ///
    /// # Errors
    /// - `EINVAL`: none, or the ring is enabled.
    /// - `EBUSY`: it has such memory.
    pub fn waits(&self, count: u32) -> Result<Waits, Errno> {
        Waits::new(self.handle, count)
    }

    /// Shares memory with the ring that the program describes itself
    /// (`IORING_REGISTER_MEM_REGION`, Linux 6.13): its own, or the ring's, to be mapped at the offset
    /// that is told. `flags` says what for (`IORING_MEM_REGION_*`).
    ///
    /// # Safety
    /// Memory of the program's must stay mapped until the ring is dropped.
    ///
    /// # Errors
    /// - `EBUSY`: there is such memory.
    /// - `EFAULT`: the memory is not the program's.
    /// - `EINVAL`: sizes or addresses that are no multiples of a page; or arguments of waits, and the
    ///   ring is enabled.
    pub unsafe fn region(&self, region: &mut RegionDesc, flags: u64) -> Result<(), Errno> {
        let region_uptr = ptr::from_mut(region) as u64;
        let mut argument = MemRegionReg { region_uptr, flags, ..MemRegionReg::default() };
        self.one(register::MEM_REGION, &mut argument, 1).map(drop)
    }

    /// Posts a completion with this result and user data to the ring, as
    /// [`op::MsgRing`](crate::op::MsgRing) does from another: for threads that have no ring, to wake
    /// the one that waits in this (`IORING_REGISTER_SEND_MSG_RING`, Linux 6.13).
    ///
    /// # Errors
    /// - `EINVAL` before Linux 6.13.
    /// - `EBADFD`: the ring is still [disabled](crate::Builder::disabled).
    /// - `EOVERFLOW`: its completion queue is full.
    pub fn post(&self, result: i32, user_data: u64) -> Result<(), Errno> {
        let mut entry = *MsgRing::new(self.handle.fd, result, user_data).build().raw();
        let address = User::of(&raw mut entry).cast();
        door::register(self.handle.serves, NO_RING, register::SEND_MSG_RING, address, 1).map(drop)
    }

    /// The clock by which the ring's waits are timed: `CLOCK_MONOTONIC`, which it is from the
    /// beginning, or `CLOCK_BOOTTIME` (`IORING_REGISTER_CLOCK`, Linux 6.12).
    ///
    /// # Errors
    /// `EINVAL`: another clock.
    pub fn clock(&self, clock: u32) -> Result<(), Errno> {
        let mut argument = ClockRegister { clockid: clock, ..ClockRegister::default() };
        self.one(register::CLOCK, &mut argument, 0).map(drop)
    }
}

/// A length as the call takes it.
fn count(len: usize) -> Result<u32, Errno> {
    u32::try_from(len).map_err(|_| Errno::EINVAL)
}

impl fmt::Debug for Register<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Register").field("fd", &self.handle.fd).finish_non_exhaustive()
    }
}
