//! Restrictions: which operations, SQE flags and register calls a ring takes.
//!
//! They keep a program to what it meant to do. They are no wall against code in the same process,
//! which can reach every system call without a ring.

use sysring_sys::abi::io_uring::{Restriction, Sqe, op, register, restriction};
use sysring_sys::{Errno, Result, User};

use crate::user;

/// What is allowed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Restrictions {
    calls: u64,
    operations: u128,
    flags_allowed: u8,
    flags_required: u8,
    /// Which kinds were named at all.
    pub names_calls: bool,
    pub names_sqes: bool,
}

/// More than this cannot be said without repetition.
const MOST: usize = restriction::COUNT + register::COUNT + op::COUNT;

impl Restrictions {
    /// As the application lists them.
    ///
    /// # Errors
    /// `EINVAL`, `EFAULT`.
    pub fn read(list: User<Restriction>, count: u32) -> Result<Restrictions> {
        if list.is_null() || count as usize > MOST {
            return Err(Errno::EINVAL);
        }
        // All of it is read before any of it is judged.
        user::readable(list, count as usize)?;
        let mut read = Restrictions::default();
        for i in 0..count as usize {
            read.add(user::read(list.add(i))?)?;
        }
        if count == 0 {
            (read.names_calls, read.names_sqes) = (true, true);
        }
        Ok(read)
    }

    fn add(&mut self, given: Restriction) -> Result<()> {
        let what = given.what;
        match given.opcode {
            restriction::REGISTER_OP if usize::from(what) < register::COUNT => {
                self.calls |= 1 << what;
            }
            restriction::SQE_OP if usize::from(what) < op::COUNT => self.operations |= 1 << what,
            restriction::SQE_FLAGS_ALLOWED => self.flags_allowed = what,
            restriction::SQE_FLAGS_REQUIRED => self.flags_required = what,
            _ => return Err(Errno::EINVAL),
        }
        match given.opcode {
            restriction::REGISTER_OP => self.names_calls = true,
            _ => self.names_sqes = true,
        }
        Ok(())
    }

    /// The register calls that are allowed, a bit each.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// Whether an SQE is.
    #[must_use]
    pub fn allow(&self, sqe: &Sqe) -> bool {
        let either = self.flags_allowed | self.flags_required;
        self.operations >> sqe.opcode & 1 != 0
            && sqe.flags & self.flags_required == self.flags_required
            && sqe.flags & !either == 0
    }
}

/// All register calls.
pub const ALL_CALLS: u64 = u64::MAX;

const _: () = assert!(register::COUNT <= 64 && op::COUNT <= 128);
