//! How a library of ours finds the engine that `sysring run` has placed in its process.
//!
//! The object maps a page at the same address in every process. What it says there lets a library
//! call the engine as a function, where the system call would be trapped and come to the same.

use crate::{Result, User, call};

/// Where the page is. (Processes of aarch64 may have only 39 bits of address.)
#[cfg(target_arch = "x86_64")]
pub const ADDRESS: usize = 0x5359_0000_0000;
#[cfg(target_arch = "aarch64")]
#[allow(missing_docs)]
pub const ADDRESS: usize = 0x53_5900_0000;

/// Where on the page it stands, behind the gate's code.
pub const AT: usize = 64;

/// `io_uring_enter(2)`: descriptor, numbers to submit and to wait for, flags, argument and its
/// size; the answer is the kernel's. Signals are the callee's business.
pub type Enter = extern "C" fn(i32, u32, u32, u32, u64, usize) -> isize;

/// What the page says.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Front {
    signature: [u8; 16],
    /// The engine's front; none while the object is not ready.
    pub enter: Option<Enter>,
}

const SIGNATURE: [u8; 16] = *b"sysring gate\0\0\0\x02";

impl Front {
    /// What the object writes.
    #[must_use]
    pub const fn new(enter: Option<Enter>) -> Front {
        Front { signature: SIGNATURE, enter }
    }

    /// What this process's page says, if it has one.
    ///
    /// # Errors
    /// `EFAULT` where there is none; `EPERM` or `ENOSYS` where one may not look.
    pub fn find() -> Result<Option<Front>> {
        let mut found = Front { signature: [0; 16], enter: None };
        let mut words = [0usize; size_of::<Front>() / size_of::<usize>()];
        const { assert!(size_of::<Front>() == 24) };
        let from = User::new((ADDRESS + AT) as u64);
        let len = size_of_val(&words);
        let to = words.as_mut_ptr().cast();
        // SAFETY: an array of ours, so long.
        let read = unsafe { call::process_vm_read(call::gettid(), to, from, len) };
        call::whole(read, len)?;
        for (i, half) in found.signature.chunks_exact_mut(8).enumerate() {
            half.copy_from_slice(&words[i].to_ne_bytes());
        }
        if found.signature != SIGNATURE {
            return Ok(None);
        }
        if words[2] != 0 {
            // SAFETY: whoever mapped this page wrote our signature: the object, which put the address of
            // such a function there, and stays. A process that forges it harms itself.
            found.enter = Some(unsafe { core::mem::transmute::<usize, Enter>(words[2]) });
        }
        Ok(Some(found))
    }
}
