//! I/O priorities: a thread has the call's while it makes it.

use sysring_events::attr::{Attribute, Ioprio};
use sysring_sys::{Result, call};

use super::Asked;

impl Asked {
    /// The calling thread gets the call's priority. Where it may not, though who issued the call might,
    /// the attribute is not handled; one that is required fails the call.
    pub(super) fn raise(&mut self) -> Result<()> {
        let own = call::io_priority();
        match own.and_then(|own| call::set_io_priority(self.wanted.ioprio().into()).map(|()| own)) {
            Ok(own) => self.ioprio = own,
            Err(e) => {
                self.agreed &= !Ioprio::MASK;
                if self.wanted.requires(Ioprio::MASK) {
                    return Err(e);
                }
            }
        }
        Ok(())
    }

    /// The thread gets its own back, which it may always have.
    pub(super) fn lower(&self) {
        let _ = call::set_io_priority(self.ioprio);
    }
}
