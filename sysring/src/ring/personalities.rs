//! Which numbers of credentials a ring has: the kernel tells only of an operation that has failed.

use core::ptr;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use core::sync::atomic::{AtomicPtr, AtomicU64};

use sysring_sys::abi::io_uring::register;
use sysring_sys::{Errno, call};

/// A bit for each number there can be.
type Bits = [AtomicU64; (u16::MAX as usize + 1) / 64];

/// Those that were registered by this process, in memory that is there from the first one on.
pub struct Personalities(AtomicPtr<Bits>);

impl Personalities {
    pub const fn new() -> Personalities {
        Personalities(AtomicPtr::new(ptr::null_mut()))
    }

    /// Before a call that may register one: there is room to remember it.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn prepare(&self, opcode: u32) -> Result<(), Errno> {
        if opcode != register::PERSONALITY || self.bits().is_some() {
            return Ok(());
        }
        let new = call::map_anonymous(size_of::<Bits>(), false)?.cast::<Bits>();
        // Acquire pairs with the Release of who was faster.
        if self.0.compare_exchange(ptr::null_mut(), new, AcqRel, Acquire).is_err() {
            // SAFETY: mapped above, and nobody's.
            unsafe { call::munmap(new as usize, size_of::<Bits>())? };
        }
        Ok(())
    }

    /// After a call that was successful, with its last argument and its answer.
    pub fn note(&self, opcode: u32, count: u32, answer: u32) {
        let Some(bits) = self.bits() else { return };
        // A number reaches others together with the knowledge that it is one: Relaxed will do.
        match opcode {
            register::PERSONALITY => {
                bit(bits, answer as u16, |word, bit| word.fetch_or(bit, Relaxed));
            }
            register::UNREGISTER_PERSONALITY => {
                bit(bits, count as u16, |word, bit| word.fetch_and(!bit, Relaxed));
            }
            _ => {}
        }
    }

    /// Whether there are credentials of that number.
    pub fn has(&self, id: u16) -> bool {
        self.bits().is_some_and(|bits| bit(bits, id, |word, bit| word.load(Relaxed) & bit) != 0)
    }

    fn bits(&self) -> Option<&Bits> {
        // SAFETY: null, or the memory that `prepare` has mapped, zeroed, which goes with this value.
        // Acquire pairs with the Release of who has put it there.
        unsafe { self.0.load(Acquire).as_ref() }
    }
}

/// The word that has a number's bit, and that bit.
fn bit(bits: &Bits, id: u16, with: impl FnOnce(&AtomicU64, u64) -> u64) -> u64 {
    with(&bits[usize::from(id) / 64], 1 << (id % 64))
}

impl Drop for Personalities {
    fn drop(&mut self) {
        let bits = *self.0.get_mut();
        if !bits.is_null() {
            // SAFETY: mapped by `prepare`; nobody borrows what is dropped.
            let _ = unsafe { call::munmap(bits as usize, size_of::<Bits>()) };
        }
    }
}
