//! The system calls the engine makes, one thin function each.
//!
//! Names and argument order are the man pages' (section 2). None retries, none loops: `EINTR`
//! and short counts come back as they are.

use crate::{Errno, Result, arch};

mod aio;
mod event;
mod fs;
mod futex;
mod io;
mod memory;
mod net;
mod process;
mod signal;
mod thread;
mod time;

pub use aio::*;
pub use event::*;
pub use fs::*;
pub use futex::*;
pub use io::*;
pub use memory::*;
pub use net::*;
pub use process::*;
pub use signal::*;
pub use thread::*;
pub use time::*;

/// Makes any system call by number.
///
/// # Safety
/// As for [`arch::syscall`].
///
/// # Errors
/// Whatever the call answers.
#[inline(always)]
pub unsafe fn raw(nr: u32, args: [usize; 6]) -> Result<usize> {
    // SAFETY: passed on to the caller.
    Errno::from_ret(unsafe { arch::syscall(nr as usize, args) })
}

/// Six arguments, of which some are given and the rest are zero.
#[inline(always)]
fn six<const N: usize>(given: [usize; N]) -> [usize; 6] {
    let mut args = [0; 6];
    args[..N].copy_from_slice(&given);
    args
}

/// One system call with up to six register-sized arguments, the rest zero; `in place`
/// ([`arch::syscall_in_place`]) where many follow each other.
macro_rules! sys {
    (in place $nr:ident $(, $arg:expr)* $(,)?) => {{
        let nr = linux_raw_sys::general::$nr as usize;
        let args = $crate::call::six([$($arg),*]);
        $crate::Errno::from_ret($crate::arch::syscall_in_place(nr, args))
    }};
    ($nr:ident $(, $arg:expr)* $(,)?) => {
        $crate::call::raw(linux_raw_sys::general::$nr, $crate::call::six([$($arg),*]))
    };
}
pub(crate) use sys;
