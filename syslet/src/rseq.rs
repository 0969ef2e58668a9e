//! Restartable sequences of the caller's thread.
//!
//! glibc gives the kernel a place in each thread's own storage, into which it writes the number of
//! the processor. The storage goes with the context and the kernel's promise stays with the thread,
//! so the promise is called off while a scope lasts. `sched_getcpu` then asks the kernel.

use core::arch::asm;
use core::arch::global_asm;

use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Result, call};

/// What marks abort handlers on x86-64, and must be the same for each call.
const SIGNATURE: usize = 0x5305_3053;
const UNREGISTER: usize = 1;
/// Sizes an area may have been announced with: a multiple of this.
const UNIT: usize = 32;

// Where glibc (2.35 and newer) says its area lies, from the thread pointer. Elsewhere: nowhere.
global_asm!(".weak __rseq_offset", ".weak __rseq_size");

/// An area that the kernel was told of.
#[derive(Clone, Copy, Debug)]
pub struct Area {
    address: usize,
    len: usize,
}

/// What a thread has announced.
#[derive(Debug)]
pub enum Announced {
    Nothing,
    /// It has been called off.
    Glibc(Area),
    /// By somebody who does not say where.
    Unknown,
}

/// Calls off what the calling thread has announced, if it can be found.
pub fn call_off(thread_pointer: usize) -> Announced {
    if let Some(address) = glibc_area(thread_pointer) {
        for len in (1..=8).map(|n| n * UNIT) {
            let area = Area { address, len };
            match area.tell(UNREGISTER) {
                Ok(()) => return Announced::Glibc(area),
                Err(Errno::EINVAL) => {}
                Err(_) => break,
            }
        }
    }
    if is_announced() { Announced::Unknown } else { Announced::Nothing }
}

/// Announces an area again.
pub fn announce(area: Area) {
    // It was announced before and nothing has been since, so there is no error to speak of.
    let _ = area.tell(0);
}

impl Area {
    fn tell(self, flags: usize) -> Result<()> {
        // SAFETY: an area of glibc's, or one that is called off before it goes.
        unsafe { call::raw(g::__NR_rseq, [self.address, self.len, flags, SIGNATURE, 0, 0]) }
            .map(drop)
    }
}

/// Whether the thread has announced an area: then another is refused.
fn is_announced() -> bool {
    #[repr(align(32))]
    struct Aligned([u8; UNIT]);
    let mut place = Aligned([0; UNIT]);
    let area = Area { address: place.0.as_mut_ptr() as usize, len: UNIT };
    match area.tell(0) {
        Ok(()) => area.tell(UNREGISTER).is_err(),
        Err(error) => matches!(error, Errno::EINVAL | Errno::EBUSY),
    }
}

/// Where the area of a thread of glibc's lies.
fn glibc_area(thread_pointer: usize) -> Option<usize> {
    let (offset, size): (*const isize, *const u32);
    // SAFETY: reads two addresses that the linker has put into the table, 0 for what is not there.
    unsafe {
        asm!(
            "mov {}, [rip + __rseq_offset@GOTPCREL]",
            "mov {}, [rip + __rseq_size@GOTPCREL]",
            out(reg) offset,
            out(reg) size,
            options(nostack, preserves_flags, readonly),
        );
    }
    if offset.is_null() || size.is_null() {
        return None;
    }
    // SAFETY: constants of glibc's that are set before any program code runs.
    let (offset, size) = unsafe { (*offset, *size) };
    (size != 0).then(|| thread_pointer.wrapping_add_signed(offset))
}
