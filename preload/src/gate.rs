//! The page that every system call of the engine leaves through.
//!
//! A filter that is inherited through `exec` can name only an address that is the same in every
//! program. So the gate is copied to one, far from where kernels place anything by themselves.

use sysring_sys::abi::PAGE;
use sysring_sys::front::{self, ADDRESS, Front};
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, arch, call};

use crate::direct;

/// What [`map`] found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gate {
    /// Mapped, and in use from now on.
    Mapped,
    /// Another copy of the object serves this process.
    Taken,
}

/// Maps the page and makes it the engine's way to the kernel.
///
/// # Errors
/// `EEXIST` if something else is there; the kernel's if it refuses executable memory.
pub fn map() -> Result<Gate> {
    let flags = g::MAP_PRIVATE | g::MAP_ANONYMOUS | g::MAP_FIXED_NOREPLACE;
    // SAFETY: the flags promise that nothing is replaced.
    let mapped =
        unsafe { call::mmap(ADDRESS, PAGE, g::PROT_READ | g::PROT_WRITE, flags, Fd::NONE, 0) };
    match mapped {
        Ok(ADDRESS) => {}
        // A kernel before 4.17 takes the address for a hint.
        Ok(elsewhere) => {
            // SAFETY: the page just mapped.
            let _ = unsafe { call::munmap(elsewhere, PAGE) };
            return occupied();
        }
        Err(Errno::EEXIST) => return occupied(),
        Err(e) => return Err(e),
    }
    // SAFETY: the page is mapped, writable and ours; it stays for the life of the process. The
    // processor's instruction cache has never seen it.
    unsafe {
        let page = core::slice::from_raw_parts_mut(ADDRESS as *mut u8, PAGE);
        page[..arch::GATE_CODE.len()].copy_from_slice(arch::GATE_CODE);
        let front = page.as_mut_ptr().add(front::AT).cast::<Front>();
        front.write(Front::new(Some(direct::enter)));
        call::mprotect(ADDRESS, PAGE, g::PROT_READ | g::PROT_EXEC)?;
        arch::move_gate(ADDRESS);
    }
    Ok(Gate::Mapped)
}

/// Something is at the address: a gate, or a stranger.
fn occupied() -> Result<Gate> {
    match Front::find()? {
        Some(_) => Ok(Gate::Taken),
        None => Err(Errno::EEXIST),
    }
}
