//! Sets of operations.

use sysring_sys::abi::io_uring::{OP_SUPPORTED, Probe, ProbeOp, op, register};
use sysring_sys::{Errno, User};

use super::Handle;

/// A set of operations: what a ring knows ([`Register::operations`](crate::Register::operations)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Operations([u64; 4]);

impl Operations {
    /// No operation.
    pub(super) const fn none() -> Operations {
        Operations([0; 4])
    }

    /// Asks who serves the ring.
    pub(super) fn of(handle: &Handle) -> Result<Operations, Errno> {
        #[repr(C)]
        struct Answer {
            head: Probe,
            operations: [ProbeOp; MOST],
        }
        /// More than there are: what is newer than this crate is told, too.
        const MOST: usize = 128;
        const { assert!(MOST > op::COUNT) };

        let mut answer = Answer { head: Probe::default(), operations: [ProbeOp::default(); MOST] };
        let address = User::of(&raw mut answer).cast();
        handle.register(register::PROBE, address, MOST as u32)?;
        let mut known = Operations::none();
        let told = usize::from(answer.head.ops_len).min(MOST);
        for operation in &answer.operations[..told] {
            if operation.flags & OP_SUPPORTED != 0 {
                known.add(operation.op);
            }
        }
        Ok(known)
    }

    pub(super) fn add(&mut self, code: u8) {
        self.0[usize::from(code / 64)] |= 1 << (code % 64);
    }

    /// Whether the operation with this code is in it.
    #[must_use]
    pub const fn has(&self, code: u8) -> bool {
        self.0[(code / 64) as usize] & 1 << (code % 64) != 0
    }

    /// Whether there is none in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        matches!(self.0, [0, 0, 0, 0])
    }

    /// The codes in it, from the lowest.
    pub fn iter(&self) -> impl Iterator<Item = u8> + '_ {
        (0..=u8::MAX).filter(|&code| self.has(code))
    }

    pub(super) fn first_not_in(&self, other: &Operations) -> Option<u8> {
        self.iter().find(|&code| !other.has(code))
    }
}
