//! Worker threads, and polling of network devices.

use core::ptr;

use sysring_sys::abi::io_uring::{Napi, napi, register};
use sysring_sys::{Errno, User};

use super::{Register, count};

/// Worker threads.
impl Register<'_> {
    /// Limits the worker threads: of those that do what ends in time (files), and of those that may
    /// wait for long (sockets, pipes). 0 leaves a limit as it is
    /// (`IORING_REGISTER_IOWQ_MAX_WORKERS`, Linux 5.15). The limits as they were.
    ///
    /// # Errors
    /// `EINVAL`: more than there can be, or before Linux 5.15.
    pub fn max_workers(&self, bounded: u32, unbounded: u32) -> Result<[u32; 2], Errno> {
        let mut limits = [bounded, unbounded];
        self.one(register::IOWQ_MAX_WORKERS, &mut limits, 2)?;
        Ok(limits)
    }

    /// Worker threads run on these processors only: a bit for each, from the lowest of the first
    /// byte (`IORING_REGISTER_IOWQ_AFF`, Linux 5.14).
    ///
    /// # Errors
    /// `EINVAL`: the ring has no workers.
    pub fn worker_cpus(&self, cpus: &[u8]) -> Result<(), Errno> {
        let set = User::of(cpus.as_ptr());
        self.handle.register(register::IOWQ_AFF, set, count(cpus.len())?).map(drop)
    }

    /// Worker threads run on any processor again (`IORING_UNREGISTER_IOWQ_AFF`, Linux 5.14).
    ///
    /// # Errors
    /// `EINVAL`: the ring has no workers.
    pub fn any_worker_cpus(&self) -> Result<(), Errno> {
        self.bare(register::UNREGISTER_IOWQ_AFF)
    }

    /// Who waits polls the network devices of the sockets in use, for so many microseconds
    /// (`IORING_REGISTER_NAPI`, Linux 6.9). With `prefer`, the devices leave it to that. The settings
    /// as they were: the time, and the preference.
    ///
    /// # Errors
    /// `EINVAL`: the kernel has no busy polling, or the ring [polls](crate::Builder::iopoll).
    pub fn busy_poll(&self, microseconds: u32, prefer: bool) -> Result<(u32, bool), Errno> {
        self.set_busy_poll(microseconds, prefer, napi::TRACKING_DYNAMIC)
    }

    /// The same, of those network devices alone that are [added](Register::add_busy_poll) (Linux
    /// 6.13).
    ///
    /// # Errors
    /// As [`busy_poll`](Register::busy_poll).
    pub fn busy_poll_added(&self, microseconds: u32, prefer: bool) -> Result<(u32, bool), Errno> {
        self.set_busy_poll(microseconds, prefer, napi::TRACKING_STATIC)
    }

    fn set_busy_poll(
        &self,
        microseconds: u32,
        prefer: bool,
        tracking: u32,
    ) -> Result<(u32, bool), Errno> {
        let mut argument = Napi {
            busy_poll_to: microseconds,
            prefer_busy_poll: prefer.into(),
            opcode: napi::REGISTER_OP,
            op_param: tracking,
            ..Napi::default()
        };
        self.one(register::NAPI, &mut argument, 1)?;
        Ok((argument.busy_poll_to, argument.prefer_busy_poll != 0))
    }

    /// Who waits polls this queue of a network device, too, by its id (`SO_INCOMING_NAPI_ID` of a
    /// socket), after [`busy_poll_added`](Register::busy_poll_added) (`IORING_REGISTER_NAPI`, Linux
    /// 6.13).
    ///
    /// # Errors
    /// - `EINVAL`: no such id can be, or queues are not added here.
    /// - `EEXIST`: it was added before.
    pub fn add_busy_poll(&self, id: u32) -> Result<(), Errno> {
        self.change_busy_poll(napi::STATIC_ADD_ID, id)
    }

    /// Who waits does not poll this queue any more.
    ///
    /// # Errors
    /// - `EINVAL`: no such id can be, or queues are not added here.
    /// - `ENOENT`: it was not added.
    pub fn remove_busy_poll(&self, id: u32) -> Result<(), Errno> {
        self.change_busy_poll(napi::STATIC_DEL_ID, id)
    }

    fn change_busy_poll(&self, opcode: u8, id: u32) -> Result<(), Errno> {
        let mut argument = Napi { opcode, op_param: id, ..Napi::default() };
        self.one(register::NAPI, &mut argument, 1).map(drop)
    }

    /// Nobody polls network devices any more (`IORING_UNREGISTER_NAPI`, Linux 6.9).
    ///
    /// # Errors
    /// As [`busy_poll`](Register::busy_poll).
    pub fn unregister_busy_poll(&self) -> Result<(), Errno> {
        let mut argument = Napi::default();
        let address = User::of(ptr::from_mut(&mut argument)).cast();
        self.handle.register(register::UNREGISTER_NAPI, address, 1).map(drop)
    }
}
